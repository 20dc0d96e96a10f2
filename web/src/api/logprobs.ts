// Log probabilities in OpenAI's two shapes: that of chat completions and the
// older one of text completions.

import type { RawTokenLogprob } from '../worker/protocol';
import type { ChatLogprobs, CompletionLogprobs, TokenLogprob } from './types';

const decoder = new TextDecoder();

const text = (raw: RawTokenLogprob): string => decoder.decode(Uint8Array.from(raw.bytes));

/** One token and its probability. */
export const logprobOf = (raw: RawTokenLogprob): TokenLogprob => ({
  token: text(raw),
  logprob: raw.logprob,
  bytes: raw.bytes,
});

/** The text of consecutive tokens. */
export const joined = (tokens: readonly RawTokenLogprob[]): string =>
  decoder.decode(Uint8Array.from(tokens.flatMap(({ bytes }) => [...bytes])));

/** `tokens`: for each token itself first, then its alternatives. */
export function chatShape(tokens: readonly (readonly RawTokenLogprob[])[]): ChatLogprobs {
  return {
    content: tokens.map(([own, ...top]) => ({ ...logprobOf(own!), top_logprobs: top.map(logprobOf) })),
  };
}

/** `offset` is that of the first token in the whole text. */
export function completionShape(
  tokens: readonly (readonly RawTokenLogprob[])[],
  offset: number,
): CompletionLogprobs {
  const offsets: number[] = [];
  for (const [own] of tokens) {
    offsets.push(offset);
    offset += text(own!).length;
  }
  return {
    tokens: tokens.map(([own]) => text(own!)),
    token_logprobs: tokens.map(([own]) => (Number.isNaN(own!.logprob) ? null : own!.logprob)),
    top_logprobs: tokens.map(([, ...top]) => Object.fromEntries(top.map((raw) => [text(raw), raw.logprob]))),
    text_offset: offsets,
  };
}
