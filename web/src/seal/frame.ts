// The bootstrap of the sandboxed frame: disarms it, waits for the shell's port
// and starts the chat on it, again and again while the site is away. It is
// inlined into the srcdoc, whose policies allow this one script by its hash.

import './disarm'; // first, before any module can keep what it takes away

import { startChat } from '../chat/index';
import { showFailure } from '../chat/nostart';
import { FrameHost } from './host';
import type { FrameMessage, Hello } from './protocol';

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
  void begin(port);
});
parent.postMessage(hello, '*');

async function begin(port: MessagePort): Promise<void> {
  for (let failures = 1; ; failures++) {
    try {
      const host = await FrameHost.connect(port);
      root.replaceChildren(); // what had failed before
      startChat(host, root);
      drawn(port);
      return;
    } catch (error) {
      const again = showFailure(error, root, failures);
      drawn(port);
      await again;
    }
  }
}

/** Once it can be seen, not before. */
function drawn(port: MessagePort): void {
  requestAnimationFrame(() => port.postMessage({ type: 'drawn' } satisfies FrameMessage));
}
