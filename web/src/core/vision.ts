// The encoder of pictures in the core, beside the model that it belongs to, and what
// it makes of a picture. It loads as a model does, header first; where pictures come
// from and where they stand in a prompt is other people's business.

import { Status } from '../generated/abi';
import type { Core } from './core';
import type { Model, TensorFacts } from './model';

export interface VisionFacts {
  readonly name: string | null;
  readonly projector: string;
  /** Side of the square that it takes, in pixels. */
  readonly image_size: number;
  readonly patch_size: number;
  /** Positions that a square takes in a prompt. */
  readonly n_tokens: number;
  /** A prompt with pictures is evaluated by one call. */
  readonly whole_prompt: boolean;
  readonly parameters: number;
  readonly packed_bytes: number;
}

export class Vision {
  readonly core: Core;
  readonly pointer: number;

  constructor(model: Model) {
    this.core = model.core;
    this.pointer = this.core.checkPointer(this.core.exports.slm_vision_new(model.pointer));
  }

  /** Hands over the file's first bytes. False asks for more of them. */
  header(bytes: Uint8Array, fileSize: number): boolean {
    const buffer = this.core.alloc(bytes.length);
    try {
      this.core.bytes(buffer, bytes.length).set(bytes);
      const status = this.core.exports.slm_vision_header(this.pointer, buffer, bytes.length, fileSize);
      if (status === Status.NEED_MORE && bytes.length < fileSize) return false;
      this.core.check(status);
      return true;
    } finally {
      this.core.free(buffer);
    }
  }

  describe(): VisionFacts & { readonly tensors: readonly TensorFacts[] } {
    return this.core.json(
      this.core.checkPointer(this.core.exports.slm_vision_describe(this.pointer)),
    ) as VisionFacts & { tensors: TensorFacts[] };
  }

  /** Bytes [offset, offset + n) of a tensor, which lie at `at` in the memory. */
  feed(tensor: number, offset: number, at: number, n: number): void {
    this.core.check(this.core.exports.slm_vision_feed(this.pointer, tensor, offset, at, n));
  }

  ready(): void {
    this.core.check(this.core.exports.slm_vision_ready(this.pointer));
  }

  /** What it makes of a square, (image_size, image_size, 3) of 0 to 255; to be settled. */
  encode(rgb: Uint8Array): Picture {
    const buffer = this.core.alloc(rgb.length);
    try {
      this.core.bytes(buffer, rgb.length).set(rgb);
      return new Picture(
        this.core,
        this.core.checkPointer(this.core.exports.slm_vision_encode(this.pointer, buffer)),
      );
    } finally {
      this.core.free(buffer);
    }
  }

  free(): void {
    this.core.exports.slm_vision_free(this.pointer);
  }
}

export class Picture {
  readonly #core: Core;
  readonly pointer: number;

  constructor(core: Core, pointer: number) {
    this.#core = core;
    this.pointer = pointer;
  }

  /** A session that still has it keeps its memory until it has others. */
  free(): void {
    this.#core.exports.slm_picture_free(this.pointer);
  }
}
