// The files beside one engine's model, by name: those that the model's manifest lists,
// whose bytes are there and which are loaded when they are first used, and those that
// the page brings. It owns names; the worker has the weights, and fetching is the
// caller's.

import { SlmError } from '../core/error';

/** What the engine does for them. */
export interface SideWorker<Facts> {
  /** Resolves to the worker's id of the file. */
  load(file: Blob): Promise<{ readonly id: number; readonly facts: Facts }>;
  free(id: number): void;
}

export interface SideEntry<Facts> {
  readonly title: string;
  readonly file: Blob;
  /** In the manifest: removing it frees its memory and nothing else. */
  readonly listed: boolean;
  loading: ReturnType<SideWorker<Facts>['load']> | null;
  facts: Facts | null;
}

const MAX_NAME = 100;

export class SideFiles<Facts> {
  readonly #worker: SideWorker<Facts>;
  readonly #what: string;
  protected readonly entries = new Map<string, SideEntry<Facts>>();

  /** `what`: "an adapter", in sentences. */
  constructor(worker: SideWorker<Facts>, what: string) {
    this.#worker = worker;
    this.#what = what;
  }

  /** Loads it. On error it is not there. */
  protected async bring(name: string, title: string, file: Blob): Promise<Facts> {
    this.checkName(name);
    this.entries.set(name, { title, file, listed: false, loading: null, facts: null });
    try {
      await this.id(name);
    } catch (error) {
      this.entries.delete(name);
      throw error;
    }
    return this.entry(name).facts!;
  }

  /** Throws for a name that cannot be given to another one. */
  checkName(name: string): void {
    if (typeof name !== 'string' || name.length < 1 || name.length > MAX_NAME)
      throw new SlmError(
        'invalid_argument',
        `Expected the name of ${this.#what} of 1 to ${MAX_NAME} characters, found ${String(name).slice(0, 80)}.`,
      );
    if (this.entries.has(name))
      throw new SlmError(
        'invalid_argument',
        `Expected a name for ${this.#what} that none has, found '${name}', which is taken; remove that one first.`,
      );
  }

  remove(name: string): void {
    const entry = this.entry(name);
    const { loading } = entry;
    if (entry.listed) entry.loading = entry.facts = null;
    else this.entries.delete(name);
    loading?.then(({ id }) => this.#worker.free(id)).catch(() => undefined); // what failed is not there
  }

  /** Other workers take over, which have loaded none yet. What was being loaded is loaded by them: the engine
   *  asks them again for what was pending. */
  restart(): void {
    for (const entry of this.entries.values()) if (entry.facts !== null) entry.loading = entry.facts = null;
  }

  /** The worker's id; loads what is not in memory yet. */
  async id(name: string): Promise<number> {
    const entry = this.entry(name);
    entry.loading ??= this.#load(name, entry.file);
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

  /** Throws where the file is not what the manifest has said of it. */
  protected check(_name: string, _facts: Facts): void {}

  async #load(name: string, file: Blob): ReturnType<SideWorker<Facts>['load']> {
    const loaded = await this.#worker.load(file);
    try {
      this.check(name, loaded.facts);
      return loaded;
    } catch (error) {
      this.#worker.free(loaded.id);
      throw error;
    }
  }

  protected entry(name: string): SideEntry<Facts> {
    const entry = this.entries.get(name);
    if (entry !== undefined) return entry;
    const known = Array.from(this.entries.keys()).join(', ') || 'none';
    throw new SlmError(
      'invalid_argument',
      `Expected the name of ${this.#what} that is there (${known}), found '${String(name).slice(0, 80)}'.`,
    );
  }
}

/** The page has trusted what the manifest says of a file until it was opened: `found` is what the file says. */
export function checkFacts<T extends object>(what: string, stated: T, found: Partial<T>): void {
  for (const key of Object.keys(found) as (keyof T)[])
    if (stated[key] !== found[key])
      throw new SlmError(
        'bad_manifest',
        `Expected ${String(key)} of ${what} to be ${stated[key]}, as the manifest says, found ${found[key]} in its file; pack the model again.`,
      );
}
