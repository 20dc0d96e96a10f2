// A sparse autoencoder in the core, beside the model that it was trained on. It loads
// as an adapter does; its decoder stays in the file, of which a row is read when it is
// asked for. What it makes of rows is the session's business.

import { type Site, Status } from '../generated/abi';
import type { Core } from './core';
import type { Model, TensorFacts } from './model';

export interface SaeFacts {
  readonly name: string | null;
  readonly license: string | null;
  readonly site: Site;
  readonly layer: number;
  /** Numbers of a row. */
  readonly width: number;
  readonly features: number;
  /** How many of them have a label. */
  readonly labels: number;
  readonly packed_bytes: number;
  /** Where the decoder begins in the file, and bytes of a feature's row. */
  readonly decoder: { readonly offset: number; readonly row: number };
}

export class Sae {
  readonly core: Core;
  readonly pointer: number;

  constructor(model: Model) {
    this.core = model.core;
    this.pointer = this.core.checkPointer(this.core.exports.slm_sae_new(model.pointer));
  }

  /** Hands over the file's first bytes. False asks for more of them. */
  header(bytes: Uint8Array, fileSize: number): boolean {
    const buffer = this.core.alloc(bytes.length);
    try {
      this.core.bytes(buffer, bytes.length).set(bytes);
      const status = this.core.exports.slm_sae_header(this.pointer, buffer, bytes.length, fileSize);
      if (status === Status.NEED_MORE && bytes.length < fileSize) return false;
      this.core.check(status);
      return true;
    } finally {
      this.core.free(buffer);
    }
  }

  describe(): SaeFacts & { readonly tensors: readonly TensorFacts[] } {
    return this.core.json(
      this.core.checkPointer(this.core.exports.slm_sae_describe(this.pointer)),
    ) as SaeFacts & { tensors: TensorFacts[] };
  }

  /** Bytes [offset, offset + n) of a tensor, which lie at `at` in the memory. */
  feed(tensor: number, offset: number, at: number, n: number): void {
    this.core.check(this.core.exports.slm_sae_feed(this.pointer, tensor, offset, at, n));
  }

  ready(): void {
    this.core.check(this.core.exports.slm_sae_ready(this.pointer));
  }

  /** null: it has none. */
  label(feature: number): string | null {
    const pointer = this.core.exports.slm_sae_label(this.pointer, feature);
    return pointer === 0 ? null : this.core.string(pointer);
  }

  /** What a row of the decoder stands for (width). */
  direction(row: Uint8Array, width: number): Float32Array<ArrayBuffer> {
    const { core } = this;
    const { pointer, after } = core.put(row, 4 * width);
    core.check(core.exports.slm_sae_direction(this.pointer, pointer, row.length, after, width));
    return new Float32Array(core.copy(after, 4 * width).buffer);
  }

  /** A session that has encoded with it keeps its memory. */
  free(): void {
    this.core.exports.slm_sae_free(this.pointer);
  }
}
