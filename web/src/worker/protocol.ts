// Messages between the engine (a page), the main compute worker and the helper
// threads; types only. The engine starts all workers and gives the main one a
// port to each helper, so that loading and its reports do not cross the page.

import type { Backend, Check, GpuInfo, GpuStats, KnownAnswer } from '../api/backend';
import type { LoadProgress, PrefillProgress, SaeLabel, Timings } from '../api/types';
import type { AdapterFacts } from '../core/adapter';
import type { WireError } from '../core/error';
import type { ModelFacts, Spans } from '../core/model';
import type { SaeFacts } from '../core/sae';
import type { RgbPicture, VisionFacts } from '../core/vision';
import type { Param } from '../generated/abi';
import type { GpuFault } from '../gpu/failure';

// ---- engine -> worker ----

/** The first message: what this worker is. */
export type Role =
  | { readonly role: 'main'; readonly helpers: readonly MessagePort[]; readonly load: LoadRequest }
  | { readonly role: 'helper'; readonly port: MessagePort };

export interface LoadRequest {
  readonly wasm: ArrayBuffer;
  /** An -mt variant: the memory is imported and shared. */
  readonly shared: boolean;
  readonly files: readonly Blob[];
  readonly n_ctx: number;
  readonly n_batch: number;
  /** The variant `webgpu`, and whether an emulated device will do; null: the CPU. */
  readonly gpu: { readonly software: boolean } | null;
  /** By operation, the forms that served at an earlier start. */
  readonly kernels: Readonly<Record<string, string>>;
  /** Of all layers at once, or of a few each; empty: there is none. */
  readonly known_answer: readonly KnownAnswer[];
  /** Check the known answer on the CPU, too. */
  readonly verify: boolean;
}

/** By the ids of 'load-adapter'. */
export type AdapterIds = readonly (readonly [id: number, scale: number])[];

/** A picture by the id of 'encode', from position `at` of the prompt on; by rising position. */
export type PlacedPictures = readonly (readonly [id: number, at: number])[];

export interface GenerateRequest {
  readonly type: 'generate';
  readonly id: number;
  readonly ids: Int32Array;
  readonly params: readonly (readonly [Param, number])[];
  readonly bias: readonly (readonly [token: number, bias: number])[];
  readonly stop: readonly string[];
  /** Special tokens that give their text. */
  readonly show: readonly number[];
  /** null: until the context is full. */
  readonly max_tokens: number | null;
  /** Alternatives to report for each token; null: no logprobs at all. */
  readonly logprobs: number | null;
  /** Report the prompt's tokens as well. */
  readonly echo: boolean;
  /** Report the logits of these tokens after the prompt, and generate nothing; empty: an answer is wanted. */
  readonly logits_of: readonly number[];
  readonly adapters: AdapterIds;
  readonly pictures: PlacedPictures;
  readonly steer: readonly RawSteer[];
  /** Tokens of this answer that another worker has reported before it was lost: go on after them. */
  readonly replay: Int32Array;
}

/** What is added to the residual behind a layer: a direction (n_embd), or that of an autoencoder's feature. */
export type RawSteer =
  | { readonly layer: number; readonly direction: Float32Array; readonly strength: number }
  | { readonly sae: number; readonly feature: number; readonly strength: number };

/** Which features to tell: the `top` strongest of each token, and these, whatever they are. */
export interface FeatureWish {
  readonly sae: number;
  readonly top: number;
  readonly also: readonly number[];
}

/** What the head makes of the residual behind each of `layers`: the `top` most likely tokens after each of `ids`. */
export interface InspectRequest {
  readonly type: 'inspect';
  readonly id: number;
  readonly ids: Int32Array;
  readonly layers: readonly number[];
  readonly top: number;
  readonly features: FeatureWish | null;
  readonly adapters: AdapterIds;
  readonly steer: readonly RawSteer[];
}

export type MainRequest =
  | GenerateRequest
  | InspectRequest
  | {
      readonly type: 'tokenize';
      readonly id: number;
      readonly text: string;
      readonly special: boolean;
      readonly bos: boolean;
      readonly plain?: Spans;
    }
  | {
      readonly type: 'detokenize';
      readonly id: number;
      readonly ids: readonly number[];
      readonly special: boolean;
    }
  /** The first `dimensions` numbers of a text's embedding. */
  | {
      readonly type: 'embed';
      readonly id: number;
      readonly ids: Int32Array;
      readonly dimensions: number;
      readonly adapters: AdapterIds;
    }
  /** The request's id is then the adapter's. */
  | { readonly type: 'load-adapter'; readonly id: number; readonly file: Blob }
  | { readonly type: 'free-adapter'; readonly id: number; readonly adapter: number }
  | { readonly type: 'load-sae'; readonly id: number; readonly file: Blob }
  | { readonly type: 'free-sae'; readonly id: number; readonly sae: number }
  | { readonly type: 'sae-labels'; readonly id: number; readonly sae: number }
  /** Loads the encoder of pictures, unless it is loaded. */
  | { readonly type: 'load-vision'; readonly id: number; readonly file: Blob }
  /** Of a picture of 8-bit RGB; the request's id is then the picture's. */
  | ({ readonly type: 'encode'; readonly id: number } & RgbPicture)
  | { readonly type: 'free-picture'; readonly id: number; readonly picture: number }
  /** Of the sixteen codes of an outline; the encoder is loaded. */
  | { readonly type: 'mask'; readonly id: number; readonly codes: readonly number[] }
  /** Ends the generation or inspection `id` before its next token. */
  | { readonly type: 'abort'; readonly id: number };

