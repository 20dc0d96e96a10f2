// The words of the chat in the language of the page: `S.send`, `S.tokens(n, …)`.
// Every language is a file in strings/ with the keys of the English one.

import { type Language, language } from './language';
import { ar } from './strings/ar';
import { de } from './strings/de';
import { en } from './strings/en';
import { hi } from './strings/hi';
import type { Strings } from './strings/shape';

export const ALL: Readonly<Record<Language, Strings>> = { en, de, hi, ar };

export const S: Strings = ALL[language];
