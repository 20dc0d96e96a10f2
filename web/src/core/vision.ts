// The encoder of pictures in the core, beside the model that it belongs to, and what
// it makes of a picture. Where pictures come from and where they stand in a prompt is
// other people's business.

import type { Core } from './core';
import type { Model } from './model';
import { Part } from './part';

export interface VisionFacts {
  readonly name: string | null;
  readonly projector: string;
  /** Side of the square that it takes, in pixels; 0 where a picture keeps its shape. */
  readonly image_size: number;
  readonly patch_size: number;
  /** Rows and columns of patches that make one position. */
  readonly factor: number;
  /** Positions that a picture takes in a prompt, or at most where nobody asks for more; and at most in any case. */
  readonly n_tokens: number;
  readonly max_tokens: number;
  /** A picture is evaluated by one call. */
  readonly whole_picture: boolean;
  /** A prompt with pictures is evaluated by one call. */
  readonly whole_prompt: boolean;
  readonly parameters: number;
  readonly packed_bytes: number;
}

/** Rows of red, green and blue, 0 to 255 each. */
export interface RgbPicture {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
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

  /** As of a model: how many self-tests there are of what a GPU does for it. They are the model's checks until its
   *  own are counted again. */
  checks(): { readonly count: number; readonly bound: number } {
    const { exports } = this.core;
    const count = this.core.check(exports.slm_vision_check_count(this.pointer));
    return { count, bound: exports.slm_check_bound() };
  }

  /** What it makes of a picture, (height, width, 3) of 0 to 255; to be settled. */
  encode({ width, height, rgb }: RgbPicture): Picture {
    this.core.check(this.core.exports.slm_vision_bytes(this.pointer, width, height));
    const buffer = this.core.alloc(rgb.length);
    try {
      this.core.bytes(buffer, rgb.length).set(rgb);
      return new Picture(
        this.core,
        this.core.checkPointer(this.core.exports.slm_vision_encode(this.pointer, buffer, width, height)),
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