// ---- main worker -> engine ----

export interface LoadedFacts {
  readonly model: Omit<ModelFacts, 'tensors'>;
  readonly n_ctx: number;
  readonly threads: number;
  readonly dot: string;
  readonly memory_bytes: number;
  /** The ceiling of the shared memory; null for one thread. */
  readonly memory_maximum: number | null;
  readonly backend: Backend;
  /** null on the CPU. */
  readonly gpu: { readonly info: Omit<GpuInfo, 'losses'>; readonly stats: GpuStats } | null;
  readonly checks: readonly Check[];
}

export interface RawTokenLogprob {
  readonly id: number;
  /** NaN for a first token, which nothing predicts. */
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export interface TokenReport {
  readonly type: 'token';
  readonly id: number;
  readonly token: number;
  /** What became printable with this token: often its text, sometimes nothing. */
  readonly text: string;
  /** The token itself, then the alternatives; null when not asked for. */
  readonly logprobs: readonly RawTokenLogprob[] | null;
  readonly n_past: number;
  readonly timings: Timings;
}

export interface DoneReport {
  readonly type: 'done';
  readonly id: number;
  /** Text that had been held back. */
  readonly text: string;
  readonly finish: 'stop' | 'length' | 'aborted';
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  /** The prompt's tokens if they were asked for. */
  readonly prompt: readonly RawTokenLogprob[] | null;
  /** In the order of `logits_of`. */
  readonly logits: readonly number[];
  readonly n_past: number;
  readonly timings: Timings;
  readonly gpu: GpuStats | null;
}

export interface LabelledFeature {
  readonly feature: number;
  readonly activation: number;
  readonly label: string | null;
}

export interface Inspected {
  /** The bytes of each token of the text. */
  readonly tokens: readonly (readonly number[])[];
  /** By layer, by token: the most likely next ones. */
  readonly lens: readonly (readonly (readonly RawTokenLogprob[])[])[];
  /** By token: the strongest first, then those that were asked for. null: none were. */
  readonly features: readonly (readonly LabelledFeature[])[] | null;
}

export type MainReply =
  | { readonly type: 'progress'; readonly progress: LoadProgress }
  | { readonly type: 'loaded'; readonly facts: LoadedFacts }
  | {
      readonly type: 'prefill';
      readonly id: number;
      readonly progress: PrefillProgress;
      readonly n_past: number;
    }
  | TokenReport
  | DoneReport
  | { readonly type: 'tokenized'; readonly id: number; readonly ids: Int32Array }
  | { readonly type: 'detokenized'; readonly id: number; readonly bytes: Uint8Array }
  | {
      readonly type: 'adapter';
      readonly id: number;
      readonly facts: AdapterFacts;
      readonly memory_bytes: number;
    }
  | { readonly type: 'labels'; readonly id: number; readonly labels: readonly SaeLabel[] }
  | { readonly type: 'sae'; readonly id: number; readonly facts: SaeFacts; readonly memory_bytes: number }
  | { readonly type: 'embedded'; readonly id: number; readonly embedding: Float32Array<ArrayBuffer> }
  | {
      readonly type: 'vision';
      readonly id: number;
      readonly facts: VisionFacts;
      readonly memory_bytes: number;
    }
  | { readonly type: 'encoded'; readonly id: number; readonly memory_bytes: number }
  | { readonly type: 'mask'; readonly id: number; readonly values: Float32Array<ArrayBuffer> }
  /** null: it was aborted. */
  | { readonly type: 'inspected'; readonly id: number; readonly found: Inspected | null }
  | { readonly type: 'freed'; readonly id: number }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError }
  | Crash;

/** From any worker: its memory can no longer be trusted. */
export interface Crash {
  readonly type: 'crash';
  readonly error: WireError;
  /** When it was the GPU: another device, or the CPU, may do. */
  readonly gpu?: GpuFault;
}

// ---- main worker <-> helper, over their own port ----

/** What a thread needs to run on the shared memory. */
export interface ThreadStart {
  readonly type: 'start';
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly stackTop: number;
  readonly tls: number;
}

/** Feed tensors until the shared cursor has passed the last unit. */
export interface FeedStart {
  readonly type: 'feed';
  readonly model: number;
  readonly files: readonly Blob[];
  readonly units: readonly LoadUnit[];
  readonly cursor: number;
  readonly staging: number;
}

export type HelperRequest = ThreadStart | FeedStart | { readonly type: 'serve'; readonly index: number };

export type HelperReply =
  | { readonly type: 'fed'; readonly bytes: number }
  | { readonly type: 'fed-all' }
  | { readonly type: 'failed'; readonly error: WireError };

/** Neighbours in one file that are read together: a piece of a large tensor or several small ones. */
export interface LoadUnit {
  readonly file: number;
  readonly offset: number;
  readonly size: number;
  readonly pieces: readonly LoadPiece[];
}

export interface LoadPiece {
  readonly tensor: number;
  /** Where it begins in its tensor. */
  readonly at: number;
  /** Where it begins in its unit. */
  readonly offset: number;
  readonly size: number;
}
