// What a model that points into a picture writes, as boxes and words: four tokens
// <loc0000> to <loc1023> are top, left, bottom and right in 1024ths of the picture's
// sides, and what follows up to the next semicolon is what is there. Sixteen tokens
// <seg000> to <seg127> after them are the codes of its outline, of which vision/masks.ts
// makes a mask. Pure text to numbers.

import { areCodes } from '../vision/masks';
import type { Box } from './thumbs';

const FOUND = /((?:<loc\d{4}>){4})((?:<seg\d{3}>)*)[ \t]*([^<;\n]*)(?:[ \t]*;)?/g;
const MOST_FOUND = 64; // of an answer that goes round in circles, no more are drawn
const STRAY = /<(?:loc\d{4}|seg\d{3})>?|<(?:l|lo|loc\d{0,4}|s|se|seg\d{0,3})$/g;

/** A thing that was found, and the codes of its outline; null: it has none that is whole. */
export interface Outlined {
  readonly box: Box;
  readonly codes: readonly number[] | null;
}

export interface Pointed {
  /** The words, with the number of its box before each. */
  readonly text: string;
  readonly found: readonly Outlined[];
}

/** `text` may still be written. */
export function pointed(text: string): Pointed {
  const found: Outlined[] = [];
  if (!/<(?:loc|seg)\d/.test(text)) return { text, found };
  const words = text.replace(FOUND, (_, place: string, outline: string, label: string) => {
    const [top, left, bottom, right] = numbers(place, /\d{4}/g).map((n) => Math.min(1023, n) / 1024) as [
      number,
      number,
      number,
      number,
    ];
    const box = { left, top, right, bottom, label: label.trim() };
    // What is inside out is no box, and a picture has room for so many.
    if (right <= left || bottom <= top || found.length === MOST_FOUND) return `${box.label}\n\n`;
    const codes = numbers(outline, /\d{3}/g);
    found.push({ box, codes: areCodes(codes) ? codes : null });
    return `**${found.length}** ${box.label}\n\n`;
  });
  return { text: words.replace(STRAY, '').trim(), found };
}

function numbers(text: string, each: RegExp): number[] {
  return Array.from(text.matchAll(each), ([digits]) => Number(digits));
}
