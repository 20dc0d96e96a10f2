// slm.saes: what takes a layer's rows apart into features. It fetches what is named by
// an address; everything else is the engine's.

import type { Engine } from '../engine/engine';
import { fetchBlob } from './adapters';
import type { SaeInfo, SaeLabel, SaeLoadOptions, Saes } from './types';

export class ModelSaes implements Saes {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async load(source: string | URL | Blob, { name, signal }: SaeLoadOptions): Promise<SaeInfo> {
    signal?.throwIfAborted();
    const { saes } = this.#engine;
    saes.checkName(name);
    const file = source instanceof Blob ? source : await fetchBlob(String(source), 'an autoencoder', signal);
    const info = await saes.add(name, file);
    if (signal?.aborted) {
      saes.remove(name);
      signal.throwIfAborted();
    }
    return info;
  }

  ready(name: string): Promise<SaeInfo> {
    return this.#engine.saes.ready(name);
  }

  labels(name: string): Promise<readonly SaeLabel[]> {
    return this.#engine.saes.labels(name);
  }

  list(): readonly SaeInfo[] {
    return this.#engine.saes.list();
  }

  remove(name: string): void {
    this.#engine.saes.remove(name);
  }
}
