// A sparse autoencoder in the core, beside the model that it was trained on. Its
// decoder stays in the file, of which a row is read when it is asked for. What it makes
// of rows is the session's business.

import type { SaeLabel } from '../api/inspection';
import type { Site } from '../generated/abi';
import type { Model } from './model';
import { Part } from './part';

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

export class Sae extends Part<SaeFacts> {
  constructor(model: Model) {
    const { exports } = model.core;
    super(model, {
      create: exports.slm_sae_new,
      header: exports.slm_sae_header,
      describe: exports.slm_sae_describe,
      feed: exports.slm_sae_feed,
      ready: exports.slm_sae_ready,
      free: exports.slm_sae_free,
    });
  }

  /** null: it has none. */
  label(feature: number): string | null {
    const pointer = this.core.exports.slm_sae_label(this.pointer, feature);
    return pointer === 0 ? null : this.core.string(pointer);
  }

  /** Of all features that have one. */
  labels(features: number): SaeLabel[] {
    const found: SaeLabel[] = [];
    for (let feature = 0; feature < features; feature++) {
      const label = this.label(feature);
      if (label !== null) found.push({ feature, label });
    }
    return found;
  }

  /** What a row of the decoder stands for (width). */
  direction(row: Uint8Array, width: number): Float32Array<ArrayBuffer> {
    const { core } = this;
    const { pointer, after } = core.put(row, 4 * width);
    core.check(core.exports.slm_sae_direction(this.pointer, pointer, row.length, after, width));
    return new Float32Array(core.copy(after, 4 * width).buffer);
  }
}
