// What every language has: the keys, arguments and lists of the English words,
// with any text in them. Types only.

import type { computing } from './computing/en';
import type { en } from './en';

export type Words<T> = T extends string
  ? string
  : T extends (...given: infer G) => string
    ? (...given: G) => string
    : { readonly [K in keyof T]: Words<T[K]> };

export type Strings = Words<typeof en>;
/** The part of them that has files of its own. */
export type Computing = Words<typeof computing>;
