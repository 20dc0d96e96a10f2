// The adapters that are in memory, by the ids that the page knows them by.
// Loading one feeds it between two turns of the event loop, so an answer that
// is under way goes on.

import { Adapter, type AdapterFacts } from '../core/adapter';
import { SlmError } from '../core/error';
import type { Model } from '../core/model';
import { feedUnits, planUnits, readHeaders } from './load';

/** Adapters are small; their tensors even more so. */
const PIECE_BYTES = 1024 * 1024;

export class LoadedAdapters {
  readonly #model: Model;
  readonly #adapters = new Map<number, Adapter>();

  constructor(model: Model) {
    this.#model = model;
  }

  async load(id: number, file: Blob, tick: () => Promise<void>): Promise<AdapterFacts> {
    const { core } = this.#model;
    const adapter = new Adapter(this.#model);
    const buffers: number[] = [];
    try {
      readHeaders(adapter, [file]);
      const { tensors, ...facts } = adapter.describe();
      // One buffer for the cursor that threads would share, one for the bytes.
      for (const n of [4, PIECE_BYTES]) buffers.push(core.alloc(n));
      const [cursor, staging] = buffers as [number, number];
      core.bytes(cursor, 4).fill(0);
      const units = planUnits(tensors, PIECE_BYTES);
      for await (const _ of feedUnits(adapter, [file], units, cursor, staging)) await tick();
      adapter.ready();
      await core.settle();
      this.#adapters.set(id, adapter);
      return facts;
    } catch (error) {
      adapter.free();
      throw error;
    } finally {
      for (const buffer of buffers) core.free(buffer);
    }
  }

  get(id: number): Adapter {
    const adapter = this.#adapters.get(id);
    if (adapter !== undefined) return adapter;
    throw new SlmError('invalid_argument', 'Expected an adapter that is loaded, found one that was removed.');
  }

  free(id: number): void {
    this.#adapters.get(id)?.free();
    this.#adapters.delete(id);
  }
}
