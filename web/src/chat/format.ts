// Numbers as people read them: bytes, counts, speeds, durations. Pure functions
// that follow the language of the page; they know no words but units.

import { locale } from './language';
import { S } from './strings';

const integer = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
const oneDigit = new Intl.NumberFormat(locale, { minimumFractionDigits: 1, maximumFractionDigits: 1 });

type Unit = 'kilobyte' | 'megabyte' | 'gigabyte';

export function count(n: number): string {
  return integer.format(n);
}

/** 98.4 MB: decimal units, as browsers and shops count. */
export function bytes(n: number): string {
  if (n < 1e6) return inUnit(n / 1e3, 'kilobyte', 0);
  if (n < 1e9) return inUnit(n / 1e6, 'megabyte', n < 1e8 ? 1 : 0);
  return inUnit(n / 1e9, 'gigabyte', 1);
}

/** Two sizes that a sentence compares: exact where they would read the same and are not. */
export function apart(a: number, b: number): [string, string] {
  const shown: [string, string] = [bytes(a), bytes(b)];
  const exact = new Intl.NumberFormat(locale, { style: 'unit', unit: 'byte', unitDisplay: 'long' });
  return a === b || shown[0] !== shown[1] ? shown : [exact.format(a), exact.format(b)];
}

/** As devices report their memory: 0.5 GB, 8 GB. */
export function gigabytes(n: number): string {
  return new Intl.NumberFormat(locale, { style: 'unit', unit: 'gigabyte', maximumFractionDigits: 2 }).format(
    n,
  );
}

function inUnit(value: number, unit: Unit, digits: number): string {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(locale, { style: 'unit', unit, ...options }).format(value);
}

/** 134.5 M, 1.2 B: as model names count parameters. */
export function parameters(n: number): string {
  return n < 1e9 ? `${integer.format(n / 1e6)} M` : `${oneDigit.format(n / 1e9)} B`;
}

/** Tokens per second: a digit after the point only where it tells something. */
export function speed(n: number): string {
  return n < 10 ? oneDigit.format(n) : integer.format(n);
}

/** 68 GB/s: what a memory gives. */
export function bytesPerSecond(n: number): string {
  return S.rate(bytes(n));
}

const inTeraflops = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });

/** 3.4 TFLOPS, as makers count arithmetic. */
export function flops(n: number): string {
  return n < 1e12 ? `${inTeraflops.format(n / 1e9)} GFLOPS` : `${inTeraflops.format(n / 1e12)} TFLOPS`;
}

const percents = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 });

export function percent(share: number): string {
  return percents.format(share);
}

/** How far off a figure is, as a share of it: 0.00012%. */
export function deviation(share: number): string {
  return new Intl.NumberFormat(locale, { style: 'percent', maximumSignificantDigits: 2 }).format(share);
}

export function duration(seconds: number): string {
  if (seconds < 60) return S.seconds(integer.format(Math.max(1, seconds)));
  if (seconds < 3600) return S.minutes(integer.format(seconds / 60));
  return S.hours(oneDigit.format(seconds / 3600));
}
