// The public types of slmweb: what a page hands in and what it gets back; requests
// and their answers are in completions.ts. No run-time code lives here, so that the
// chat page, the seal and tests can speak these shapes without pulling in the
// engine. Field names keep the snake_case of the wire formats that they mirror.

import type { VariantName } from '../generated/abi';
import type { Backend, BackendInfo, BackendNotice, GpuStats, KnownAnswer } from './backend';
import type { ChatCompletions, Completions } from './completions';
import type { Embeddings } from './embedding_types';
import type { Guard, GuardOptions } from './guarding';
import type { Inspection, InspectRequest, SaeInfo, Saes } from './inspection';
import type { ContextNotice, StorageNotice, VariantNotice } from './notices';

export type * from './completions';
export type * from './embedding_types';
export type * from './guarding';
export type * from './inspection';

/** The compiled forms of the core: SIMD128 or relaxed SIMD, one thread or several (`-mt`). */
export type Variant = VariantName;

export type SlmErrorCode =
  // from the core, see slm.h
  | 'invalid_argument'
  | 'bad_file'
  | 'unsupported'
  | 'out_of_memory'
  | 'context_full'
  | 'wrong_state'
  // from the host
  | 'bad_manifest' // the manifest lies or is of another schema
  | 'bad_signature' // the manifest is not signed by the key that the page asks for
  | 'no_room' // the browser keeps no more files of this site
  | 'too_large' // it needs more memory than this device can give, see `details`
  | 'network' // the server could not be reached, or answered with an error
  | 'corrupt' // bytes that do not match their SHA-256, or weights that do not give the known answer
  | 'bad_template' // the chat template is missing or failed on these messages
  | 'crashed' // a worker trapped or ran out of memory; only dispose() works now
  | 'disposed'; // used after dispose()

/** The numbers behind a `context_full` error. */
export interface ContextFullDetails {
  readonly prompt_tokens: number;
  readonly n_ctx: number;
}

/** The numbers behind a `too_large` error, in bytes. */
export interface TooLargeDetails {
  readonly needed: number;
  readonly available: number;
  /** `available` is an estimate that `force` leaves out, not a hard limit. */
  readonly estimate: boolean;
  /** No GPU was looked for, because the CPU was asked for. */
  readonly cpu_chosen: boolean;
}

/** What stands behind a `network` error. */
export interface NetworkDetails {
  /** The server's answer; null where there was none. */
  readonly http_status: number | null;
}

export interface Manifest {
  readonly schema: 2;
  readonly name: string;
  readonly title: string;
  /** A label for people; versions are told apart by `root`. */
  readonly version: string | null;
  readonly architecture: string;
  readonly parameters: number;
  readonly context_length: number;
  readonly license: string | null;
  readonly license_url: string | null;
  readonly source: string | null;
  readonly chat_template: string | null;
  readonly size: number;
  readonly memory: {
    /** Bytes of the packed weights. */
    readonly weights: number;
    readonly n_ctx_default: number;
    /** By rising n_ctx. */
    readonly contexts: readonly ContextMemory[];
  };
  readonly sampling: SamplingDefaults;
  /** SHA-256 over the hashes and sizes of all files and chunks: one root, one content. */
  readonly root: string;
  /** The model's, and those of what lies beside it. */
  readonly files: readonly ManifestFile[];
  /** What it is good for, in one line; absent when nobody has said. */
  readonly good_for?: string;
  /** Absent when there is none. */
  readonly adapters?: readonly ManifestAdapter[];
  /** The encoder of pictures; absent when the model sees none. */
  readonly vision?: ManifestVision;
  /** Sparse autoencoders; absent when there is none. */
  readonly saes?: readonly ManifestSae[];
  /** One; or those of a few layers each, together all of them, of a model that was too large to be asked
   *  at once. Absent in older packs, and where nobody has packed the model. */
  readonly known_answer?: readonly KnownAnswer[];
}

/** A domain that comes with the model; it is fetched, checked and kept like the model's own files. */
export interface ManifestAdapter {
  readonly name: string;
  readonly title: string;
  /** Its place in `files`. */
  readonly file: number;
}

/** A sparse autoencoder that comes with the model, likewise. */
export interface ManifestSae extends ManifestAdapter {
  readonly site: SaeInfo['site'];
  readonly layer: number;
  readonly width: number;
  readonly features: number;
  readonly labels: number;
  readonly license: string | null;
}

