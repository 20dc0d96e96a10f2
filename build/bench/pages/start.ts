// One start of a model on the GPU, through the public API that any page uses: how long
// it takes until an answer could begin, and what of it is what.

import type { GpuInfo } from '../../../web/src/api/backend';
import type { LoadPhase } from '../../../web/src/api/types';
import { SLM } from './served';
import { expose } from './stream';

interface Request {
  readonly model: string;
  readonly kernels: GpuInfo['kernels'];
}
/** Seconds. */
interface Result {
  readonly ready_s: number;
  /** Looking at what is stored, and fetching the rest. */
  readonly fetch_s: number;
  /** From there to the first weight: device, core, timing the forms. */
  readonly device_s: number;
  readonly weights_s: number;
  /** What is left of the programs, and the checks. */
  readonly checks_s: number;
  /** During which something compiled: some of all others. */
  readonly compile_s: number;
  readonly pipelines: number;
  readonly kernels: GpuInfo['kernels'];
  readonly adapter: GpuInfo['adapter'];
  readonly emulated: boolean;
}

type Part = 'fetch_s' | 'device_s' | 'weights_s' | 'checks_s';

async function measure({ model, kernels }: Request): Promise<Result> {
  const spent = { fetch_s: 0, device_s: 0, weights_s: 0, checks_s: 0 };
  let part: Part = 'fetch_s';
  let pipelines = 0;
  const start = performance.now();
  let since = start;
  const enter = (next: Part) => {
    const now = performance.now();
    spent[part] += (now - since) / 1000;
    [part, since] = [next, now];
  };
  const slm = await SLM.load(model, {
    baseUrl: '/',
    backend: 'webgpu',
    kernels,
    onProgress: ({ phase, pipelines: programs }) => {
      pipelines = programs?.total ?? pipelines;
      enter(partOf(phase, part));
    },
  });
  enter(part);
  const ready_s = (performance.now() - start) / 1000;
  const { gpu, backend_reason } = slm.info;
  if (gpu === null) throw new Error(`expected a model on the GPU, found another: ${backend_reason}`);
  await slm.dispose();
  const { compile_ms, adapter, emulated, kernels: served } = gpu;
  return { ready_s, ...spent, compile_s: compile_ms / 1000, pipelines, kernels: served, adapter, emulated };
}

/** What comes before the weights and what comes after them are called the same. */
function partOf(phase: LoadPhase, before: Part): Part {
  if (phase === 'load') return 'weights_s';
  if (phase !== 'compile') return 'fetch_s';
  return before === 'weights_s' || before === 'checks_s' ? 'checks_s' : 'device_s';
}

expose({ measure });
