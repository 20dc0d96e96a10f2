// Reads a number as people write it: with a decimal point or comma, in the digits
// of their script. A field of type "number" follows the browser's language, which
// need not be theirs, and says nothing about what it could not read.

/** The zeros of scripts whose ten digits follow one another. */
const ZEROS = [0x30, 0x660, 0x6f0, 0x966, 0xff10];

/** null for anything that is not one number. */
export function readNumber(text: string): number | null {
  const plain = [...text.trim()]
    .map((character) => {
      const code = character.codePointAt(0)!;
      const zero = ZEROS.find((one) => code >= one && code < one + 10);
      if (zero !== undefined) return String(code - zero);
      return character === ',' || character === '٫' ? '.' : character === '−' ? '-' : character;
    })
    .join('');
  return /^[+-]?(\d+\.?\d*|\.\d+)$/.test(plain) ? Number(plain) : null;
}
