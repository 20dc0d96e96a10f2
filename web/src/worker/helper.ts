// A helper thread: an instance of the core on the main worker's memory. It
// feeds its share of tensors, then enters slm_thread_main and stays there until
// its worker is terminated; from that moment on no message reaches it.

import { Core } from '../core/core';
import { Model } from '../core/model';
import { describeFailure, reportCrash } from './failure';
import { feedUnits } from './load';
import type { FeedStart, HelperReply, HelperRequest, ThreadStart } from './protocol';

export function runHelper(port: MessagePort): void {
  let core: Core;
  const reply = (message: HelperReply) => port.postMessage(message);
  const handle = async (request: HelperRequest): Promise<void> => {
    switch (request.type) {
      case 'start':
        core = await startThread(request);
        break;
      case 'feed':
        await feed(core, request, reply);
        break;
      case 'serve':
        try {
          core.exports.slm_thread_main(request.index);
        } catch (error) {
          reportCrash(error); // it may have left a piece half committed: only the page can still end this
        }
        break;
    }
  };
  // One after the other: a feed must not overtake the instantiation.
  let last = Promise.resolve();
  port.onmessage = ({ data }: MessageEvent<HelperRequest>) => {
    last = last
      .then(() => handle(data))
      .catch((error: unknown) => reply({ type: 'failed', error: describeFailure(error) }));
  };
}

async function startThread({ module, memory, stackTop, tls }: ThreadStart): Promise<Core> {
  const core = await Core.instantiate(module, memory, false);
  core.exports.__stack_pointer.value = stackTop;
  core.exports.__wasm_init_tls(tls);
  return core;
}

async function feed(
  core: Core,
  { model, files, units, cursor, staging }: FeedStart,
  reply: (message: HelperReply) => void,
): Promise<void> {
  for await (const bytes of feedUnits(new Model(core, model), files, units, cursor, staging))
    reply({ type: 'fed', bytes });
  reply({ type: 'fed-all' });
}
