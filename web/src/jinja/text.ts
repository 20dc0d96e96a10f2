// A string that knows which of its characters came from a message. The mask runs
// along with the text, one digit for each UTF-16 unit, so that whatever a
// template cuts, joins or repeats carries the knowledge along. Positions that
// templates see are Python's: code points.

const SURROGATES = /[\ud800-\udfff]/;

export class Str {
  readonly text: string;
  /** '1' for a unit from a message, '0' for one of the template. */
  readonly mask: string;
  /** Escaped for HTML already, as markupsafe's Markup. */
  readonly markup: boolean;

  constructor(text: string, mask?: string, markup = false) {
    this.text = text;
    this.mask = mask ?? '0'.repeat(text.length);
    this.markup = markup;
  }

  /** A text from outside the template. */
  static foreign(text: string): Str {
    return new Str(text, '1'.repeat(text.length));
  }

  static concat(parts: readonly Str[]): Str {
    return new Str(parts.map((part) => part.text).join(''), parts.map((part) => part.mask).join(''));
  }

  static join(parts: readonly Str[], glue: Str): Str {
    return Str.concat(parts.flatMap((part, i) => (i === 0 ? [part] : [glue, part])));
  }

  /** By UTF-16 units. */
  cut(begin: number, end = this.text.length): Str {
    return new Str(this.text.slice(begin, end), this.mask.slice(begin, end), this.markup);
  }

  as(markup: boolean): Str {
    return markup === this.markup ? this : new Str(this.text, this.mask, markup);
  }

  /** Every character by itself. */
  characters(): Str[] {
    if (!SURROGATES.test(this.text)) return Array.from(this.text, (_, i) => this.cut(i, i + 1));
    let at = 0;
    return Array.from(this.text, (character) => {
      const begin = at;
      at += character.length;
      return this.cut(begin, at);
    });
  }

  /** In code points. */
  get length(): number {
    return SURROGATES.test(this.text) ? Array.from(this.text).length : this.text.length;
  }

  /** From a code point's number to a UTF-16 unit's. */
  unit(point: number): number {
    if (!SURROGATES.test(this.text)) return Math.min(point, this.text.length);
    let unit = 0;
    for (const character of this.text) {
      if (point-- <= 0) break;
      unit += character.length;
    }
    return unit;
  }

  /** From a UTF-16 unit's number to a code point's. */
  point(unit: number): number {
    return new Str(this.text.slice(0, unit), '').length;
  }

  /** Each character replaced by what `change` makes of it, which comes from where it came from. */
  map(change: (character: string, index: number) => string): Str {
    let mask = '';
    let text = '';
    let index = 0;
    let unit = 0;
    for (const character of this.text) {
      const changed = change(character, index++);
      text += changed;
      mask += this.mask[unit]!.repeat(changed.length);
      unit += character.length;
    }
    return new Str(text, mask, this.markup);
  }

  repeat(times: number): Str {
    return new Str(this.text.repeat(times), this.mask.repeat(times), this.markup);
  }

  /** The units where `part` begins, from left to right and apart from each other. */
  places(part: string, limit = Number.POSITIVE_INFINITY): number[] {
    const found: number[] = [];
    for (
      let at = this.text.indexOf(part);
      at >= 0 && found.length < limit;
      at = this.text.indexOf(part, at + part.length)
    )
      found.push(at);
    return found;
  }

  replace(old: Str, by: Str, limit = Number.POSITIVE_INFINITY): Str {
    if (old.text === '') {
      const characters = this.characters();
      const parts = characters.flatMap((character, i) => (i < limit ? [by, character] : [character]));
      return Str.concat(characters.length < limit ? [...parts, by] : parts).as(this.markup);
    }
    const parts: Str[] = [];
    let from = 0;
    for (const at of this.places(old.text, limit)) {
      parts.push(this.cut(from, at), by);
      from = at + old.text.length;
    }
    return Str.concat([...parts, this.cut(from)]).as(this.markup);
  }

  /** Stretches that came from messages. */
  spans(): [begin: number, end: number][] {
    return Array.from(this.mask.matchAll(/1+/g), ({ index, 0: ones }) => [index, index + ones.length]);
  }
}

/** Python's white space, which is not quite JavaScript's. */
export const SPACE = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const LEFT = new RegExp(`^[${SPACE}]+`);
const RIGHT = new RegExp(`[${SPACE}]+$`);

/** Without white space, or without any of `characters`, at the sides. */
export function strip(value: Str, sides: 'left' | 'right' | 'both', characters?: string): Str {
  let begin = 0;
  let end = value.text.length;
  if (characters === undefined) {
    if (sides !== 'right') begin = LEFT.exec(value.text)?.[0].length ?? 0;
    if (sides !== 'left' && begin < end) end -= RIGHT.exec(value.text)?.[0].length ?? 0;
    return value.cut(begin, end);
  }
  const set = new Set(characters);
  const all = value.characters();
  let first = 0;
  let last = all.length;
  if (sides !== 'right') while (first < last && set.has(all[first]!.text)) first++;
  if (sides !== 'left') while (last > first && set.has(all[last - 1]!.text)) last--;
  return Str.concat(all.slice(first, last)).as(value.markup);
}
