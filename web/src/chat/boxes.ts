// What a model that points into a picture writes, as boxes and words: four tokens
// <loc0000> to <loc1023> are top, left, bottom and right in 1024ths of the picture's
// sides, and what follows up to the next semicolon is what is there. Sixteen tokens
// <seg000> to <seg127> after them are an outline in a code that takes a decoder of
// its own; they are left out. Pure text to numbers.

import type { Box } from './thumbs';

const FOUND = /((?:<loc\d{4}>){4})(?:<seg\d{3}>)*[ \t]*([^<;\n]*)(?:[ \t]*;)?/g;
const STRAY = /<(?:loc\d{4}|seg\d{3})>?|<(?:l|lo|loc\d{0,4}|s|se|seg\d{0,3})$/g;

export interface Pointed {
  /** The words, with the number of its box before each. */
  readonly text: string;
  readonly boxes: readonly Box[];
}

/** `text` may still be written. */
export function pointed(text: string): Pointed {
  const boxes: Box[] = [];
  if (!/<(?:loc|seg)\d/.test(text)) return { text, boxes };
  const words = text.replace(FOUND, (_, place: string, label: string) => {
    const [top, left, bottom, right] = Array.from(
      place.matchAll(/\d{4}/g),
      ([digits]) => Math.min(1023, Number(digits)) / 1024,
    ) as [number, number, number, number];
    const box = { left, top, right, bottom, label: label.trim() };
    // What is inside out is no box.
    if (right <= left || bottom <= top) return `${box.label}\n\n`;
    boxes.push(box);
    return `**${boxes.length}** ${box.label}\n\n`;
  });
  return { text: words.replace(STRAY, '').trim(), boxes };
}
