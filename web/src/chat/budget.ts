// How much of the context a branch takes, how much a message would add, and the
// next longer context. An answer that has ended knows its tokens; where none
// does, and for what is not sent yet, the texts are counted, and that is an
// estimate, because the template adds a few tokens to every message.

import type { ModelInfo, Slm } from '../api/types';
import { SlmError } from '../core/error';
import { CONTEXT_LENGTHS } from '../seal/preferences';
import type { Turn } from './conversation';

/** Above this share of the context people are told. */
export const TIGHT = 0.8;
/** What templates put around a message, roughly. */
const TEMPLATE_TOKENS = 6;
/** What an answer should find free, in tokens. */
const ANSWER_ROOM = 512;

/** Tokens that the path takes, as far as its answers know. */
export function usedBy(path: readonly Turn[]): number {
  return path.findLast(({ used }) => used !== null)?.used ?? 0;
}

/** Tokens of texts that are messages, with so many pictures, about. */
export async function estimate(slm: Slm, texts: readonly string[], pictures = 0): Promise<number> {
  const counts = await Promise.all(texts.map((text) => slm.tokenize(text)));
  const seen = pictures * (slm.info.vision?.n_tokens ?? 0);
  return counts.reduce((sum, { length }) => sum + length + TEMPLATE_TOKENS, seen);
}

/** The prompt's length, where an answer failed for want of context. */
export function tokensOf(error: unknown): number | null {
  const details = error instanceof SlmError ? error.details : undefined;
  return details !== undefined && 'prompt_tokens' in details ? details.prompt_tokens : null;
}

/** The shortest of the usual lengths in which `needed` tokens leave room for an answer; the longest
 *  in which they fit at all; null where the model has none beyond its present one. */
export function longerContext({ n_ctx, n_ctx_train }: ModelInfo, needed: number): number | null {
  const longer = CONTEXT_LENGTHS.filter((n) => n > n_ctx && n <= n_ctx_train);
  return longer.find((n) => n >= needed + ANSWER_ROOM) ?? longer.findLast((n) => n > needed) ?? null;
}
