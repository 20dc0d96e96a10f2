// What the engine does when a GPU fails, with workers that only play a part: nothing
// that was said is said again, nothing is left out, and after two losses the CPU goes on.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { BackendNotice } from '../../../web/src/api/backend';
import type { EngineOptions, ModelSource } from '../../../web/src/api/types';
import { Engine, type Generation } from '../../../web/src/engine/engine';
import { openDevice } from '../../../web/src/gpu/device';
import type { GpuFault } from '../../../web/src/gpu/failure';
import type { GenerateRequest, LoadRequest, MainRequest, Role } from '../../../web/src/worker/protocol';

/** What the next workers with a GPU do: fail while loading or go on loading for ever, or fail after so
 *  many tokens of an answer. */
interface Part {
  readonly loading?: GpuFault | 'silent' | 'slow';
  readonly after?: number;
  readonly fault?: GpuFault;
}

const LOST: GpuFault = { code: 'gpu_lost', losses: 1 };
const SENSELESS: GpuFault = { code: 'gpu_senseless', repeated: null };
const TIMINGS = { memory_bytes: 1 };
const TOKENS = 10;
let parts: Part[] = [];
let started: string[] = [];
let loads: LoadRequest[] = [];
let asked: GenerateRequest[] = [];
let looked: string[] = [];

class FakeWorker {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onerror: unknown = null;
  #part: Part = {};
  #ended = false;

  constructor(url: string) {
    started.push(url);
  }

  terminate(): void {
    this.#ended = true;
  }

  postMessage(message: Role | MainRequest): void {
    if ('role' in message) {
      if (message.role !== 'main') return;
      const { gpu } = message.load;
      loads.push(message.load);
      this.#part = gpu === null ? {} : (parts.shift() ?? {});
      const { loading } = this.#part;
      const backend = gpu === null ? 'cpu' : 'webgpu';
      const facts = {
        backend,
        gpu: gpu === null ? null : { info: { kernels: { matvec: 'lane' } }, stats: {} },
        memory_bytes: 1,
        checks: [],
      };
      if (loading === 'slow') this.#report(50);
      else if (loading !== 'silent')
        this.#say(loading === undefined ? { type: 'loaded', facts } : crash(loading));
    } else if (message.type === 'generate') this.#generate(message);
    else if (message.type === 'tokenize')
      this.#say({ type: 'tokenized', id: message.id, ids: new Int32Array(3) });
    else if (message.type === 'load-vision' || message.type === 'encode') {
      looked.push(message.type);
      const reply = { id: message.id, memory_bytes: 1 };
      if (message.type === 'encode') this.#say({ type: 'encoded', ...reply });
      else this.#say({ type: 'vision', facts: SOURCE.manifest.vision, ...reply });
    } else if (message.type === 'load-adapter')
      this.#say({ type: 'adapter', id: message.id, facts: { rank: 1 }, memory_bytes: 1 });
  }

  #generate(request: GenerateRequest): void {
    asked.push(request);
    const { id, replay } = request;
    const { after = TOKENS, fault } = this.#part;
    for (let n = replay.length; n < Math.min(after, TOKENS); n++)
      this.#say({
        type: 'token',
        id,
        token: 100 + n,
        text: `${n} `,
        logprobs: null,
        n_past: n,
        timings: TIMINGS,
      });
    if (fault !== undefined) this.#say(crash(fault));
    else
      this.#say({
        type: 'done',
        id,
        text: '',
        finish: 'length',
        n_past: TOKENS,
        timings: TIMINGS,
        gpu: null,
      });
  }

  /** Progress every 20 s. */
  #report(times: number): void {
    if (times === 0 || this.#ended) return;
    this.onmessage?.({ data: { type: 'progress', progress: {} } });
    setTimeout(() => this.#report(times - 1), 20_000);
  }

  #say(data: object): void {
    setTimeout(() => this.#ended || this.onmessage?.({ data }));
  }
}

const crash = (gpu: GpuFault) => ({ type: 'crash', error: { code: 'crashed', message: gpu.code }, gpu });

