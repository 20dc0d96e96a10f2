// Where a model computes and how that is proved: the part of the public types that
// speaks of the GPU. Types only, as in types.ts, which names them.

/** 'webgpu': the visitor's GPU; 'cpu': WebAssembly. */
export type Backend = 'webgpu' | 'cpu';

/** Why the model computes where it does, as a code with its figures. */
export type BackendNotice =
  | { readonly code: 'gpu_used'; readonly device: string }
  | { readonly code: 'cpu_asked' }
  | { readonly code: 'gpu_missing' } // this browser has no WebGPU, or gives it to no such page
  | { readonly code: 'gpu_none_found' } // WebGPU is there, but no device for it
  | { readonly code: 'gpu_software'; readonly device: string } // an emulation, slower than the CPU itself
  | {
      /** A limit of the device that the model needs more of, by its name in WebGPU. */
      readonly code: 'gpu_limit';
      readonly limit: string;
      readonly needed: number;
      readonly available: number;
    }
  | {
      readonly code: 'gpu_out_of_memory';
      /** Bytes that were asked for last, and those that had been given before. */
      readonly needed: number;
      readonly given: number;
    }
  /** It computed something else than it should have. */
  | {
      readonly code: 'gpu_wrong';
      readonly check: CheckName;
      readonly error: number | null;
      readonly bound: number | null;
    }
  /** No numbers in the midst of an answer, or the same token without text so many times in a row. */
  | { readonly code: 'gpu_senseless'; readonly repeated: number | null }
  /** Anything else that kept it from starting; `error` is what the browser said, in English. */
  | { readonly code: 'gpu_failed'; readonly error: string }
  /** The device went away and an answer waits for another; `losses` counts since the model was loaded. */
  | { readonly code: 'gpu_lost'; readonly losses: number }
  /** Lost so often that the CPU goes on. */
  | { readonly code: 'gpu_given_up'; readonly losses: number };

/** 'kernels': products, embedding, attention and drawing against plain arithmetic on small numbers; 'weights': what lies on the
 *  device against what was sent; 'known_answer': logits of the whole model against those in its
 *  manifest. */
export type CheckName = 'kernels' | 'weights' | 'known_answer';

/** What was checked before the model was used. */
export interface Check {
  readonly name: CheckName;
  /** 'absent': there was nothing to check against, or nobody asked for it. */
  readonly state: 'passed' | 'failed' | 'absent';
  /** The largest error, relative to the size of the right values; null where none was measured. */
  readonly error: number | null;
  /** What it may be. */
  readonly bound: number | null;
  /** One sentence. */
  readonly detail: string;
}

/** What the weights make of a few tokens, computed once by the exact CPU kernels: what a device computes
 *  is held to it. */
export interface KnownAnswer {
  readonly tokens: readonly number[];
  /** Those with the greatest logits after the last token, greatest first. */
  readonly ids: readonly number[];
  readonly logits: readonly number[];
  /** Root mean square of all logits less their mean: what errors are measured in. */
  readonly scale: number;
  /** The error that a right device stays under in an exact session. */
  readonly bound: number;
  /** The same where the cache of keys and values is f16, and nothing else is rounded. */
  readonly f16_bound: number;
  /** Float32 activations and cache, weights as they are stored. */
  readonly arithmetic: 'exact';
  /** [first, end): the layers that alone took part, between embedding and head. Absent: all of them. */
  readonly layers?: readonly [number, number];
}

/** The device in use, in the browser's words, which may be empty. */
export interface GpuAdapter {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
}

export interface GpuInfo {
  readonly adapter: GpuAdapter;
  /** By the processor. */
  readonly emulated: boolean;
  /** The optional features of WebGPU that are in use. */
  readonly features: readonly string[];
  /** The form of each kernel that has several, by operation: {"matvec": "sweep"}. */
  readonly kernels: Readonly<Record<string, string>>;
  /** Bytes of its buffers. */
  readonly memory_bytes: number;
  /** Milliseconds from the first pipeline that was asked for to the last that was ready. */
  readonly compile_ms: number;
  /** How often the device was lost since the model was loaded. */
  readonly losses: number;
}

/** Where a loaded model computes; all of it changes when a GPU is lost. */
export interface BackendInfo {
  readonly backend: Backend;
  /** One sentence: what was chosen and why. */
  readonly backend_reason: string;
  /** What it says, as codes with their figures, the latest last. */
  readonly backend_notices: readonly BackendNotice[];
  /** null on the CPU. */
  readonly gpu: GpuInfo | null;
  /** What was checked before the model was used. */
  readonly checks: readonly Check[];
}

/** Sums since the model was loaded, for measurements. */
export interface GpuStats {
  /** Command buffers: of a token one draws it, and one computes the next. */
  readonly submits: number;
  readonly dispatches: number;
  /** Milliseconds that recording and submitting took on the host. */
  readonly encode_ms: number;
  readonly upload_bytes: number;
  readonly read_bytes: number;
  readonly memory_bytes: number;
}
