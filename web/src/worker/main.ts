// The main compute worker: loads the model, together with the helper threads
// when there are any, then serves requests. A failed request is answered with
// its error; anything that is not an SlmError is a crash, after which this
// worker only waits to be terminated.

import type { Check } from '../api/backend';
import { Adapter, type AdapterFacts } from '../core/adapter';
import { Core, type Device } from '../core/core';
import { SlmError } from '../core/error';
import { Model } from '../core/model';
import { type Reserved, reserveMemory } from '../core/reserve';
import { Sae, type SaeFacts } from '../core/sae';
import { Session } from '../core/session';
import type { GpuHost } from '../gpu/host';
import { Meter } from '../store/meter';
import { checkAnswer, checkKernels, checkWeights, mustPass } from './checks';
import { describeFailure, isCrash, reportCrash } from './failure';
import { formsInTurn, provenForm } from './forms';
import { generate } from './generate';
import { compile, openGpu } from './gpu';
import { inspect } from './inspect';
import { feedUnits, pieceBytesFor, planUnits, readHeaders } from './load';
import type {
  AdapterIds,
  FeedStart,
  HelperReply,
  HelperRequest,
  LoadedFacts,
  LoadRequest,
  MainReply,
  MainRequest,
} from './protocol';
import { Sanity } from './sanity';
import { LoadedFiles } from './side_files';
import { steered } from './steer';
import { LoadedVision } from './vision';

const STACK_BYTES = 256 * 1024;

const post = (reply: MainReply): void => self.postMessage(reply);

export async function runMain(helpers: readonly MessagePort[], request: LoadRequest): Promise<void> {
  try {
    const { facts, model, session, host } = await load(helpers, request);
    post({ type: 'loaded', facts });
    serve(model, session, host, request.known_answer);
  } catch (error) {
    // Without a model there is nothing to serve, so a plain error ends the engine too.
    reportCrash(error);
  }
}

async function load(
  helpers: readonly MessagePort[],
  request: LoadRequest,
): Promise<{ facts: LoadedFacts; model: Model; session: Session; host: GpuHost | null }> {
  const meter = new Meter((progress) => post({ type: 'progress', progress }));
  meter.start('compile', 0, 0);
  const host = request.gpu === null ? null : await openGpu(request.gpu);
  const module = await WebAssembly.compile(request.wasm);
  const reserved = request.shared ? reserve() : null;
  const memory = reserved?.memory ?? null;
  let loading = true;
  // Whoever waits for the model gives up on a device that is silent for too long.
  const alive = () => {
    if (loading) meter.add(0);
  };
  const core = await Core.instantiate(module, memory, true, host === null ? null : heard(host, alive));
  const threads = helpers.length + 1;
  if (memory !== null) for (const helper of helpers) startHelper(core, module, memory, helper);
  const model = new Model(core);
  readHeaders(model, request.files);
  model.layout();
  const { tensors, ...facts } = model.describe();
  const shape = { n_ctx: Math.min(request.n_ctx, facts.n_ctx_train), n_batch: request.n_batch };
  const forms = host === null ? null : formsInTurn(host, core, request.kernels.matvec);
  const first = (await forms?.next())?.value;
  const compiling = () => (host === null ? Promise.resolve() : compile(host, model, shape, meter));
  const begun = compiling();
  begun.catch(() => undefined); // it is awaited when the weights are there
  const pieceBytes = pieceBytesFor(threads);
  const units = planUnits(tensors, pieceBytes);
  meter.start(
    'load',
    0,
    units.reduce((n, unit) => n + unit.size, 0),
  );
  const tune = () => first?.name ?? core.tuneDot();
  host?.startProof();
  let dot = await feedAll(model, helpers, request.files, units, pieceBytes, meter, tune);
  model.ready();
  const checks: Check[] = [];
  let rounds = false;
  if (host !== null && forms !== null && first !== undefined) {
    checks.push(mustPass(await checkWeights(host)));
    meter.start('compile', 0, 0);
    const { form, check } = await provenForm(model, first, forms, begun, compiling);
    dot = form.name;
    rounds = form.rounds;
    checks.push(check);
  }

  if (threads > 1) {
    core.check(core.exports.slm_threads_start(threads));
    for (const [i, helper] of helpers.entries()) send(helper, { type: 'serve', index: i + 1 });
  }
  // A session has scratch space for each thread, so it comes after them.
  const session = new Session(model, shape.n_ctx, shape.n_batch);
  await session.settle();
  if (host !== null) checks.push(mustPass(await checkAnswer(model, session, request.known_answer, rounds)));
  else if (request.verify) checks.push(await checkCpu(model, request.known_answer));
  loading = false;
  return {
    model,
    session,
    host,
    facts: {
      model: facts,
      n_ctx: session.n_ctx,
      threads,
      dot,
      memory_bytes: core.memoryBytes,
      memory_maximum: reserved?.maximum ?? null,
      backend: host === null ? 'cpu' : 'webgpu',
      gpu: host === null ? null : { info: { ...host.info(), kernels: { matvec: dot } }, stats: host.stats() },
      checks,
    },
  };
}