/** What stands between an encoder of pictures and the language model, as GGUF names it. */
export type ProjectorName = 'gemma3' | 'gemma4v' | 'paligemma' | 'idefics3';

/** The encoder of pictures that comes with the model; kept like its own files, and loaded with the first picture. */
export interface ManifestVision {
  readonly projector: ProjectorName;
  /** Its place in `files`. */
  readonly file: number;
  /** Side of the square that it takes, 0 where a picture keeps its shape, and of the patches that it cuts it into, in
   *  pixels. */
  readonly image_size: number;
  readonly patch_size: number;
  /** Rows and columns of patches that make one position, where a picture keeps its shape. */
  readonly factor?: number;
  /** Positions that a square takes in a prompt, or a picture at most whose detail is 'auto'. */
  readonly n_tokens: number;
  /** A picture is evaluated by one call. */
  readonly whole_picture: boolean;
  /** A prompt with pictures is evaluated by one call. */
  readonly whole_prompt: boolean;
  /** Its file holds a decoder of what answers outline. */
  readonly masks: boolean;
  /** Bytes of its packed weights, and those that it takes beside them while it encodes. */
  readonly packed_bytes: number;
  readonly encode_bytes: number;
}

/** Bytes that a session of `n_ctx` positions takes beside the weights. */
export interface ContextMemory {
  readonly n_ctx: number;
  readonly bytes: number;
}

export interface ManifestFile {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly chunks: readonly ManifestChunk[];
}

export interface ManifestChunk {
  readonly sha256: string;
  readonly size: number;
}

export interface SamplingDefaults {
  readonly temperature?: number;
  readonly top_k?: number;
  readonly top_p?: number;
  readonly min_p?: number;
  readonly repeat_penalty?: number;
}

/** Everything that an engine needs to start, already fetched and verified. */
export interface ModelSource {
  readonly manifest: Manifest;
  /** One Blob (or File) for each of manifest.files, in that order. */
  readonly files: readonly Blob[];
  /** Asked for again when another worker takes over from one whose GPU was lost. */
  readonly wasm: (variant: Variant) => Promise<ArrayBuffer>;
  /** The classic worker script: same-origin URL or blob: URL. */
  readonly workerUrl: string;
  /** The same script, where a worker that uses the GPU needs another address: in a sandboxed frame
   *  workers of a blob: URL have no WebGPU, and those of a data: URL do. */
  readonly gpuWorkerUrl?: string;
}

export type LoadPhase =
  | 'check' // looking at what is stored
  | 'wait' // another tab is downloading it
  | 'download'
  | 'lost' // no byte of the download comes any more; it is tried again
  | 'compile' // the wasm module, on every thread; at the end what is left of the GPU's programs, and the checks
  | 'load'; // tensors into memory, and timing the dot kernels

export interface LoadProgress {
  readonly phase: LoadPhase;
  /** Bytes done and bytes in all, of this phase (0 and 0 where bytes mean nothing). */
  readonly loaded: number;
  readonly total: number;
  /** Bytes per second over the last few seconds; null until it is known. */
  readonly rate: number | null;
  /** Seconds left at that rate; null until it is known. */
  readonly remaining: number | null;
  /** It is the guard that is loaded, before the model. */
  readonly guard?: true;
  /** The GPU's programs, which compile while tensors load; absent on the CPU. */
  readonly pipelines?: { readonly done: number; readonly total: number };
}

export interface EngineOptions {
  /** Compute threads, as many as there are processors at most; by default all of up to 4
   *  processors, half of more, at most 8. */
  readonly threads?: number;
  /** Context length in tokens; by default the manifest's n_ctx_default. */
  readonly n_ctx?: number;
  /** Tokens of one prefill chunk. */
  readonly n_batch?: number;
  /** Use this variant or fail: for tests and measurements. */
  readonly variant?: Variant;
  /** 'auto', the default: the GPU where there is one that is none in name only and that passes all
   *  checks, else the CPU. 'webgpu' takes an emulated GPU too. Whatever goes wrong with a GPU, the CPU
   *  takes over, and `onNotice` and `info` say why. */
  readonly backend?: 'auto' | Backend;
  /** What `info.gpu.kernels` said at an earlier start on this device. That is compiled and checked first,
   *  instead of timing all that there are; where its self-tests fail, or there is no such form, all are
   *  timed. Whatever is used has passed the same checks. */
  readonly kernels?: Readonly<Record<string, string>>;
  /** Check the manifest's known answer on the CPU as well; the GPU is always checked, and so is the CPU
   *  that takes over from a GPU which got it wrong. The CPU needs a part of the load time for it, and
   *  rejects with `corrupt` when it is wrong. */
  readonly verify?: boolean;
  /** A sentence to show, in English, when something changes that is no error: the GPU was not used
   *  after all, it was lost in mid-answer and the answer waits, the CPU goes on. `notice` says the
   *  same as a code. */
  readonly onNotice?: (sentence: string, notice: BackendNotice) => void;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly signal?: AbortSignal;
}

