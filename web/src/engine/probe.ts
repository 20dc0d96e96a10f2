// What this browser can do, found by trying minimal modules (wasm-feature-detect),
// never by its name. It decides nothing: variant.ts does.

import { relaxedSimd, simd, threads } from 'wasm-feature-detect';

export interface Probe {
  readonly wasm: boolean;
  readonly simd: boolean;
  readonly relaxedSimd: boolean;
  /** Atomics in WebAssembly and a SharedArrayBuffer that can be sent to a worker. */
  readonly threads: boolean;
  readonly crossOriginIsolated: boolean;
  /** Logical processors, as far as the browser tells. */
  readonly cores: number;
}

export async function probe(): Promise<Probe> {
  const isolated = globalThis.crossOriginIsolated === true;
  if (typeof WebAssembly !== 'object')
    return {
      wasm: false,
      simd: false,
      relaxedSimd: false,
      threads: false,
      crossOriginIsolated: isolated,
      cores: 1,
    };
  const [hasSimd, hasRelaxed, hasThreads] = await Promise.all([simd(), relaxedSimd(), threads()]);
  return {
    wasm: true,
    simd: hasSimd,
    relaxedSimd: hasRelaxed,
    threads: hasThreads,
    crossOriginIsolated: isolated,
    cores: navigator.hardwareConcurrency || 1,
  };
}
