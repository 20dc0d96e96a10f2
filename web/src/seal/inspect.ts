// The bootstrap of the sandboxed frame of the page that looks inside; the same as the
// chat's, frame.ts.

import './disarm'; // first, before any module can keep what it takes away

import { startInspect } from '../inspect/index';
import { meetShell } from './meet';

meetShell(startInspect);
