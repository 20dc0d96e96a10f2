// What is too long for a guard, judged in pieces: each half of it by itself, as often
// as it takes. It breaks a rule where one of its pieces does. Halves overlap, so that
// what lies across the cut is whole in one of them. An answer's pieces are judged as
// answers to the end of what was asked: with all its pieces there would be as many
// pairs as the product of both lengths.

import { SlmError } from '../core/error';
import type { Guard, GuardRequest, GuardScore, GuardVerdict, RequestOptions, Usage } from './types';

/** Characters, some two or three sentences. */
const OVERLAP = 400;

/** As guard.check, of a text of any length; of each rule the greatest probability. */
export async function checkAll(
  guard: Guard,
  request: GuardRequest,
  options: Pick<RequestOptions, 'signal'>,
): Promise<GuardVerdict> {
  try {
    return await guard.check(request, options);
  } catch (error) {
    if (!(error instanceof SlmError) || error.code !== 'context_full') throw error;
    const { prompt, response } = request;
    if (response !== undefined && prompt.length > 2 * OVERLAP)
      return checkAll(guard, { ...request, prompt: halves(prompt)[1] }, options);
    const [name, text] = response === undefined ? ['prompt', prompt] : ['response', response];
    // Shorter ones are all overlap: then the rule alone takes the guard's context.
    if (text.length <= 2 * OVERLAP) throw error;
    const [first, second] = halves(text);
    const before = await checkAll(guard, { ...request, [name]: first }, options);
    return together(before, await checkAll(guard, { ...request, [name]: second }, options));
  }
}

function halves(text: string): readonly [string, string] {
  const middle = Math.floor(text.length / 2);
  return [text.slice(0, middle + OVERLAP / 2), text.slice(middle - OVERLAP / 2)];
}

function together(a: GuardVerdict, b: GuardVerdict): GuardVerdict {
  const worse = (score: GuardScore, i: number) => {
    const other = b.scores[i]!;
    return other.probability > score.probability ? other : score;
  };
  return {
    violates: a.violates || b.violates,
    scores: a.scores.map(worse),
    usage: sum(a.usage, b.usage),
  };
}

function sum(a: Usage, b: Usage): Usage {
  const cached_tokens = a.prompt_tokens_details.cached_tokens + b.prompt_tokens_details.cached_tokens;
  return {
    prompt_tokens: a.prompt_tokens + b.prompt_tokens,
    completion_tokens: a.completion_tokens + b.completion_tokens,
    total_tokens: a.total_tokens + b.total_tokens,
    prompt_tokens_details: { cached_tokens },
  };
}
