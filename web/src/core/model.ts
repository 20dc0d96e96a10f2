// A model in the core: its header and tensors on the way in, its facts and its
// tokenizer on the way out. Where the bytes come from is the caller's business.

import { Status, TextFlag } from '../generated/abi';
import type { Core } from './core';

export interface TensorFacts {
  readonly name: string;
  readonly file: number;
  readonly type: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly size: number;
  readonly granule: number;
}

/** What a text to be filled in the middle is put together with. */
export interface FimTokens {
  readonly prefix: number;
  readonly suffix: number;
  readonly middle: number;
  /** Before each file. */
  readonly separator: number | null;
  /** Before the name of what the files belong to. */
  readonly repo: number | null;
  readonly pad: number | null;
}

export interface ModelFacts {
  readonly architecture: string;
  readonly name: string | null;
  readonly license: string | null;
  readonly parameters: number;
  readonly n_ctx_train: number;
  readonly n_vocab: number;
  readonly n_embd: number;
  /** Numbers of a text's embedding; null of a model that generates. There after layout(). */
  readonly n_embedding: number | null;
  /** Whether an encoder reads a prompt whole, and a decoder answers. There after layout(). */
  readonly encoder_decoder: boolean;
  readonly n_layer: number;
  readonly bos: number | null;
  readonly eos: number | null;
  readonly eot: number | null;
  readonly add_bos: boolean | null;
  readonly eog: readonly number[];
  readonly fim: FimTokens | null;
  readonly tokenizer: string;
  readonly chat_template: string | null;
  readonly languages: readonly string[] | null;
  readonly packed_bytes: number;
  readonly types: Readonly<Record<string, number>>;
  readonly tensors: readonly TensorFacts[];
}

/** Stretches [begin, end) of a text, rising, in UTF-16 units. */
export type Spans = readonly (readonly [begin: number, end: number])[];

export class Model {
  readonly core: Core;
  readonly pointer: number;
  #missing = 0;

  /** A new model, or one that another thread has made. */
  constructor(core: Core, pointer?: number) {
    this.core = core;
    this.pointer = pointer ?? core.checkPointer(core.exports.slm_model_new());
  }

  /** Files of the set whose headers have yet to come. */
  get missing(): number {
    return this.#missing;
  }

  /** Hands over the next file's first bytes. False asks for more of them. */
  header(bytes: Uint8Array, fileSize: number): boolean {
    const buffer = this.core.alloc(bytes.length);
    try {
      this.core.bytes(buffer, bytes.length).set(bytes);
      const status = this.core.exports.slm_model_header(this.pointer, buffer, bytes.length, fileSize);
      if (status === Status.NEED_MORE && bytes.length < fileSize) return false;
      this.#missing = this.core.check(status);
      return true;
    } finally {
      this.core.free(buffer);
    }
  }

  /** From now on it is its layers [first, end) between embedding and head; sessions must forget what they have of
   *  others. */
  consistOf([first, end]: readonly [number, number]): void {
    this.core.check(this.core.exports.slm_model_layers(this.pointer, first, end));
  }

  layout(): void {
    this.core.check(this.core.exports.slm_model_layout(this.pointer));
  }

  describe(): ModelFacts {
    return this.core.json(
      this.core.checkPointer(this.core.exports.slm_model_describe(this.pointer)),
    ) as ModelFacts;
  }

  /** Bytes [offset, offset + n) of a tensor, which lie at `at` in the memory. */
  feed(tensor: number, offset: number, at: number, n: number): void {
    this.core.check(this.core.exports.slm_model_feed(this.pointer, tensor, offset, at, n));
  }

  /** On the GPU: encodes everything that a session of this shape may need. */
  prepare(n_ctx: number, n_batch: number): void {
    this.core.check(this.core.exports.slm_model_prepare(this.pointer, n_ctx, n_batch));
  }

  /** How many self-tests there are of the kernels that this model needs, and the error that they allow. */
  checks(): { readonly count: number; readonly bound: number } {
    const { exports } = this.core;
    const count = this.core.check(exports.slm_check_count(this.pointer));
    return { count, bound: exports.slm_check_bound() };
  }

  startCheck(i: number): void {
    this.core.check(this.core.exports.slm_check_start(this.pointer, i));
  }

  /** Runs one of them. */
  async check(i: number): Promise<{ readonly name: string; readonly error: number }> {
    const { core } = this;
    this.startCheck(i);
    await core.settle();
    const error = core.exports.slm_check_error(this.pointer);
    return { name: core.string(core.checkPointer(core.exports.slm_check_name(this.pointer, i))), error };
  }

  ready(): void {
    this.core.check(this.core.exports.slm_model_ready(this.pointer));
  }

  /** `plain`: which characters came from a stranger; control tokens are text there. */
  tokenize(
    text: string,
    options: { special: boolean; bos: boolean; plain?: Spans },
  ): Int32Array<ArrayBuffer> {
    const { core } = this;
    const flags = (options.special ? TextFlag.SPECIAL : 0) | (options.bos ? TextFlag.BOS : 0);
    const bytes = new TextEncoder().encode(text);
    const plain = byteOffsets(text, options.plain ?? []);
    // The text begins where the offsets end.
    const input = new Uint8Array(plain.byteLength + bytes.length);
    input.set(new Uint8Array(plain.buffer));
    input.set(bytes, plain.byteLength);
    for (let capacity = (bytes.length >> 1) + 16; ; ) {
      const { pointer, after } = core.put(input, capacity * 4);
      const at = pointer + plain.byteLength;
      const { exports } = core;
      const n = core.check(
        exports.slm_tokenize(
          this.pointer,
          at,
          bytes.length,
          flags,
          pointer,
          plain.length / 2,
          after,
          capacity,
        ),
      );
      if (n <= capacity) return new Int32Array(core.copy(after, n * 4).buffer);
      capacity = n;
    }
  }

  detokenize(ids: Int32Array | readonly number[], options: { special: boolean }): Uint8Array<ArrayBuffer> {
    const { core } = this;
    const flags = options.special ? TextFlag.SPECIAL : 0;
    const typed = Int32Array.from(ids);
    for (let capacity = typed.length * 8 + 64; ; ) {
      const { pointer, after } = core.put(new Uint8Array(typed.buffer), capacity);
      const n = core.check(
        core.exports.slm_detokenize(this.pointer, pointer, typed.length, flags, after, capacity),
      );
      if (n <= capacity) return core.copy(after, n);
      capacity = n;
    }
  }
}

/** Begin, end, begin, end, ... of the stretches, in bytes of UTF-8. */
function byteOffsets(text: string, spans: Spans): Uint32Array<ArrayBuffer> {
  const offsets = new Uint32Array(2 * spans.length);
  const encoder = new TextEncoder();
  let unit = 0;
  let byte = 0;
  spans.flat().forEach((at, i) => {
    byte += encoder.encode(text.slice(unit, at)).length;
    unit = at;
    offsets[i] = byte;
  });
  return offsets;
}
