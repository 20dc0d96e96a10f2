// Three instances of a module on one memory, each in a thread of its own and
// with its own stack, take and free blocks at the same time. Prints how many
// blocks each found damaged. Arguments: the module, initial and maximum pages.
import { readFileSync } from 'node:fs';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

const ROUNDS = 300_000;

if (isMainThread) {
  const [path, initial, maximum] = process.argv.slice(2);
  const module = new WebAssembly.Module(readFileSync(path));
  const memory = new WebAssembly.Memory({ initial: Number(initial), maximum: Number(maximum), shared: true });
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  exports._initialize();
  const helpers = [2, 3].map((seed) => {
    const stack = exports.slm_aligned(16, 65536) + 65536;
    const tls = exports.slm_aligned(64, Math.max(exports.__tls_size.value, 1));
    const worker = new Worker(new URL(import.meta.url), { workerData: { module, memory, stack, tls, seed } });
    return new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
  });
  const own = exports.slm_churn(1, ROUNDS);
  console.log(JSON.stringify([own, ...(await Promise.all(helpers))]));
} else {
  const { module, memory, stack, tls, seed } = workerData;
  const { exports } = new WebAssembly.Instance(module, { env: { memory } });
  exports.__stack_pointer.value = stack;
  exports.__wasm_init_tls(tls);
  parentPort.postMessage(exports.slm_churn(seed, ROUNDS));
}