const adapter = {
  info: { vendor: 'acme', architecture: '', device: '', description: 'Acme' },
  limits: new Proxy({}, { get: () => 2 ** 31 }),
};
const gpu = { requestAdapter: () => Promise.resolve(adapter) };
Object.assign(globalThis, { Worker: FakeWorker });
Object.defineProperty(globalThis, 'navigator', {
  value: { hardwareConcurrency: 1, gpu },
  configurable: true,
});

const SOURCE = {
  manifest: {
    memory: { n_ctx_default: 64 },
    adapters: [{ name: 'law', title: 'Law', file: 1 }],
    vision: {
      ...{ projector: 'gemma3', file: 2, image_size: 2, n_tokens: 300 },
      ...{ whole_picture: true, whole_prompt: false, masks: false },
    },
  },
  files: [new Blob(['model']), new Blob(['law']), new Blob(['eyes'])],
  wasm: (variant: string) => Promise.resolve(new TextEncoder().encode(variant).buffer),
  workerUrl: 'blob',
  gpuWorkerUrl: 'data',
} as unknown as ModelSource;
const GENERATION = { ids: new Int32Array([1]), adapters: [], steer: [] } as unknown as Generation;

interface Told {
  readonly engine: Engine;
  readonly notices: BackendNotice[];
}

async function start(script: readonly Part[], options: EngineOptions = {}): Promise<Told> {
  parts = [...script];
  started = [];
  loads = [];
  asked = [];
  looked = [];
  const notices: BackendNotice[] = [];
  const onNotice = (_: string, notice: BackendNotice) => notices.push(notice);
  return { engine: await Engine.start(SOURCE, { onNotice, ...options }), notices };
}

async function answer(engine: Engine, generation = GENERATION): Promise<string> {
  let text = '';
  const onToken = (report: { text: string }) => {
    text += report.text;
  };
  await engine.generate(generation, { onToken, onPrefill: () => undefined, signal: undefined });
  return text;
}

const WHOLE = '0 1 2 3 4 5 6 7 8 9 ';
const codes = (notices: readonly BackendNotice[]) => notices.map(({ code }) => code);

test('a device that is lost once is replaced, one that is lost twice by the CPU', async () => {
  const { engine, notices } = await start([
    { after: 3, fault: LOST },
    { after: 7, fault: LOST },
  ]);
  assert.equal(await answer(engine), WHOLE);
  assert.deepEqual(started, ['data', 'data', 'blob']);
  assert.deepEqual(
    asked.map(({ replay }) => Array.from(replay)),
    [[], [100, 101, 102], [100, 101, 102, 103, 104, 105, 106]],
  );
  assert.deepEqual(notices, [
    { code: 'gpu_lost', losses: 1 },
    { code: 'gpu_given_up', losses: 2 },
  ]);
  assert.deepEqual(engine.notices, notices);
  assert.deepEqual([engine.facts.backend, engine.losses], ['cpu', 2]);
});

const seeing = (...squares: number[]) =>
  ({
    ...GENERATION,
    pictures: squares.map((value, i) => ({
      width: 2,
      height: 2,
      rgb: new Uint8Array(12).fill(value),
      at: 300 * i,
    })),
  }) as Generation;

test('a picture is encoded once, by each team that sees it', async () => {
  const { engine } = await start([{}]);
  assert.deepEqual([loads[0]?.n_batch, loads[0]?.files.length], [512, 1]);
  await answer(engine);
  assert.deepEqual(looked, []);
  await answer(engine, seeing(1, 2));
  await answer(engine, seeing(2, 1, 3));
  assert.deepEqual(looked, ['load-vision', 'encode', 'encode', 'encode']);
  const [, first, second] = asked.map(({ pictures }) => pictures);
  assert.deepEqual(
    first!.map(([, at]) => at),
    [0, 300],
  );
  assert.deepEqual([second![0]![0], second![1]![0]], [first![1]![0], first![0]![0]]);
});

test('pictures are encoded again by the team that takes over', async () => {
  const { engine } = await start([{ after: 3, fault: LOST }]);
  assert.equal(await answer(engine, seeing(1)), WHOLE);
  assert.deepEqual(looked, ['load-vision', 'encode', 'load-vision', 'encode']);
  const [before, after] = asked.map(({ pictures }) => pictures[0]![0]);
  assert.notEqual(before, after);
});

