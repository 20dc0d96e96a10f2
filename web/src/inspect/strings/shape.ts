// What every language has. Types only.

import type { Words } from '../../chat/strings/shape';
import type { en } from './en';

export type InspectStrings = Words<typeof en>;
