// A session in the core: the KV cache and the sampler. It offers the calls of
// slm.h with JavaScript's types; the order in which they make an answer is
// worker/generate.ts's.

import { EvalFlag, Finish, type Param, type Site } from '../generated/abi';
import type { Adapter } from './adapter';
import type { Core } from './core';
import { SlmError } from './error';
import type { Model } from './model';
import type { Sae } from './sae';
import type { Picture } from './vision';

export interface RawFeature {
  readonly feature: number;
  readonly activation: number;
}

export interface RawLogprob {
  readonly id: number;
  readonly logprob: number;
}

const TEXT_CAPACITY = 4096;

const WANTED = {
  nothing: EvalFlag.NO_LOGITS,
  sample: EvalFlag.SAMPLE,
  'sample and go on': EvalFlag.SAMPLE_ON,
  logits: EvalFlag.LAST_LOGITS,
  embedding: EvalFlag.EMBEDDING,
} as const;
/** Of the last token of an evaluation. All logits cross from a GPU only where they are what is wanted; a sampled
 *  token that will be evaluated next may be so before it has come back. */
export type Wanted = keyof typeof WANTED;

export class Session {
  readonly #core: Core;
  readonly #pointer: number;
  readonly n_ctx: number;
  readonly n_batch: number;
  readonly n_vocab: number;
  /** Whether its model embeds texts, and generates none. */
  readonly embeds: boolean;
  /** Whether an encoder reads a prompt whole; the answer then comes one token a call. */
  readonly reads: boolean;
  /** Numbers that an evaluation puts out: logits, or those of an embedding. */
  readonly #n_out: number;

  constructor(model: Model, n_ctx: number, n_batch: number) {
    this.#core = model.core;
    const pointer = this.#core.exports.slm_session_new(model.pointer, n_ctx, n_batch) >>> 0;
    if (pointer === 0) {
      const bytes = this.#core.exports.slm_session_bytes(model.pointer, n_ctx, n_batch);
      const why = this.#core.string(this.#core.exports.slm_error());
      throw new SlmError(
        'out_of_memory',
        why ||
          `Expected ${bytes} bytes for a context of ${n_ctx} tokens, found no room; use a shorter context.`,
      );
    }
    this.#pointer = pointer;
    this.n_ctx = n_ctx;
    this.n_batch = n_batch;
    const { n_vocab, n_embedding, encoder_decoder } = model.describe();
    this.n_vocab = n_vocab;
    this.embeds = n_embedding !== null;
    this.reads = encoder_decoder;
    this.#n_out = n_embedding ?? n_vocab;
  }

  get n_past(): number {
    return this.#core.check(this.#core.exports.slm_session_n_past(this.#pointer));
  }

  /** Back to the defaults of sampling; the cache stays. */
  reset(): void {
    this.#core.check(this.#core.exports.slm_session_reset(this.#pointer));
  }

  set(param: Param, value: number): void {
    this.#core.check(this.#core.exports.slm_session_set(this.#pointer, param, value));
  }

  bias(token: number, bias: number): void {
    this.#core.check(this.#core.exports.slm_session_bias(this.#pointer, token, bias));
  }

  stop(text: string): void {
    const { pointer, n } = this.#core.putText(text);
    this.#core.check(this.#core.exports.slm_session_stop(this.#pointer, pointer, n));
  }

  /** This special token gives its text. */
  show(token: number): void {
    this.#core.check(this.#core.exports.slm_session_show(this.#pointer, token));
  }

  /** The adapters of the evaluations to come, in place of those before. */
  adapters(used: readonly (readonly [Adapter, number])[]): void {
    const n = used.length;
    const words = new Uint32Array(2 * n);
    words.set(used.map(([adapter]) => adapter.pointer));
    new Float32Array(words.buffer).set(
      used.map(([, scale]) => scale),
      n,
    );
    const { pointer } = this.#core.put(new Uint8Array(words.buffer));
    this.#core.check(this.#core.exports.slm_session_adapters(this.#pointer, pointer, pointer + 4 * n, n));
  }

