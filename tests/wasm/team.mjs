// Evaluates a model on a team of threads, each a Node worker with an instance of
// the module on the shared memory. Arguments: a JSON object {module, initial,
// maximum, model, size: members of the team, started: how many of them ever
// serve, prompt, tokens, n_ctx}. Prints JSON: a hash over the bits of all logits, and
// the milliseconds of the prompt and of the tokens after it.
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

function load(exports, memory, path) {
  const file = openSync(path);
  const size = statSync(path).size;
  const staging = 1 << 24;
  const buffer = exports.slm_alloc(staging);
  const read = (offset, n) => readSync(file, new Uint8Array(memory.buffer, buffer, n), 0, n, offset);
  const model = exports.slm_model_new();
  check(exports, memory, exports.slm_model_header(model, buffer, read(0, Math.min(size, staging)), size));
  check(exports, memory, exports.slm_model_layout(model));
  const { tensors, n_vocab } = JSON.parse(text(memory, exports.slm_model_describe(model)));
  for (const [i, t] of tensors.entries()) {
    const step = Math.max(1, Math.floor(staging / t.granule)) * t.granule;
    for (let at = 0; at < t.size; at += step) {
      const n = read(t.offset + at, Math.min(step, t.size - at));
      check(exports, memory, exports.slm_model_feed(model, i, at, buffer, n));
    }
  }
  check(exports, memory, exports.slm_model_ready(model));
  exports.slm_free(buffer);
  return { model, n_vocab };
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
  const { model, n_vocab } = load(exports, memory, options.model);
  const helpers = await start(exports, module, memory, options);
  const n_ctx = options.n_ctx ?? 512;
  const n_batch = Math.min(n_ctx, 128);
  const session = exports.slm_session_new(model, n_ctx, n_batch);
  check(exports, memory, session === 0 ? -1 : 0);
  const ids = exports.slm_alloc(n_batch * 4);
  const hash = createHash('sha256');
  // Numbers of tokens that any vocabulary has.
  const token = (i) => (i * 7919 + 13) % Math.min(n_vocab, 40000);
  const evaluate = (first, n) => {
    new Int32Array(memory.buffer, ids, n).set(Array.from({ length: n }, (_, i) => token(first + i)));
    check(exports, memory, exports.slm_session_eval(session, ids, n, 1));
    hash.update(Buffer.from(new Uint8Array(memory.buffer, exports.slm_session_logits(session), n_vocab * 4)));
  };
  let began = performance.now();
  let at = 0;
  for (; at < options.prompt; at += n_batch) evaluate(at, Math.min(n_batch, options.prompt - at));
  const prefill_ms = performance.now() - began;
  began = performance.now();
  for (let i = 0; i < options.tokens; i++) evaluate(options.prompt + i, 1);
  const decode_ms = performance.now() - began;
  exports.slm_session_free(session);
  exports.slm_model_free(model);
  exports.slm_threads_stop();
  await Promise.all(helpers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))));
  console.log(JSON.stringify({ hash: hash.digest('hex'), prefill_ms, decode_ms }));
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
