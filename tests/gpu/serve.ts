// The variant `webgpu` of the core on Dawn, for a Python process at the other end of
// stdin and stdout (core.py): it calls exports by name and reads and writes linear
// memory. Each message is a line of JSON, and what it says of bytes follows it.
//
//   node serve.mjs <slm-webgpu.wasm> [{"maxBinding": bytes}]

import { readFileSync } from 'node:fs';
import { argv, exit, stdin, stdout } from 'node:process';
import { OPERATIONS } from '../../web/src/generated/gpu';
import { GpuHost } from '../../web/src/gpu/host';
import { expand } from '../../web/src/gpu/shaders';
import { openDawn } from './open';

/** The exit code for Python to know it by. */
const NO_DEVICE = 3;

interface Request {
  readonly call?: string;
  /** Numbers as text. */
  readonly args?: readonly string[];
  readonly read?: number;
  readonly write?: number;
  readonly n?: number;
  readonly facts?: boolean;
}

const gpu = await openDawn();
if (gpu === null) exit(NO_DEVICE);
const [file, wish = '{}'] = argv.slice(2);
const host = await GpuHost.open(
  { operations: OPERATIONS, expand },
  { gpu, software: true, ...JSON.parse(wish) },
);
const { instance } = await WebAssembly.instantiate(readFileSync(file!), {
  gpu: host.imports as unknown as WebAssembly.ModuleImports,
});
const exports = instance.exports as Record<string, CallableFunction> & { memory: WebAssembly.Memory };
const { memory } = exports;
host.attach(memory);
exports._initialize?.();

async function answer({ call, args = [], read, write, n = 0 }: Request, bytes: Uint8Array): Promise<object> {
  if (call !== undefined) {
    // As a page does it: what will be needed is known, and compiled, before the weights are there.
    let result: number | undefined;
    const run = () => {
      result = exports[call]!(...args.map(Number)) as number | undefined;
    };
    if (call === 'slm_model_prepare') await host.compile(run);
    else run();
    await host.settle();
    const told = Number.isFinite(result) ? result : result === undefined ? null : String(result);
    return { result: told, size: memory.buffer.byteLength };
  }
  if (read !== undefined) return { bytes: new Uint8Array(memory.buffer, read, n) };
  if (write !== undefined) {
    new Uint8Array(memory.buffer, write, n).set(bytes);
    return {};
  }
  return { info: host.info(), stats: host.stats(), pipelines: host.pipelines };
}

const decoder = new TextDecoder();
let pending = new Uint8Array();
for await (const chunk of stdin) {
  const joined = new Uint8Array(pending.length + chunk.length);
  joined.set(pending);
  joined.set(chunk, pending.length);
  pending = joined;
  for (;;) {
    const end = pending.indexOf(10);
    if (end < 0) break;
    const request = JSON.parse(decoder.decode(pending.subarray(0, end))) as Request;
    const n = request.write === undefined ? 0 : request.n!;
    if (pending.length < end + 1 + n) break;
    const bytes = pending.subarray(end + 1, end + 1 + n);
    pending = pending.slice(end + 1 + n);
    const reply = await answer(request, bytes).catch((error: unknown) => ({
      failed: error instanceof Error ? error.message : String(error),
    }));
    const { bytes: content = null, ...rest } = reply as { bytes?: Uint8Array };
    stdout.write(`${JSON.stringify({ ...rest, n: content?.length ?? 0 })}\n`);
    if (content !== null) stdout.write(content.slice());
  }
}
exit(0);