  /** The pictures of the prompts to come, by rising position, in place of those before. Call it before reuse(). */
  pictures(placed: readonly (readonly [Picture, at: number])[]): void {
    const n = placed.length;
    const words = Uint32Array.from([
      ...placed.map(([{ pointer }]) => pointer),
      ...placed.map(([, at]) => at),
    ]);
    const { pointer } = this.#core.put(new Uint8Array(words.buffer));
    this.#core.check(this.#core.exports.slm_session_pictures(this.#pointer, pointer, pointer + 4 * n, n));
  }

  /** It may not be used any more. */
  free(): void {
    this.#core.exports.slm_session_free(this.#pointer);
  }

  /** Whether the evaluations to come round nothing. A change empties the cache. */
  exact(on: boolean): void {
    this.#core.check(this.#core.exports.slm_session_exact(this.#pointer, on ? 1 : 0));
  }

  /** Keeps the cached prefix of `ids`; returns its length. */
  reuse(ids: Int32Array): number {
    return this.#core.check(
      this.#core.exports.slm_session_reuse(this.#pointer, this.#core.putIds(ids), ids.length),
    );
  }

  eval(ids: Int32Array | readonly number[], wanted: Wanted): void {
    const flag = WANTED[wanted];
    this.#core.check(
      this.#core.exports.slm_session_eval(this.#pointer, this.#core.putIds(ids), ids.length, flag),
    );
  }

  /** Empties the cache. */
  forget(): void {
    this.#core.check(this.#core.exports.slm_session_reuse(this.#pointer, 0, 0));
  }

  /** The evaluations to come copy the rows of their tokens at these sites of these layers; [] ends it. */
  tap(taps: readonly (readonly [Site, layer: number])[]): void {
    const at = this.#core.putIds(taps.flat());
    this.#core.check(this.#core.exports.slm_session_tap(this.#pointer, at, taps.length));
  }

  /** Numbers of a row of tap `i`. */
  tapWidth(i: number): number {
    return this.#core.check(this.#core.exports.slm_session_tap_width(this.#pointer, i));
  }

  /** A view of the first `n` numbers that tap `i` has of the last evaluation, good until the next call. */
  tapped(i: number, n: number): Float32Array {
    const start = this.#core.checkPointer(this.#core.exports.slm_session_tapped(this.#pointer, i));
    const bytes = this.#core.bytes(start, 4 * n);
    return new Float32Array(bytes.buffer, bytes.byteOffset, n);
  }

  /** Adds `scale` times the direction (n_embd) to the residual behind a layer, from now on; null ends all. */
  steer(layer: number, direction: Float32Array | null, scale: number): void {
    const numbers = direction ?? new Float32Array();
    const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    const { pointer } = this.#core.put(bytes);
    this.#core.check(
      this.#core.exports.slm_session_steer(this.#pointer, layer, pointer, numbers.length, scale),
    );
  }

  /** What the model's head makes of `n` rows of a residual; top() tells it. */
  lens(rows: Float32Array, n: number): void {
    const { pointer } = this.#core.put(new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength));
    this.#core.check(this.#core.exports.slm_session_lens(this.#pointer, pointer, n));
  }

  /** The `n` most likely tokens of a row of logits. */
  top(row: number, n: number): RawLogprob[] {
    const core = this.#core;
    const at = core.scratch(8 * n);
    const found = core.check(core.exports.slm_session_top(this.#pointer, row, n, at, at + 4 * n));
    const ids = new Int32Array(core.copy(at, 4 * found).buffer);
    const values = new Float32Array(core.copy(at + 4 * n, 4 * found).buffer);
    return Array.from(ids, (id, i) => ({ id, logprob: values[i]! }));
  }

  /** Has the autoencoder take `n` rows of its width apart; features() and feature() tell what it found. */
  encode(sae: Sae, rows: Float32Array, n: number): void {
    const { pointer } = this.#core.put(new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength));
    this.#core.check(this.#core.exports.slm_session_encode(this.#pointer, sae.pointer, pointer, n));
  }

  /** The `n` strongest features of a row that are active, falling. */
  features(row: number, n: number): RawFeature[] {
    const core = this.#core;
    const at = core.scratch(8 * n);
    const found = core.check(core.exports.slm_session_features(this.#pointer, row, n, at, at + 4 * n));
    const features = new Int32Array(core.copy(at, 4 * found).buffer);
    const values = new Float32Array(core.copy(at + 4 * n, 4 * found).buffer);
    return Array.from(features, (feature, i) => ({ feature, activation: values[i]! }));
  }

  /** How active one feature is in a row; 0: it is not. */
  feature(row: number, feature: number): number {
    return this.#core.check(this.#core.exports.slm_session_feature(this.#pointer, row, feature));
  }

  /** Evaluates `ids`; the natural-log probability of `next[i]` after ids[i], for all that `next` has. */
  async evalScored(ids: Int32Array, next: Int32Array): Promise<number[]> {
    const core = this.#core;
    core.check(
      core.exports.slm_session_eval(this.#pointer, core.putIds(ids), ids.length, EvalFlag.ALL_LOGITS),
    );
    await core.settle();
    const start = core.exports.slm_session_logits(this.#pointer);
    return Array.from(next, (token, i) => {
      const bytes = core.bytes(start + 4 * this.n_vocab * i, 4 * this.n_vocab);
      return logSoftmax(new Float32Array(bytes.buffer, bytes.byteOffset, this.n_vocab), token);
    });
  }

  /** A copy of the last row of logits, or of an embedding as the model puts it out. */
  logits(): Float32Array {
    const start = this.#core.exports.slm_session_logits(this.#pointer);
    return new Float32Array(this.#core.copy(start, 4 * this.#n_out).buffer);
  }

  /** The first `n` numbers of the last text's embedding, of length 1. */
  embedding(n: number): Float32Array<ArrayBuffer> {
    const core = this.#core;
    const { after } = core.put(new Uint8Array(), 4 * n);
    core.check(core.exports.slm_session_embedding(this.#pointer, after, n));
    return new Float32Array(core.copy(after, 4 * n).buffer);
  }

  /** To be awaited after an evaluation, before anything is made of it. */
  settle(): Promise<void> {
    return this.#core.settle();
  }

  /** Takes a token that another session has sampled for the same answer. */
  accept(token: number): void {
    this.#core.check(this.#core.exports.slm_session_accept(this.#pointer, token));
  }

  sample(): number {
    return this.#core.check(this.#core.exports.slm_session_sample(this.#pointer));
  }

  get finish(): Finish {
    return this.#core.check(this.#core.exports.slm_session_finish(this.#pointer)) as Finish;
  }

  get finished(): boolean {
    return this.finish !== Finish.NONE;
  }

  /** Text that is complete; with `flush` also what was held back. */
  text(flush: boolean): string {
    const at = this.#core.scratch(TEXT_CAPACITY);
    let text = '';
    for (;;) {
      const n = this.#core.check(
        this.#core.exports.slm_session_text(this.#pointer, flush ? 1 : 0, at, TEXT_CAPACITY),
      );
      if (n === 0) return text;
      text += this.#core.text(at, n);
    }
  }

  /** The sampled token first, then the `n` most likely ones. */
  logprobs(n: number): RawLogprob[] {
    const core = this.#core;
    const bytes = (n + 1) * 4;
    const at = core.scratch(bytes * 2);
    core.check(core.exports.slm_session_logprobs(this.#pointer, n, at, at + bytes));
    const ids = new Int32Array(core.copy(at, bytes).buffer);
    const values = new Float32Array(core.copy(at + bytes, bytes).buffer);
    return Array.from(ids, (id, i) => ({ id, logprob: values[i]! }));
  }
}

function logSoftmax(logits: Float32Array, token: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of logits) if (value > most) most = value;
  let sum = 0;
  for (const value of logits) sum += Math.exp(value - most);
  return logits[token]! - most - Math.log(sum);
}
