// Samples, and notices when a GPU computes nonsense although nothing has failed: no
// numbers at all, or one token without text again and again. On the CPU neither is
// a device's fault, and what the core says of it stands.

import { SlmError } from '../core/error';
import type { Model } from '../core/model';
import type { Session } from '../core/session';
import { GpuFailure } from '../gpu/failure';

/** Padding and unused tokens do not follow one another in what a model has learnt. */
const MOST_EMPTY = 8;

export class Sanity {
  readonly #model: Model;
  readonly #session: Session;
  readonly #onGpu: boolean;
  #last = -1;
  #times = 0;

  constructor(model: Model, session: Session, onGpu: boolean) {
    this.#model = model;
    this.#session = session;
    this.#onGpu = onGpu;
  }

  sample(): number {
    if (!this.#onGpu) return this.#session.sample();
    const token = this.#sampled();
    this.#times = token === this.#last ? this.#times + 1 : 1;
    this.#last = token;
    if (this.#times >= MOST_EMPTY && this.#model.detokenize([token], { special: false }).length === 0)
      throw new GpuFailure({ code: 'gpu_senseless', repeated: this.#times });
    return token;
  }

  #sampled(): number {
    try {
      return this.#session.sample();
    } catch (error) {
      // The core finds no number among the logits, and cannot know whose fault that is.
      if (error instanceof SlmError && error.code === 'bad_file')
        throw new GpuFailure({ code: 'gpu_senseless', repeated: null }, error);
      throw error;
    }
  }
}
