// The bootstrap of the chat's sandboxed frame: disarms it and starts the chat. It is
// inlined into the srcdoc, whose policies allow this one script by its hash.

import './disarm'; // first, before any module can keep what it takes away

import { startChat } from '../chat/index';
import { meetShell } from './meet';

meetShell(startChat);
