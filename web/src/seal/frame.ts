// The bootstrap of the sandboxed frame: disarms it, waits for the shell's port
// and starts the chat on it. It is inlined into the srcdoc, whose policies allow
// this one script by its hash.

import './disarm'; // first, before any module can keep what it takes away

import { showFailure, startChat } from '../chat/index';
import { FrameHost } from './host';
import type { Hello } from './protocol';

const root = document.getElementById('root')!;
const hello: Hello = { type: 'slmweb' };

addEventListener('message', function meet({ source, data, ports }: MessageEvent) {
  if (source !== parent || (data as Partial<Hello> | null)?.type !== 'slmweb') return;
  const [port] = ports;
  if (port === undefined) {
    parent.postMessage(hello, '*'); // the shell came second and has not heard us
    return;
  }
  removeEventListener('message', meet);
  FrameHost.connect(port).then(
    (host) => startChat(host, root),
    (error: unknown) => showFailure(error, root),
  );
});
parent.postMessage(hello, '*');