test('a device that comes back is said to be used', async () => {
  const { engine } = await start([{ after: 3, fault: LOST }]);
  assert.equal(await answer(engine), WHOLE);
  assert.deepEqual(codes(engine.notices), ['gpu_lost', 'gpu_used']);
  assert.equal(engine.facts.backend, 'webgpu');
});

test('no other device: the CPU', async () => {
  const full: GpuFault = { code: 'gpu_out_of_memory', needed: 2, given: 1 };
  const { engine, notices } = await start([{ after: 3, fault: LOST }, { loading: full }]);
  assert.equal(await answer(engine), WHOLE);
  assert.deepEqual(codes(notices), ['gpu_lost', 'gpu_out_of_memory']);
  assert.equal(engine.facts.backend, 'cpu');
});

test('what a device told before it was found out is not asked for again', async () => {
  const { engine, notices } = await start([{ after: 9, fault: { code: 'gpu_senseless', repeated: 8 } }]);
  assert.equal(await answer(engine), WHOLE);
  assert.equal(asked[1]!.replay.length, 9);
  assert.deepEqual(codes(notices), ['gpu_senseless']);
});

test('adapters are loaded again by whoever takes over', async () => {
  const { engine } = await start([{ after: 3, fault: LOST }]);
  const generation = { ...GENERATION, adapters: [{ name: 'law' }] };
  assert.equal(await answer(engine, generation), WHOLE);
  const [first, second] = asked.map(({ adapters }) => adapters[0]![0]);
  assert(first !== second, 'the second worker knows no adapter of the first');
});

test('whoever takes over while nothing is asked answers the next question', async () => {
  const { engine } = await start([{ after: 0, fault: LOST }]);
  const ids = engine.tokenize('a', { special: true, bos: false });
  assert.equal(await answer(engine), WHOLE);
  assert.equal((await ids).length, 3);
});

test('a GPU that cannot start', async () => {
  const wrong: GpuFault = { code: 'gpu_wrong', check: 'weights', error: null, bound: null };
  const { engine, notices } = await start([{ loading: wrong }]);
  assert.deepEqual(started, ['data', 'blob']);
  assert.deepEqual(notices, [wrong]);
  assert.equal(engine.facts.backend, 'cpu');
  await assert.rejects(start([{ loading: wrong }], { variant: 'webgpu' }), { code: 'corrupt' });
});

test('a model that was disposed of while another device was on its way stays so', async () => {
  const { engine } = await start([{ after: 3, fault: LOST }]);
  const answered = answer(engine);
  while (engine.losses === 0) await new Promise((resolve) => setTimeout(resolve));
  engine.dispose();
  await assert.rejects(answered, { code: 'disposed' });
});

test('a device that is lost while it loads counts as a lost one', async () => {
  const once = await start([{ loading: LOST }]);
  assert.deepEqual(codes(once.engine.notices), ['gpu_lost', 'gpu_used']);
  assert.deepEqual([once.engine.facts.backend, once.engine.losses], ['webgpu', 1]);
  const twice = await start([{ loading: LOST }, { loading: LOST }]);
  assert.deepEqual(codes(twice.notices), ['gpu_lost', 'gpu_given_up']);
  assert.deepEqual(started, ['data', 'data', 'blob']);
  const later = await start([{ loading: LOST }, { after: 3, fault: LOST }]);
  assert.equal(await answer(later.engine), WHOLE);
  assert.deepEqual(codes(later.notices), ['gpu_lost', 'gpu_given_up']);
});

test('whoever wants the GPU and nothing else never gets the CPU', async () => {
  const strict = { variant: 'webgpu' } as const;
  const one = { after: 3, fault: LOST };
  const { engine, notices } = await start([one, { after: 5, fault: LOST }], strict);
  const message = 'The GPU was lost 2 times.';
  await assert.rejects(answer(engine), { code: 'crashed', message });
  await assert.rejects(answer(engine), { code: 'crashed', message });
  assert.deepEqual(codes(notices), ['gpu_lost']);
  assert.deepEqual(started, ['data', 'data']);
  await assert.rejects(start([{ loading: LOST }, { loading: LOST }], strict), { code: 'crashed', message });
  const nonsense = await start([{ after: 3, fault: SENSELESS }], strict);
  await assert.rejects(answer(nonsense.engine), { code: 'crashed' });
  assert.deepEqual(started, ['data']);
});

