// A LoRA adapter in the core, beside the model that it belongs to. Which answers use
// it is the session's business.

import type { Model } from './model';
import { Part } from './part';

export interface AdapterFacts {
  readonly name: string | null;
  /** The largest of its matrices. */
  readonly rank: number;
  readonly packed_bytes: number;
}

export class Adapter extends Part<AdapterFacts> {
  constructor(model: Model) {
    const { exports } = model.core;
    super(model, {
      create: exports.slm_adapter_new,
      header: exports.slm_adapter_header,
      describe: exports.slm_adapter_describe,
      feed: exports.slm_adapter_feed,
      ready: exports.slm_adapter_ready,
      free: exports.slm_adapter_free,
    });
  }
}
