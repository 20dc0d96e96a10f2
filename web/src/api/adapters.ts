// slm.adapters: domains for one base model. It fetches what is named by an
// address; everything else is the engine's.

import { SlmError } from '../core/error';
import type { Engine } from '../engine/engine';
import type { AdapterInfo, AdapterLoadOptions, Adapters, AdapterUse } from './types';

export class ModelAdapters implements Adapters {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async load(
    source: string | URL | Blob,
    { name, title = name, signal }: AdapterLoadOptions,
  ): Promise<AdapterInfo> {
    signal?.throwIfAborted();
    const { adapters } = this.#engine;
    adapters.checkName(name);
    const file = source instanceof Blob ? source : await fetchBlob(String(source), 'an adapter', signal);
    const info = await adapters.add(name, title, file);
    if (signal?.aborted) {
      adapters.remove(name);
      signal.throwIfAborted();
    }
    return info;
  }

  use(adapters: readonly AdapterUse[]): Promise<void> {
    return this.#engine.adapters.use(adapters);
  }

  list(): readonly AdapterInfo[] {
    return this.#engine.adapters.list();
  }

  remove(name: string): void {
    this.#engine.adapters.remove(name);
  }
}

/** `what`: "an adapter", in a sentence. */
export async function fetchBlob(url: string, what: string, signal: AbortSignal | undefined): Promise<Blob> {
  let found: string;
  let cause: unknown;
  try {
    const response = await fetch(url, { signal: signal ?? null });
    if (response.ok) return await response.blob();
    found = `HTTP ${response.status}`;
  } catch (error) {
    signal?.throwIfAborted();
    found = 'no connection';
    cause = error;
  }
  throw new SlmError('network', `Expected ${what} at ${url}, found ${found}; check the address.`, {
    cause,
  });
}
