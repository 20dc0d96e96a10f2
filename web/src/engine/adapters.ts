// The adapters of one engine by name: those that the model's manifest lists,
// whose bytes are there and which are loaded when they are first used, and those
// that the page brings. It owns names and what is in use; the worker has the
// weights, and fetching is the caller's.

import type { AdapterInfo, AdapterUse, ModelSource } from '../api/types';
import type { AdapterFacts } from '../core/adapter';
import { SlmError } from '../core/error';

/** What the engine does for them. */
export interface AdapterWorker {
  /** Resolves to the worker's id of the adapter. */
  load(file: Blob): Promise<{ readonly id: number; readonly facts: AdapterFacts }>;
  free(id: number): void;
}

interface Entry {
  readonly title: string;
  readonly file: Blob;
  /** In the manifest: removing it frees its memory and nothing else. */
  readonly listed: boolean;
  loading: ReturnType<AdapterWorker['load']> | null;
  facts: AdapterFacts | null;
}

const MAX_NAME = 100;

export class EngineAdapters {
  readonly #worker: AdapterWorker;
  readonly #entries = new Map<string, Entry>();
  #used: readonly AdapterUse[] = [];

  constructor(worker: AdapterWorker, { manifest, files }: Pick<ModelSource, 'manifest' | 'files'>) {
    this.#worker = worker;
    for (const { name, title, file } of manifest.adapters ?? [])
      this.#entries.set(name, { title, file: files[file]!, listed: true, loading: null, facts: null });
  }

  list(): AdapterInfo[] {
    return Array.from(this.#entries, ([name, { title, file, facts }]) => ({
      name,
      title,
      size: file.size,
      loaded: facts !== null,
      rank: facts?.rank ?? null,
    }));
  }

  async add(name: string, title: string, file: Blob): Promise<AdapterInfo> {
    this.checkName(name);
    this.#entries.set(name, { title, file, listed: false, loading: null, facts: null });
    try {
      await this.#ready(name);
    } catch (error) {
      this.#entries.delete(name);
      throw error;
    }
    return this.list().find((info) => info.name === name)!;
  }

  /** Throws for a name that cannot be given to another adapter. */
  checkName(name: string): void {
    if (typeof name !== 'string' || name.length < 1 || name.length > MAX_NAME)
      throw new SlmError(
        'invalid_argument',
        `Expected an adapter's name of 1 to ${MAX_NAME} characters, found ${String(name).slice(0, 80)}.`,
      );
    if (this.#entries.has(name))
      throw new SlmError(
        'invalid_argument',
        `Expected a name that no adapter has, found '${name}', which is taken; remove that one first.`,
      );
  }

  /** Those of requests that name none themselves, once they are loaded. */
  async use(uses: readonly AdapterUse[]): Promise<void> {
    const chosen = this.choose(uses);
    await this.ready(chosen);
    this.#used = chosen;
  }

  /** What a request uses: its own choice, checked, or the one of use(). */
  choose(uses: readonly AdapterUse[] | undefined): readonly AdapterUse[] {
    if (uses === undefined) return this.#used;
    if (!Array.isArray(uses))
      throw new SlmError('invalid_argument', 'Expected adapters to be a list of {name, scale}.');
    const names = new Set<string>();
    return (uses as readonly Partial<AdapterUse>[]).map(({ name = '', scale = 1 }) => {
      this.#entry(name);
      if (names.has(name))
        throw new SlmError('invalid_argument', `Expected each adapter once, found '${name}' twice.`);
      if (typeof scale !== 'number' || !Number.isFinite(scale))
        throw new SlmError(
          'invalid_argument',
          `Expected the scale of '${name}' to be a number, found ${scale}.`,
        );
      names.add(name);
      return { name, scale };
    });
  }

  /** The worker's ids and the scales; loads what is not in memory yet. */
  ready(uses: readonly AdapterUse[]): Promise<[id: number, scale: number][]> {
    return Promise.all(
      uses.map(async ({ name, scale = 1 }): Promise<[number, number]> => [await this.#ready(name), scale]),
    );
  }

  remove(name: string): void {
    const entry = this.#entry(name);
    const { loading } = entry;
    this.#used = this.#used.filter((use) => use.name !== name);
    if (entry.listed) entry.loading = entry.facts = null;
    else this.#entries.delete(name);
    loading?.then(({ id }) => this.#worker.free(id)).catch(() => undefined); // what failed is not there
  }

  /** Other workers take over, which have loaded none yet. What was being loaded is loaded by them: the engine
   *  asks them again for what was pending. */
  restart(): void {
    for (const entry of this.#entries.values()) if (entry.facts !== null) entry.loading = entry.facts = null;
  }

  async #ready(name: string): Promise<number> {
    const entry = this.#entry(name);
    entry.loading ??= this.#worker.load(entry.file);
    const { loading } = entry;
    try {
      const { id, facts } = await loading;
      if (entry.loading === loading) entry.facts = facts;
      return id;
    } catch (error) {
      // A failure is not kept, so that another attempt can succeed.
      if (entry.loading === loading) entry.loading = null;
      throw error;
    }
  }

  #entry(name: string): Entry {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry;
    const known = Array.from(this.#entries.keys()).join(', ') || 'none';
    throw new SlmError(
      'invalid_argument',
      `Expected the name of an adapter that is there (${known}), found '${String(name).slice(0, 80)}'.`,
    );
  }
}
