// What lies beside the model in memory (adapters, autoencoders, the encoder of
// pictures), by the ids that the page knows it by. Loading one feeds it between two turns of the event loop, so an answer that is
// under way goes on.

import { SlmError } from '../core/error';
import type { Model } from '../core/model';
import type { Part } from '../core/part';
import { feedUnits, planUnits, readHeaders } from './load';

const PIECE_BYTES = 1024 * 1024;

interface Loaded<Facts, P> {
  readonly part: P;
  readonly facts: Facts;
  readonly file: Blob;
}

export class LoadedFiles<Facts, P extends Part<Facts>> {
  readonly #model: Model;
  readonly #make: (model: Model) => P;
  readonly #what: string;
  readonly #loaded = new Map<number, Loaded<Facts, P>>();

  /** `what`: "an adapter", in sentences. */
  constructor(model: Model, make: (model: Model) => P, what: string) {
    this.#model = model;
    this.#make = make;
    this.#what = what;
  }

  async load(id: number, file: Blob, tick: () => Promise<void>): Promise<Facts> {
    const { core } = this.#model;
    const part = this.#make(this.#model);
    const buffers: number[] = [];
    try {
      readHeaders(part, [file]);
      const { tensors, ...facts } = part.describe();
      // One buffer for the cursor that threads would share, one for the bytes.
      for (const n of [4, PIECE_BYTES]) buffers.push(core.alloc(n));
      const [cursor, staging] = buffers as [number, number];
      core.bytes(cursor, 4).fill(0);
      const units = planUnits(tensors, PIECE_BYTES);
      for await (const _ of feedUnits(part, [file], units, cursor, staging)) {
        await core.settle();
        await tick();
      }
      part.ready();
      await core.settle();
      this.#loaded.set(id, { part, facts: facts as unknown as Facts, file });
      return facts as unknown as Facts;
    } catch (error) {
      part.free();
      throw error;
    } finally {
      for (const buffer of buffers) core.free(buffer);
    }
  }

  get(id: number): Loaded<Facts, P> {
    const loaded = this.#loaded.get(id);
    if (loaded !== undefined) return loaded;
    throw new SlmError(
      'invalid_argument',
      `Expected ${this.#what} that is loaded, found one that was removed.`,
    );
  }

  free(id: number): void {
    this.#loaded.get(id)?.part.free();
    this.#loaded.delete(id);
  }
}