/** The host; `alive` is told of each wait that has ended. */
function heard(host: GpuHost, alive: () => void): Device {
  const settle = async () => {
    await host.settle();
    alive();
  };
  return { imports: host.imports, attach: (memory) => host.attach(memory), settle };
}

async function checkCpu(model: Model, answer: LoadRequest['known_answer']): Promise<Check> {
  const check = await checkAnswer(model, null, answer);
  if (check.state !== 'failed') return check;
  throw new SlmError(
    'corrupt',
    `Expected the manifest's known answer within ${check.bound}, found it off by ${check.error?.toPrecision(3)}. ${check.detail} The stored weights are damaged, or this device computes wrongly; fetch the model again, or use another device.`,
  );
}

function reserve(): Reserved {
  const reserved = reserveMemory();
  if (reserved !== null) return reserved;
  throw new SlmError(
    'out_of_memory',
    'Expected to reserve 1 GiB of addresses for the threads, found none; close other tabs or load the model with one thread.',
  );
}

/** Stack and TLS come from the main instance, because only it may allocate. */
function startHelper(
  core: Core,
  module: WebAssembly.Module,
  memory: WebAssembly.Memory,
  helper: MessagePort,
): void {
  const align = (n: number, to: number) => Math.ceil(n / to) * to;
  const tlsSize = Number(core.exports.__tls_size.value);
  const tlsAlign = Math.max(16, Number(core.exports.__tls_align.value));
  const block = core.alloc(STACK_BYTES + tlsAlign + tlsSize);
  const stackTop = align(block + STACK_BYTES, 16);
  send(helper, { type: 'start', module, memory, stackTop, tls: align(stackTop, tlsAlign) });
}

/** Feeds all units on all threads; returns the form of products that `tune` chose meanwhile. */
async function feedAll(
  model: Model,
  helpers: readonly MessagePort[],
  files: readonly Blob[],
  units: FeedStart['units'],
  pieceBytes: number,
  meter: Meter,
  tune: () => string,
): Promise<string> {
  const { core } = model;
  const cursor = core.alloc(4);
  core.bytes(cursor, 4).fill(0);
  const buffers = [...helpers, null].map(() => core.alloc(pieceBytes));
  const others = helpers.map((helper, i) => {
    const fed = feedingOf(helper, meter);
    send(helper, {
      type: 'feed',
      model: model.pointer,
      files,
      units,
      cursor,
      staging: buffers[i]!,
    });
    return fed;
  });
  const own = async () => {
    const dot = tune(); // while the helpers load
    for await (const bytes of feedUnits(model, files, units, cursor, buffers.at(-1)!)) {
      meter.add(bytes);
      await core.settle();
      await tick();
    }
    return dot;
  };
  const [dot] = await Promise.all([own(), ...others]);
  for (const buffer of buffers) core.free(buffer);
  core.free(cursor);
  return dot;
}

function feedingOf(helper: MessagePort, meter: Meter): Promise<void> {
  return new Promise((resolve, reject) => {
    helper.onmessage = ({ data }: MessageEvent<HelperReply>) => {
      if (data.type === 'fed') meter.add(data.bytes);
      else if (data.type === 'fed-all') resolve();
      else reject(SlmError.fromWire(data.error));
    };
  });
}

function send(helper: MessagePort, message: HelperRequest): void {
  helper.postMessage(message);
}