export interface LoadOptions extends EngineOptions {
  /** Folder with assets/ and wasm/, of this origin; by default that of slmweb.js. */
  readonly baseUrl?: string;
  /** Open only what is signed by this key: the line that `slmweb keygen` prints. */
  readonly publicKey?: string;
  /** 'memory' keeps nothing on the device. Default 'opfs'. */
  readonly storage?: 'opfs' | 'memory';
  /** A second model that screens what this one is asked and answers. */
  readonly guard?: GuardOptions;
  /** Load it although the estimate of this device's memory says that it will not fit. */
  readonly force?: boolean;
  /** Under which a plain GGUF model is kept: letters, digits, dots and dashes. By default made of
   *  its address, or of its name and size. */
  readonly name?: string;
  /** A sentence to show, in English: why the model is not stored, what limits it, or what became of the
   *  GPU. `notice` says the same as a code with its figures, for pages that have words of their own. */
  readonly onNotice?: (sentence: string, notice: ContextNotice | StorageNotice | BackendNotice) => void;
}

/** A model on this device: what SLM.stored() lists. */
export interface StoredModel {
  readonly name: string;
  /** For people; the name where nothing else is known. */
  readonly title: string;
  /** Bytes on this device, older versions and half a download included. */
  readonly size: number;
  /** 'whole' opens without a network; 'partial' is half a download, which goes on where it stopped. */
  readonly state: 'whole' | 'partial';
  /** Where it comes from: an address, when it was loaded as a plain GGUF file. */
  readonly source: string | null;
}

/** What SLM.load takes: the address of a packed folder or of its manifest (which ends in .json), or of
 *  a GGUF file (which ends in .gguf), a GGUF file itself, or the name of a model that is whole on this
 *  device. Of a split set, the address of any file that is named as gguf-split names them
 *  (`name-00001-of-00003.gguf`) stands for all of them, and an array holds all addresses, or all files. */
export type LoadSource =
  | string
  | URL
  | Blob
  | readonly (string | URL)[]
  | readonly Blob[]
  | { readonly stored: string };

export interface ModelInfo extends BackendInfo {
  readonly name: string;
  readonly title: string;
  readonly architecture: string;
  readonly parameters: number;
  readonly license: string | null;
  readonly license_url: string | null;
  readonly source: string | null;
  /** Bytes of the model's files. */
  readonly size: number;
  /** Bytes by tensor type: {"Q4_1": 98000000, …}. */
  readonly types: Readonly<Record<string, number>>;
  readonly n_ctx: number;
  readonly n_ctx_train: number;
  readonly n_vocab: number;
  readonly n_layer: number;
  readonly n_embd: number;
  /** Numbers of an embedding; null of a model that generates. */
  readonly n_embedding: number | null;
  readonly languages: readonly string[];
  readonly has_chat_template: boolean;
  /** Whether it fills in text: `suffix` and `fim` of completions.create. */
  readonly has_fim: boolean;
  readonly sampling: SamplingDefaults;
  /** How it sees pictures; null: it does not. */
  readonly vision: VisionInfo | null;
  readonly variant: Variant;
  /** One sentence: why this variant, and what it cost or gained. */
  readonly variant_reason: string;
  /** What it says, as codes with their figures, for pages that have words of their own. */
  readonly variant_notices: readonly VariantNotice[];
  readonly threads: number;
  /** The integer dot-product form in use; on the GPU the form of its matrix-vector kernel. */
  readonly dot: string;
}