test('the CPU checks the answer that a GPU did not get right', async () => {
  const wrong: GpuFault = { code: 'gpu_wrong', check: 'known_answer', error: 1, bound: 0.1 };
  const verified = () => loads.map(({ verify }) => verify);
  await start([{ loading: wrong }]);
  assert.deepEqual(verified(), [false, true]);
  const { engine } = await start([{ after: 3, fault: LOST }, { loading: wrong }]);
  assert.equal(await answer(engine), WHOLE);
  assert.deepEqual(verified(), [false, false, true]);
  await start([{ loading: SENSELESS }]);
  assert.deepEqual(verified(), [false, false]);
});

test('what an earlier start found is handed on, and what this one found to the next device', async () => {
  const kernels = { matvec: 'sweep' };
  const { engine } = await start([{ after: 3, fault: LOST }], { kernels });
  assert.equal(await answer(engine), WHOLE);
  assert.deepEqual(
    loads.map((load) => load.kernels),
    [kernels, { matvec: 'lane' }],
  );
  await start([]);
  assert.deepEqual(loads[0]!.kernels, {});
  for (const wrong of [null, 'sweep', ['sweep'], { matvec: 1 }])
    await assert.rejects(start([], { kernels: wrong } as unknown as EngineOptions), {
      code: 'invalid_argument',
    });
});

test('the signal of a load that is over stops nobody who takes over', async () => {
  const loading = new AbortController();
  const script = [{ after: 3, fault: LOST }, { loading: SENSELESS }];
  const { engine } = await start(script, { signal: loading.signal });
  loading.abort();
  assert.equal(await answer(engine), WHOLE);
  assert.equal(engine.facts.backend, 'cpu');
});

const realTimeout = setTimeout;

/** Lets time go by until it is done; how many seconds that took. */
async function passing(work: Promise<unknown>): Promise<number> {
  let done = false;
  const end = () => {
    done = true;
  };
  work.then(end, end);
  let seconds = 0;
  for (; !done; seconds++) {
    await new Promise((resolve) => realTimeout(resolve));
    mock.timers.tick(1000);
  }
  return seconds;
}

test('a GPU that never answers does not keep the CPU from starting', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  const { requestAdapter } = gpu;
  gpu.requestAdapter = () => new Promise(() => undefined);
  try {
    const starting = start([]);
    const seconds = await passing(starting);
    assert(seconds < 70, `${seconds}`);
    const { engine } = await starting;
    assert.equal(engine.facts.backend, 'cpu');
    assert.deepEqual(engine.notices, [
      { code: 'gpu_failed', error: 'requestAdapter said nothing for 60 s.' },
    ]);
  } finally {
    gpu.requestAdapter = requestAdapter;
    mock.timers.reset();
  }
});

test('a GPU that begins to load and falls silent does not, either; one that is slow may be', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    const silent = start([{ loading: 'silent' }]);
    assert((await passing(silent)) < 150);
    const { engine, notices } = await silent;
    assert.deepEqual(notices, [{ code: 'gpu_failed', error: "the model's worker said nothing for 120 s." }]);
    assert.equal(engine.facts.backend, 'cpu');
    const slow = start([{ loading: 'slow' }]);
    assert((await passing(slow)) > 1000);
    assert.deepEqual(codes((await slow).notices), ['gpu_failed']);
  } finally {
    mock.timers.reset();
  }
});

test('a device that comes when nobody waits for it any more is destroyed', async () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let answer: (device: object) => void = () => undefined;
    const device = new Promise((resolve) => {
      answer = resolve;
    });
    const slow = { ...adapter, features: new Set(), requestDevice: () => device };
    const opening = openDevice({ adapter: slow as unknown as GPUAdapter, info: adapter.info });
    assert((await passing(opening)) < 70);
    await assert.rejects(opening, {
      notice: { code: 'gpu_failed', error: 'requestDevice said nothing for 60 s.' },
    });
    let destroyed = false;
    const destroy = () => {
      destroyed = true;
    };
    answer({ destroy });
    await new Promise((resolve) => realTimeout(resolve));
    assert(destroyed);
  } finally {
    mock.timers.reset();
  }
});
