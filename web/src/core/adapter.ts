// A LoRA adapter in the core, beside the model that it belongs to. It loads as
// a model does, header first; which answers use it is the session's business.

import { Status } from '../generated/abi';
import type { Core } from './core';
import type { Model, TensorFacts } from './model';

export interface AdapterFacts {
  readonly name: string | null;
  /** The largest of its matrices. */
  readonly rank: number;
  readonly packed_bytes: number;
}

export class Adapter {
  readonly core: Core;
  readonly pointer: number;

  constructor(model: Model) {
    this.core = model.core;
    this.pointer = this.core.checkPointer(this.core.exports.slm_adapter_new(model.pointer));
  }

  /** Hands over the file's first bytes. False asks for more of them. */
  header(bytes: Uint8Array, fileSize: number): boolean {
    const buffer = this.core.alloc(bytes.length);
    try {
      this.core.bytes(buffer, bytes.length).set(bytes);
      const status = this.core.exports.slm_adapter_header(this.pointer, buffer, bytes.length, fileSize);
      if (status === Status.NEED_MORE && bytes.length < fileSize) return false;
      this.core.check(status);
      return true;
    } finally {
      this.core.free(buffer);
    }
  }

  describe(): AdapterFacts & { readonly tensors: readonly TensorFacts[] } {
    return this.core.json(
      this.core.checkPointer(this.core.exports.slm_adapter_describe(this.pointer)),
    ) as AdapterFacts & { tensors: TensorFacts[] };
  }

  /** Bytes [offset, offset + n) of a tensor, which lie at `at` in the memory. */
  feed(tensor: number, offset: number, at: number, n: number): void {
    this.core.check(this.core.exports.slm_adapter_feed(this.pointer, tensor, offset, at, n));
  }

  ready(): void {
    this.core.check(this.core.exports.slm_adapter_ready(this.pointer));
  }

  /** A session that still uses it keeps its memory until it uses others. */
  free(): void {
    this.core.exports.slm_adapter_free(this.pointer);
  }
}
