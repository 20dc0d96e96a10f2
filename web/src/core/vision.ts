// The encoder of pictures in the core, beside the model that it belongs to, and what
// it makes of a picture. Where pictures come from and where they stand in a prompt is
// other people's business.

import type { Core } from './core';
import type { Model } from './model';
import { Part } from './part';

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

export class Vision extends Part<VisionFacts> {
  constructor(model: Model) {
    const { exports } = model.core;
    super(model, {
      create: exports.slm_vision_new,
      header: exports.slm_vision_header,
      describe: exports.slm_vision_describe,
      feed: exports.slm_vision_feed,
      ready: exports.slm_vision_ready,
      free: exports.slm_vision_free,
    });
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
