// How tokens and the numbers at them are written.

import { locale } from '../chat/language';

/** White space as it can be seen. */
export function visible(token: string): string {
  return token.replaceAll(' ', '·').replaceAll('\n', '↵').replaceAll('\t', '→') || '∅';
}

const digits = new Intl.NumberFormat(locale, { maximumSignificantDigits: 3 });

/** An activation, or the strength of a direction. */
export function amount(value: number): string {
  return digits.format(value);
}

/** Shades that the style sheet has. */
const SHADES = 10;

/** The class of a colour's strength, from 0 to 1. */
export function shade(share: number): string {
  return `shade-${Math.max(0, Math.min(SHADES - 1, Math.floor(share * SHADES)))}`;
}
