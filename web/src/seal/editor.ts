// The bootstrap of the editor's sandboxed frame; the same as the chat's, frame.ts.

import './disarm'; // first, before any module can keep what it takes away

import { startEditor } from '../editor/index';
import { meetShell } from './meet';

meetShell(startEditor);
