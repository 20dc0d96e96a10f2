// What the benchmark hands to a page and gets back, as ../shapes.py says it in Python.
// Types only. A page puts one function, `measure`, on globalThis.bench.

export interface Prompt {
  readonly text: string;
  readonly ids: readonly number[];
}

export interface Request {
  readonly model: string;
  readonly threads: number;
  readonly n_ctx: number;
  readonly first: Prompt;
  readonly warmup: Prompt;
  readonly n_warmup: number;
  readonly prompts: readonly Prompt[];
  readonly n_generate: number;
}

export interface Run {
  readonly prefill_s: number;
  readonly decode_s: number;
  readonly text: string;
}

export interface Result {
  readonly version: string;
  readonly variant: string;
  readonly load_s: number;
  readonly first_token_s: number;
  readonly runs: readonly Run[];
}

/** To peak.ts, and from there to every thread. */
export interface PeakRequest {
  readonly peak_wasm: string;
  /** Null when the core has not been compiled. */
  readonly core_wasm: string | null;
  readonly threads: number;
  /** Memory that each thread reads. */
  readonly bytes: number;
  /** Time for each figure. */
  readonly seconds: number;
}

export interface PeakReply {
  /** int8 multiply-accumulates that never leave the registers. */
  readonly dot_macs_per_s: number;
  /** The core's own prefill kernel on scratch data, the fastest form; 0 without a core. */
  readonly kernel_macs_per_s: number;
  readonly read_bytes_per_s: number;
}
