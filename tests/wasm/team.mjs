// Evaluates a model on a team of threads, each a Node worker with an instance of
// the module on the shared memory. Arguments: a JSON object {module, initial,
// maximum, model, size: members of the team, started: how many of them ever
// serve, prompt, tokens, n_ctx, mixes: for each evaluation of the whole the
// adapters, as pairs of a file and a scale}. Prints JSON: for each mix a hash over
// the bits of all logits, and the milliseconds of the prompt and of the tokens after it.
import { createHash } from 'node:crypto';
import { openSync, readFileSync, readSync, statSync } from 'node:fs';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

const STACK_BYTES = 256 * 1024;

function check(exports, memory, status) {
  if (status >= 0) return status;
  const at = exports.slm_error();
  const bytes = Buffer.from(memory.buffer).subarray(at);
  throw new Error(Buffer.from(bytes.subarray(0, bytes.indexOf(0))).toString());
}

function text(memory, at) {
  const bytes = new Uint8Array(memory.buffer);
  return Buffer.from(bytes.slice(at, bytes.indexOf(0, at))).toString();
}

// Loads a model, or an adapter of `base`: the ABI has the same calls for both.
function load(exports, memory, path, kind, base = []) {
  const call = (name, ...args) => exports[`slm_${kind}_${name}`](...args);
  const file = openSync(path);
  const size = statSync(path).size;
  const staging = 1 << 24;
  const buffer = exports.slm_alloc(staging);
  const read = (offset, n) => readSync(file, new Uint8Array(memory.buffer, buffer, n), 0, n, offset);
  const handle = call('new', ...base);
  check(exports, memory, call('header', handle, buffer, read(0, Math.min(size, staging)), size));
  if (kind === 'model') check(exports, memory, call('layout', handle));
  const description = JSON.parse(text(memory, call('describe', handle)));
  for (const [i, t] of description.tensors.entries()) {
    const step = Math.max(1, Math.floor(staging / t.granule)) * t.granule;
    for (let at = 0; at < t.size; at += step) {
      const n = read(t.offset + at, Math.min(step, t.size - at));
      check(exports, memory, call('feed', handle, i, at, buffer, n));
    }
  }
  check(exports, memory, call('ready', handle));
  exports.slm_free(buffer);
  return { handle, description };
}

async function start(exports, module, memory, { size, started }) {
  check(exports, memory, exports.slm_threads_start(size));
  const helpers = [];
  for (let index = 1; index < started; index++) {
    const align = Math.max(16, exports.__tls_align.value);
    const block = exports.slm_alloc(STACK_BYTES + align + exports.__tls_size.value);
    const stack = Math.ceil((block + STACK_BYTES) / align) * align;
    const worker = new Worker(new URL(import.meta.url), { workerData: { module, memory, stack, index } });
    helpers.push(worker);
    await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  }
  return helpers;
}

async function main(options) {
  const module = new WebAssembly.Module(readFileSync(options.module));
  const { initial, maximum } = options;
  const memory = new WebAssembly.Memory({ initial, maximum, shared: true });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  exports._initialize();
  const { handle: model, description } = load(exports, memory, options.model, 'model');
  const { n_vocab } = description;
  const mixes = options.mixes ?? [[]];
  const adapters = new Map(
    mixes.flat().map(([path]) => [path, load(exports, memory, path, 'adapter', [model]).handle]),
  );
  const helpers = await start(exports, module, memory, options);
  const n_ctx = options.n_ctx ?? 512;
  const n_batch = Math.min(n_ctx, 128);
  const session = exports.slm_session_new(model, n_ctx, n_batch);
  check(exports, memory, session === 0 ? -1 : 0);
  const use = (mix) => {
    const room = exports.slm_alloc(8 * mix.length + 8);
    new Uint32Array(memory.buffer, room, mix.length).set(mix.map(([path]) => adapters.get(path)));
    const scales = room + 4 * mix.length;
    new Float32Array(memory.buffer, scales, mix.length).set(mix.map(([, scale]) => scale));
    check(exports, memory, exports.slm_session_adapters(session, room, scales, mix.length));
    exports.slm_free(room);
    exports.slm_session_reuse(session, room, 0);
  };
  check(exports, memory, exports.slm_session_exact(session, options.exact ? 1 : 0));
  const ids = exports.slm_alloc(n_batch * 4);
  // Numbers of tokens that any vocabulary has.
  const token = (i) => (i * 7919 + 13) % Math.min(n_vocab, 40000);
  const evaluate = (first, n, hash) => {
    new Int32Array(memory.buffer, ids, n).set(Array.from({ length: n }, (_, i) => token(first + i)));
    check(exports, memory, exports.slm_session_eval(session, ids, n, 1));
    hash.update(Buffer.from(new Uint8Array(memory.buffer, exports.slm_session_logits(session), n_vocab * 4)));
  };
  const measure = (mix) => {
    use(mix);
    const hash = createHash('sha256');
    let began = performance.now();
    for (let at = 0; at < options.prompt; at += n_batch)
      evaluate(at, Math.min(n_batch, options.prompt - at), hash);
    const prefill_ms = performance.now() - began;
    began = performance.now();
    for (let i = 0; i < options.tokens; i++) evaluate(options.prompt + i, 1, hash);
    return { hash: hash.digest('hex'), prefill_ms, decode_ms: performance.now() - began };
  };
  const results = mixes.map(measure);
  exports.slm_session_free(session);
  for (const adapter of adapters.values()) exports.slm_adapter_free(adapter);
  exports.slm_model_free(model);
  exports.slm_threads_stop();
  await Promise.all(helpers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
  console.log(JSON.stringify(results));
}

if (isMainThread) {
  await main(JSON.parse(process.argv[2]));
} else {
  const { module, memory, stack, index } = workerData;
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  exports.__stack_pointer.value = stack;
  exports.__wasm_init_tls(stack);
  parentPort.postMessage('started');
  exports.slm_thread_main(index);
}
