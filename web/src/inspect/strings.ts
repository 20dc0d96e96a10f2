// The words of the page that looks inside in the language of the page; those of models
// and their downloads are the chat's.

import { type Language, language } from '../chat/language';
import { ar } from './strings/ar';
import { de } from './strings/de';
import { en } from './strings/en';
import { hi } from './strings/hi';
import type { InspectStrings } from './strings/shape';

export const ALL: Readonly<Record<Language, InspectStrings>> = { en, de, hi, ar };

export const I: InspectStrings = ALL[language];
