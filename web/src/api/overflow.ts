// What to leave out of a conversation that no longer fits the context. The
// system prompt and the last turn always stay. Turns go in steps of a quarter
// of the context, so that several requests in a row leave out the same ones and
// the cached prefix survives.

import type { ChatMessage } from './types';

/** The prompt's length in tokens after leaving out the first `dropped` turns. */
export type CountTokens = (messages: readonly ChatMessage[]) => Promise<number>;

export interface Fitted {
  readonly messages: readonly ChatMessage[];
  readonly dropped: number;
}

/** What a prompt may take: it leaves room for the answer that was asked for, but no more than a quarter. */
export function promptRoom(n_ctx: number, max_tokens: number | undefined): number {
  const quarter = Math.floor(n_ctx / 4);
  return n_ctx - Math.min(max_tokens ?? quarter, quarter);
}

/** `room` is what the prompt may take; `n_ctx` sets the steps. */
export async function dropOldest(
  messages: readonly ChatMessage[],
  room: number,
  n_ctx: number,
  count: CountTokens,
): Promise<Fitted> {
  const all = await count(messages);
  if (all <= room) return { messages, dropped: 0 };
  const step = Math.max(1, Math.floor(n_ctx / 4));
  const enough = all - Math.ceil((all - room) / step) * step;
  const head = messages.findIndex((message) => message.role !== 'system');
  // A turn begins with a user message; the answers and tool results after it go with it.
  const starts = messages.flatMap((message, i) => (message.role === 'user' && i > head ? [i] : []));
  let best: Fitted = { messages, dropped: 0 };
  for (const start of starts) {
    best = { messages: [...messages.slice(0, head), ...messages.slice(start)], dropped: start - head };
    if ((await count(best.messages)) <= enough) break;
  }
  return best;
}