function serve(
  model: Model,
  session: Session,
  host: GpuHost | null,
  known_answer: LoadRequest['known_answer'],
): void {
  const { core } = model;
  // Also when nothing is asked for: the next answer can begin at once then.
  host?.lost.then(reportCrash);
  const aborted = new Set<number>();
  const adapters = new LoadedFiles<AdapterFacts, Adapter>(model, (of) => new Adapter(of), 'an adapter');
  const saes = new LoadedFiles<SaeFacts, Sae>(model, (of) => new Sae(of), 'an autoencoder');
  const vision = new LoadedVision(model, async (encoder) => {
    if (host !== null) mustPass(await checkKernels(model, encoder));
  });
  const prove = async () => {
    mustPass(await checkKernels(model));
    mustPass(await checkAnswer(model, null, known_answer));
  };
  const use = (wanted: AdapterIds) =>
    session.adapters(wanted.map(([adapter, scale]) => [adapters.get(adapter).part, scale]));
  const sane = () => new Sanity(model, session, host === null ? null : prove);
  const answer = async (request: Exclude<MainRequest, { type: 'abort' }>): Promise<MainReply> => {
    const { id } = request;
    const isAborted = () => aborted.delete(id);
    switch (request.type) {
      case 'tokenize':
        return { type: 'tokenized', id, ids: model.tokenize(request.text, request) };
      case 'detokenize':
        return { type: 'detokenized', id, bytes: model.detokenize(request.ids, request) };
      case 'embed':
        use(request.adapters);
        session.eval(request.ids, 'embedding');
        await session.settle();
        return { type: 'embedded', id, embedding: sane().embedding(request.dimensions) };
      case 'load-adapter': {
        const facts = await adapters.load(id, request.file, tick);
        return { type: 'adapter', id, facts, memory_bytes: core.memoryBytes };
      }
      case 'load-sae': {
        const facts = await saes.load(id, request.file, tick);
        return { type: 'sae', id, facts, memory_bytes: core.memoryBytes };
      }
      case 'sae-labels': {
        const { part, facts } = saes.get(request.sae);
        return { type: 'labels', id, labels: part.labels(facts.features) };
      }
      case 'free-sae':
        saes.free(request.sae);
        return { type: 'freed', id };
      case 'free-adapter':
        adapters.free(request.adapter);
        return { type: 'freed', id };
      case 'load-vision': {
        const facts = await vision.load(request.file, tick);
        return { type: 'vision', id, facts, memory_bytes: core.memoryBytes };
      }
      case 'encode':
        await vision.encode(id, request);
        return { type: 'encoded', id, memory_bytes: core.memoryBytes };
      case 'mask':
        return { type: 'mask', id, values: await vision.mask(request.codes) };
      case 'free-picture':
        vision.free(request.picture);
        return { type: 'freed', id };
      case 'inspect': {
        use(request.adapters);
        vision.show(session, []);
        const found = await steered(request.steer, session, saes, () =>
          inspect(request, { model, session, saes, prove: host === null ? null : prove, tick, isAborted }),
        );
        return { type: 'inspected', id, found };
      }
      case 'generate':
        use(request.adapters);
        return steered(request.steer, session, saes, () =>
          generate(request, { model, session, vision, host, prove, post, tick, isAborted }),
        );
    }
  };
  self.onmessage = ({ data }: MessageEvent<MainRequest>) => {
    if (data.type === 'abort') {
      aborted.add(data.id);
      return;
    }
    answer(data).then(post, (error: unknown) => {
      if (isCrash(error)) reportCrash(error);
      else post({ type: 'error', id: data.id, error: describeFailure(error) });
    });
  };
}

// setTimeout would wait 4 ms once nested; a message to oneself comes back at once, after those
// that are already waiting.
const turns: (() => void)[] = [];
const loop = new MessageChannel();
loop.port1.onmessage = () => turns.shift()?.();

// Even so it passes through a thread of the browser, which has to wait for a core where the device
// is busy. What it lets in is an abort, and for that a person would not notice more turns.
const TURN_MS = 8;
let turned = 0;

function tick(): Promise<void> {
  const now = performance.now();
  if (now - turned < TURN_MS) return Promise.resolve();
  turned = now;
  return new Promise((resolve) => {
    turns.push(resolve);
    loop.port2.postMessage(null);
  });
}
