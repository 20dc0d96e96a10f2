// Numbers as people read them: bytes, counts, speeds, durations. Pure functions
// that follow the browser's locale; they know no words but units.

const integer = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat(undefined, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export function count(n: number): string {
  return integer.format(n);
}

/** 98.4 MB: decimal units, as browsers and shops count. */
export function bytes(n: number): string {
  if (n < 1e6) return `${integer.format(n / 1e3)} kB`;
  if (n < 1e9) return `${n < 1e8 ? oneDigit.format(n / 1e6) : integer.format(n / 1e6)} MB`;
  return `${oneDigit.format(n / 1e9)} GB`;
}

/** 134.5 M, 1.2 B: as model names count parameters. */
export function parameters(n: number): string {
  return n < 1e9 ? `${integer.format(n / 1e6)} M` : `${oneDigit.format(n / 1e9)} B`;
}

/** Tokens per second: a digit after the point only where it tells something. */
export function speed(n: number): string {
  return n < 10 ? oneDigit.format(n) : integer.format(n);
}

export function duration(seconds: number): string {
  if (seconds < 60) return `${integer.format(Math.max(1, seconds))} s`;
  if (seconds < 3600) return `${integer.format(seconds / 60)} min`;
  return `${oneDigit.format(seconds / 3600)} h`;
}
