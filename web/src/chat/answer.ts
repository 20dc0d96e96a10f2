// Asks a model for one answer and reports what comes, whether the model has a
// chat template or only continues text. It writes into nothing: the caller's
// `events` decide what to do with each piece.

import { wordsOf } from '../api/pictures';
import type {
  AdapterUse,
  ChatMessage,
  FinishReason,
  GuardReport,
  PrefillProgress,
  SamplingParams,
  Slm,
  Timings,
} from '../api/types';

export interface AnswerEvents {
  readonly onPrefill: (progress: PrefillProgress) => void;
  readonly onText: (piece: string) => void;
  readonly onDropped: (messages: number) => void;
}

export interface AnswerEnd {
  readonly finish: FinishReason | null;
  readonly timings: Timings | null;
  /** What a guard found that keeps the answer from being shown; null: nothing. */
  readonly refusal: GuardReport | null;
}

const refusalOf = (guard: GuardReport | undefined): GuardReport | null => (guard?.refused ? guard : null);

export async function answer(
  slm: Slm,
  messages: readonly ChatMessage[],
  params: SamplingParams & { readonly dropOldest: boolean; readonly adapters?: readonly AdapterUse[] },
  signal: AbortSignal,
  events: AnswerEvents,
): Promise<AnswerEnd> {
  const { dropOldest, ...sampling } = params;
  const options = { signal, onPrefill: events.onPrefill };
  let end: AnswerEnd = { finish: null, timings: null, refusal: null };
  if (!slm.info.has_chat_template) {
    const prompt = messages.map(({ content }) => wordsOf(content)).join('');
    for await (const chunk of await slm.completions.create({ ...sampling, prompt, stream: true }, options)) {
      const [choice] = chunk.choices;
      const refusal = refusalOf(chunk.guard);
      // The page has words of its own for it.
      if (choice.text !== '' && refusal === null) events.onText(choice.text);
      end = { finish: choice.finish_reason, timings: chunk.timings ?? null, refusal };
    }
    return end;
  }
  const context_overflow = dropOldest ? 'drop_oldest' : 'error';
  const request = { ...sampling, messages, stream: true, context_overflow } as const;
  for await (const chunk of await slm.chat.completions.create(request, options)) {
    const [choice] = chunk.choices;
    if (chunk.dropped_messages) events.onDropped(chunk.dropped_messages);
    const refusal = refusalOf(chunk.guard);
    if (choice.delta.content && refusal === null) events.onText(choice.delta.content);
    end = { finish: choice.finish_reason, timings: chunk.timings ?? null, refusal };
  }
  return end;
}
