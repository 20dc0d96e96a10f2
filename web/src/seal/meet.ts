// How a page inside the sandboxed frame begins: it waits for the shell's port and
// starts on it, again and again while the site is away. What starts, it does not
// know; whoever imports this has disarmed the frame first.

import { showFailure } from '../chat/nostart';
import { FrameHost } from './host';
import type { ChatHost, FrameMessage, Hello } from './protocol';

export type Start = (host: ChatHost, root: HTMLElement) => void;

const hello: Hello = { type: 'slmweb' };

export function meetShell(start: Start): void {
  addEventListener('message', function meet({ source, data, ports }: MessageEvent) {
    if (source !== parent || (data as Partial<Hello> | null)?.type !== 'slmweb') return;
    const [port] = ports;
    if (port === undefined) {
      parent.postMessage(hello, '*'); // the shell came second and has not heard us
      return;
    }
    removeEventListener('message', meet);
    void begin(port, start);
  });
  parent.postMessage(hello, '*');
}

async function begin(port: MessagePort, start: Start): Promise<void> {
  const root = document.getElementById('root')!;
  for (let failures = 1; ; failures++) {
    try {
      const host = await FrameHost.connect(port);
      root.replaceChildren(); // what had failed before
      start(host, root);
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
