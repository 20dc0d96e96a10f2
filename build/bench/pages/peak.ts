// Asks one worker for each thread for its peak and adds them up. The workers
// do the same things in the same order, so that they load the machine at once.

import type { PeakReply, PeakRequest } from './protocol';
import { expose } from './stream';

type Answer = PeakReply | { readonly error: string };

function thread(request: PeakRequest): Promise<PeakReply> {
  const worker = new Worker('/pages/peak_worker.js', { type: 'module' });
  return new Promise<PeakReply>((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.onmessage = ({ data }: MessageEvent<Answer>) =>
      'error' in data ? reject(new Error(data.error)) : resolve(data);
    worker.postMessage(request);
  }).finally(() => worker.terminate());
}

async function measure(request: PeakRequest): Promise<PeakReply> {
  const replies = await Promise.all(Array.from({ length: request.threads }, () => thread(request)));
  const sum = (key: keyof PeakReply): number => replies.reduce((total, reply) => total + reply[key], 0);
  return {
    dot_macs_per_s: sum('dot_macs_per_s'),
    kernel_macs_per_s: sum('kernel_macs_per_s'),
    read_bytes_per_s: sum('read_bytes_per_s'),
  };
}

expose({ measure });
