// The adapters of one engine: which of them are in use, beside what all files at a
// model's side have.

import type { AdapterInfo, AdapterUse, ModelSource } from '../api/types';
import type { AdapterFacts } from '../core/adapter';
import { SlmError } from '../core/error';
import { SideFiles, type SideWorker } from './side_files';

export class EngineAdapters extends SideFiles<AdapterFacts> {
  #used: readonly AdapterUse[] = [];

  constructor(
    worker: SideWorker<AdapterFacts>,
    { manifest, files }: Pick<ModelSource, 'manifest' | 'files'>,
  ) {
    super(worker, 'an adapter');
    for (const { name, title, file } of manifest.adapters ?? [])
      this.entries.set(name, { title, file: files[file]!, listed: true, loading: null, facts: null });
  }

  list(): AdapterInfo[] {
    return Array.from(this.entries, ([name, { title, file, facts }]) => ({
      name,
      title,
      size: file.size,
      loaded: facts !== null,
      rank: facts?.rank ?? null,
    }));
  }

  async add(name: string, title: string, file: Blob): Promise<AdapterInfo> {
    await this.bring(name, title, file);
    return this.list().find((info) => info.name === name)!;
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
      this.entry(name);
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
      uses.map(async ({ name, scale = 1 }): Promise<[number, number]> => [await this.id(name), scale]),
    );
  }

  override remove(name: string): void {
    super.remove(name);
    this.#used = this.#used.filter((use) => use.name !== name);
  }
}
