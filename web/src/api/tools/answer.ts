// What a model writes, as an answer: text and calls of tools, as deltas of OpenAI's.
// Without tools it is text alone.

import type { ToolForm } from '../../generated/tool_forms';
import type { ChatChunkChoice, FinishReason, MadeCall } from '../completions';
import { begins, type ToolUse } from './forms';
import { type Found, ToolParser } from './parser';

export type Delta = Pick<ChatChunkChoice['delta'], 'content' | 'tool_calls'>;

/** Letters and digits: some templates take ids of nine of them, and no others. */
const ID_LENGTH = 9;

export class AnswerReader {
  readonly #parser: ToolParser | null;
  #calls = 0;

  constructor(form: ToolForm | null, use: ToolUse | null) {
    this.#parser = form === null || use === null ? null : new ToolParser(form, use);
    if (form !== null && use !== null) this.#parser?.push(begins(form, use));
  }

  read(text: string): Delta[] {
    if (this.#parser === null) return [{ content: text }];
    return this.#parser.push(text).map((found) => this.#delta(found));
  }

  /** What has waited for the answer's end. */
  finish(): Delta[] {
    return (this.#parser?.finish() ?? []).map((found) => this.#delta(found));
  }

  /** Why the answer ended. */
  reason(finish: FinishReason): FinishReason {
    return finish === 'stop' && this.#calls > 0 ? 'tool_calls' : finish;
  }

  #delta(found: Found): Delta {
    if (typeof found === 'string') return { content: found };
    const call = { id: callId(), type: 'function', function: found } as const;
    return { tool_calls: [{ index: this.#calls++, ...call }] };
  }
}

/** The deltas of a whole answer, put together. */
export function message(deltas: readonly Delta[]): { content: string; tool_calls?: readonly MadeCall[] } {
  const content = deltas.map((delta) => delta.content ?? '').join('');
  const calls = deltas.flatMap((delta) => delta.tool_calls ?? []).map(({ index: _, ...call }) => call);
  return calls.length === 0 ? { content } : { content, tool_calls: calls };
}

function callId(): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz0123456789';
  const random = crypto.getRandomValues(new Uint8Array(ID_LENGTH));
  return Array.from(random, (byte) => letters[byte % letters.length]).join('');
}
