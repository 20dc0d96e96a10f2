// One thread of the peak measurement: times peak.wasm and the core's own dot
// kernels. Each thread has its own instance and memory, so that threads share
// nothing but the machine.

import type { PeakReply, PeakRequest } from './protocol';

interface PeakExports {
  readonly memory: WebAssembly.Memory;
  peak_dots(n: number, seed: number, sink: number): number;
  peak_buffer(): number;
  peak_read(bytes: number, n: number): number;
}
interface CoreExports {
  _initialize(): void;
  slm_dot_count(): number;
  slm_dot_bench(i: number, n: number): number;
}

const PAGE = 65536;

/** Amount per second: doubles the rounds until they fill `seconds`. */
function rate(seconds: number, amount: (rounds: number) => number): number {
  for (let rounds = 1; ; rounds *= 2) {
    const start = performance.now();
    const done = amount(rounds);
    const elapsed = (performance.now() - start) / 1000;
    if (elapsed >= seconds) return done / elapsed;
  }
}

async function instantiate<T>(url: string): Promise<T> {
  const { instance } = await WebAssembly.instantiate(await (await fetch(url)).arrayBuffer());
  return instance.exports as T;
}

async function fastestKernel(url: string, seconds: number): Promise<number> {
  const core = await instantiate<CoreExports>(url);
  core._initialize();
  const forms = Array.from({ length: core.slm_dot_count() }, (_, i) =>
    rate(seconds, (rounds) => {
      const millions = core.slm_dot_bench(i, rounds);
      if (millions < 0) throw new Error(`slm_dot_bench(${i}) returned ${millions}`);
      return millions * 1e6;
    }),
  );
  return Math.max(...forms);
}

async function run({ peak_wasm, core_wasm, bytes, seconds }: PeakRequest): Promise<PeakReply> {
  const peak = await instantiate<PeakExports>(peak_wasm);
  const buffer = peak.peak_buffer();
  const n = Math.floor(bytes / 128) * 128;
  peak.memory.grow(Math.ceil((buffer + n - peak.memory.buffer.byteLength) / PAGE) + 1);
  // Untouched pages all map to one page of zeros, which would be read from cache.
  new Uint8Array(peak.memory.buffer, buffer, n).fill(1);

  return {
    dot_macs_per_s: rate(seconds, (rounds) => peak.peak_dots(rounds * 1024, rounds, buffer) * rounds * 1024),
    kernel_macs_per_s: core_wasm === null ? 0 : await fastestKernel(core_wasm, seconds),
    read_bytes_per_s: rate(seconds, (rounds) => {
      for (let i = 0; i < rounds; i++) peak.peak_read(buffer, n);
      return n * rounds;
    }),
  };
}

self.onmessage = ({ data }: MessageEvent<PeakRequest>): void => {
  run(data).then(
    (reply) => self.postMessage(reply),
    (error: unknown) => self.postMessage({ error: String(error) }),
  );
};
