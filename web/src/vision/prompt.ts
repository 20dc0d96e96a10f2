// Pictures in a rendered prompt: their text goes where the template put its mark, and
// their positions are found in the tokens. A mark that stands in somebody's words is
// words. It knows no models and no pixels.

import type { Rendered } from '../api/continue';
import type { ProjectorName } from '../api/types';
import { SlmError } from '../core/error';
import { type Laid, PROJECTORS } from './projectors';

/** The prompt with pictures in the places of the marks, and how many characters of it are pictures that
 *  it begins with. */
export function withPictures(
  { text, plain }: Rendered,
  laid: readonly Laid[],
  projector: ProjectorName,
): Rendered & { readonly lead: number } {
  const { placeholder } = PROJECTORS[projector];
  const marks: number[] = [];
  for (let at = text.indexOf(placeholder); at >= 0; at = text.indexOf(placeholder, at + placeholder.length))
    if (!plain.some(([begin, end]) => begin < at + placeholder.length && at < end)) marks.push(at);
  if (marks.length !== laid.length)
    throw new SlmError(
      'bad_template',
      `Expected a chat template that shows ${count(laid.length)} as ${placeholder}, found that it shows ${marks.length}; use a model whose template knows pictures.`,
    );
  let out = '';
  let lead = 0;
  let from = 0;
  const shifts: [after: number, by: number][] = [];
  for (const [i, at] of marks.entries()) {
    const begins = out.length === lead && at === from;
    out += text.slice(from, at) + laid[i]!.text;
    if (begins) lead = out.length;
    from = at + placeholder.length;
    shifts.push([from, out.length - from]);
  }
  const moved = (at: number) => at + (shifts.findLast(([after]) => after <= at)?.[1] ?? 0);
  return {
    text: out + text.slice(from),
    plain: plain.map(([begin, end]) => [moved(begin), moved(end)] as const),
    lead,
  };
}

/** Where each view begins in the tokens, which has so many; `soft` is the token whose run it is. */
export function places(ids: Int32Array, soft: number, lengths: readonly number[]): number[] {
  const at: number[] = [];
  for (const [i, id] of ids.entries()) if (id === soft) at.push(i);
  let n = 0;
  const runs = lengths.map((length) => {
    const first = at[n] ?? 0;
    n += length;
    return { first, whole: at[n - 1] === first + length - 1 };
  });
  if (at.length === n && runs.every(({ whole }) => whole)) return runs.map(({ first }) => first);
  throw new SlmError(
    'invalid_argument',
    `Expected ${n} tokens of pictures in the prompt, found ${at.length}; leave those tokens out of the messages.`,
  );
}

const count = (n: number): string => (n === 1 ? 'one picture' : `${n} pictures`);