export interface VisionInfo {
  readonly projector: ProjectorName;
  /** Side of the square that it sees, in pixels; 0 where it sees a picture in its shape. */
  readonly image_size: number;
  /** Tokens that a picture takes, without those around it; each part of one that is cut takes as many. Where a
   *  picture keeps its shape: at most, if its detail is 'auto'. */
  readonly n_tokens: number;
  /** Whether `mask` draws what an answer outlines. */
  readonly masks: boolean;
}

export interface SlmStats {
  /** Positions in the KV cache now, and how many fit. */
  readonly n_past: number;
  readonly n_ctx: number;
  /** Linear memory of the core. */
  readonly memory_bytes: number;
  /** Requests waiting, the running one not counted. */
  readonly queued: number;
  readonly busy: boolean;
  /** Speed of the running or the last request. */
  readonly timings: Timings | null;
  /** null on the CPU. */
  readonly gpu: GpuStats | null;
}

export interface Timings {
  readonly prefill_tokens: number;
  readonly prefill_ms: number;
  readonly prefill_tokens_per_second: number;
  readonly decode_tokens: number;
  readonly decode_ms: number;
  readonly decode_tokens_per_second: number;
  readonly cached_tokens: number;
  readonly memory_bytes: number;
}

export interface PrefillProgress {
  /** Tokens evaluated, those that the cache already held included. */
  readonly done: number;
  readonly total: number;
  readonly cached: number;
}

/** An adapter and how strongly it acts. */
export interface AdapterUse {
  readonly name: string;
  /** 1, the default, is as trained; 0 is the base alone. */
  readonly scale?: number;
}

export interface AdapterInfo {
  readonly name: string;
  readonly title: string;
  /** Bytes of its file. */
  readonly size: number;
  /** In the core's memory; one that the manifest lists is loaded when it is first used. */
  readonly loaded: boolean;
  /** The largest rank of its matrices; null until it was loaded once. */
  readonly rank: number | null;
}

export interface AdapterLoadOptions {
  /** By which it is used; no other adapter may have it. */
  readonly name: string;
  /** For people; by default the name. */
  readonly title?: string;
  readonly signal?: AbortSignal;
}

/** LoRA adapters beside the base: one base, many domains. They come, go and mix
 *  between requests, and the base stays where it is. Requests that wait in line
 *  keep the adapters that were in use when they were made. */
export interface Adapters {
  /** Reads a GGUF adapter of this very base, from an address or from bytes. Rejects
   *  with `bad_file` when it belongs to another one. */
  load(source: string | URL | Blob, options: AdapterLoadOptions): Promise<AdapterInfo>;
  /** The adapters of requests that name none. Several add up, [] is the base alone. */
  use(adapters: readonly AdapterUse[]): Promise<void>;
  /** Those of the manifest, then those that load() brought. */
  list(): readonly AdapterInfo[];
  /** Frees its memory; one that the manifest lists can be used again. */
  remove(name: string): void;
}

/** What the class SLM offers; a page that takes this interface can be given a fake.
 *  Requests run one at a time and in order. An abort rejects at once with the
 *  signal's reason; the next request begins when the work behind it has stopped. */
export interface Slm {
  readonly info: ModelInfo;
  readonly chat: { readonly completions: ChatCompletions };
  readonly completions: Completions;
  readonly embeddings: Embeddings;
  readonly adapters: Adapters;
  /** For `inspect` and `steer`. */
  readonly saes: Saes;
  /** Asks the guard that the model was loaded with, with its rules unless others are named; of a model
   *  without one, the model itself. */
  readonly guard: Guard;
  /** What the model makes of each token of a text behind each of its layers. Rejects with `unsupported` for a
   *  model that embeds, and for one with a guard, which must not be looked past. */
  inspect(request: InspectRequest, options?: { readonly signal?: AbortSignal }): Promise<Inspection>;
  /** What sixteen codes <seg000> to <seg127> of an answer outline in the box before them, (64, 64) row by row:
   *  above 0 is inside. Rejects with `unsupported` for a model without a decoder for them (`info.vision.masks`). */
  mask(codes: readonly number[]): Promise<Float32Array>;
  /** `special`: parse special tokens in the text (default true). */
  tokenize(text: string, options?: { readonly special?: boolean }): Promise<number[]>;
  /** `special`: render special tokens (default false). */
  detokenize(ids: readonly number[], options?: { readonly special?: boolean }): Promise<string>;
  stats(): SlmStats;
  dispose(): Promise<void>;
}
