// The known answer of a pack against what a device has computed, in the same way
// as py/slmweb/pack/known_answer.py. Evaluates nothing: whoever calls has given the
// answer's tokens to a session and hands over the last token's logits.

import type { KnownAnswer } from '../api/backend';

export interface Comparison {
  /** The greatest difference in the answer's scale; infinite for what is no number. */
  readonly error: number;
  readonly bound: number;
  readonly passed: boolean;
  /** Where the difference is greatest. `expected` of an id that is not listed is the least listed logit,
   *  above which it may not lie. */
  readonly worst: { readonly id: number; readonly expected: number; readonly found: number };
}

/** `logits`: of the whole vocabulary, after the last token. `bound`: the answer's f16_bound, unless the
 *  session was exact. */
export function compare(answer: KnownAnswer, logits: Float32Array, bound = answer.bound): Comparison {
  const { ids, scale } = answer;
  const listed = new Map(ids.map((id, i) => [id, answer.logits[i]!]));
  const least = Math.min(...answer.logits);
  let error = -1;
  let worst = { id: ids[0]!, expected: answer.logits[0]!, found: Number.NaN };
  const see = (id: number, expected: number, found: number, difference: number) => {
    const own = Number.isFinite(difference) ? difference / scale : Number.POSITIVE_INFINITY;
    if (own <= error) return;
    error = own;
    worst = { id, expected, found };
  };
  for (const [id, expected] of listed) {
    const found = logits[id] ?? Number.NaN;
    see(id, expected, found, Math.abs(found - expected));
  }
  logits.forEach((found, id) => {
    // Nearly all are numbers far below, and asking the map would take most of the time.
    if ((found <= least && found >= -Number.MAX_VALUE) || listed.has(id)) return;
    see(id, least, found, found - least);
  });
  return { error, bound, passed: error <= bound, worst };
}
