// What lies beside a model in the core and came from a file of its own: an adapter, an
// autoencoder, the encoder of pictures. All of them load as a model does, header first;
// slm.h has the same functions for each.

import { type SlmExports, Status } from '../generated/abi';
import type { Core } from './core';
import type { Model, TensorFacts } from './model';

/** Its functions of slm.h. */
export interface PartFunctions {
  readonly create: SlmExports['slm_adapter_new'];
  readonly header: SlmExports['slm_adapter_header'];
  readonly describe: SlmExports['slm_adapter_describe'];
  readonly feed: SlmExports['slm_adapter_feed'];
  readonly ready: SlmExports['slm_adapter_ready'];
  readonly free: SlmExports['slm_adapter_free'];
}

export abstract class Part<Facts> {
  readonly core: Core;
  readonly pointer: number;
  readonly #functions: PartFunctions;

  protected constructor(model: Model, functions: PartFunctions) {
    this.core = model.core;
    this.#functions = functions;
    this.pointer = this.core.checkPointer(functions.create(model.pointer));
  }

  /** Hands over the file's first bytes. False asks for more of them. */
  header(bytes: Uint8Array, fileSize: number): boolean {
    const buffer = this.core.alloc(bytes.length);
    try {
      this.core.bytes(buffer, bytes.length).set(bytes);
      const status = this.#functions.header(this.pointer, buffer, bytes.length, fileSize);
      if (status === Status.NEED_MORE && bytes.length < fileSize) return false;
      this.core.check(status);
      return true;
    } finally {
      this.core.free(buffer);
    }
  }

  describe(): Facts & { readonly tensors: readonly TensorFacts[] } {
    return this.core.json(this.core.checkPointer(this.#functions.describe(this.pointer))) as Facts & {
      tensors: TensorFacts[];
    };
  }

  /** Bytes [offset, offset + n) of a tensor, which lie at `at` in the memory. */
  feed(tensor: number, offset: number, at: number, n: number): void {
    this.core.check(this.#functions.feed(this.pointer, tensor, offset, at, n));
  }

  ready(): void {
    this.core.check(this.#functions.ready(this.pointer));
  }

  /** A session that still uses it keeps its memory until it uses others. */
  free(): void {
    this.#functions.free(this.pointer);
  }
}
