// Which model is open, being opened, or failed to open; one at a time, since two
// at once seldom fit a phone. It asks the host and remembers; it draws nothing.

import type { BackendNotice } from '../api/backend';
import type { EngineOptions, LoadProgress, Slm } from '../api/types';
import type { ChatHost, ModelEntry, OpenedModel, OpenWish, StorageReport } from '../seal/protocol';
import type { Room } from '../store/device';
import { later } from './again';
import type { AskReason } from './begin';
import { isAway } from './errors';
import { S } from './strings';

export type ModelState =
  | { readonly kind: 'none' } // nothing chosen yet
  | {
      readonly kind: 'opening';
      readonly entry: ModelEntry;
      readonly room: Room | null;
      readonly progress: LoadProgress | null;
    }
  | { readonly kind: 'asking'; readonly entry: ModelEntry; readonly reason: AskReason } // before the download
  | { readonly kind: 'halted'; readonly entry: ModelEntry; readonly kept: number } // by the person
  | {
      readonly kind: 'failed';
      readonly entry: ModelEntry;
      readonly error: unknown;
      /** Bytes that have arrived. */
      readonly kept: number;
    }
  | {
      readonly kind: 'ready';
      readonly entry: ModelEntry;
      readonly slm: Slm;
      readonly storage: StorageReport;
      readonly room: Room;
    };

/** Another version on its way, beside the one that runs. */
export type UpdateState =
  | { readonly kind: 'none' }
  | { readonly kind: 'fetching'; readonly progress: LoadProgress | null }
  | { readonly kind: 'fetched' } // it opens as soon as no answer is being written
  | { readonly kind: 'failed'; readonly error: unknown };

export type EngineChoice = Pick<EngineOptions, 'threads' | 'n_ctx' | 'backend' | 'kernels'>;

/** As it was chosen before this page was loaded, or by its address. */
export function keptChoice(host: ChatHost): EngineChoice {
  const { n_ctx, threads, matvec } = host.preferences;
  const backend = host.backend ?? host.preferences.backend;
  return {
    ...(n_ctx === null ? {} : { n_ctx }),
    ...(threads === null ? {} : { threads }),
    ...(backend === null ? {} : { backend }),
    ...(matvec === null ? {} : { kernels: { matvec } }),
  };
}

/** Opens the model of the moment otherwise than it was chosen. */
export type OpenAs = (wish: EngineChoice & Pick<OpenWish, 'signal' | 'onProgress'>) => Promise<OpenedModel>;

interface Waiter {
  readonly resolve: (slm: Slm) => void;
  readonly reject: (reason: unknown) => void;
}

export class Model {
  state: ModelState = { kind: 'none' };
  models: readonly ModelEntry[];
  choice: EngineChoice = {};
  update: UpdateState = { kind: 'none' };
  /** The person does not want to hear of updates during this visit. */
  later = false;
  private updating: AbortController | null = null;
  private attempt: AbortController | null = null;
  private failures = 0;
  private callOff = () => {};
  /** Models that the person wants although the estimate of memory says no. */
  private readonly forced = new Set<string>();
  private readonly waiters = new Set<Waiter>();

  constructor(
    private readonly host: ChatHost,
    private readonly onChange: () => void,
    /** Something has become of the graphics chip. */
    private readonly onNotice: (notice: BackendNotice) => void,
  ) {
    this.models = host.models;
  }

  /** The open or opening model, as the host last described it. */
  get entry(): ModelEntry | null {
    if (this.state.kind === 'none') return null;
    const { entry } = this.state;
    return this.models.find(({ name }) => name === entry.name) ?? entry;
  }

  /** The one that screens; it is not talked to. */
  get guard(): ModelEntry | null {
    return this.host.guard;
  }

  /** "SmolLM2 135M Instruct" is "SmolLM2" in conversation. */
  get shortName(): string {
    return this.entry?.title.split(' ')[0] ?? S.model;
  }

  /** The open model, or null. */
  get slm(): Slm | null {
    return this.state.kind === 'ready' ? this.state.slm : null;
  }

  /** Opens `entry` with the present choice of engine, in place of what is open. `force`: although
   *  the estimate of this device's memory says that it will not fit. */
  async open(entry: ModelEntry, force = false): Promise<void> {
    this.failures = 0;
    await this.try(entry, force);
  }

  /** Waits for the person before it fetches anything. */
  ask(entry: ModelEntry, reason: AskReason): void {
    this.set({ kind: 'asking', entry, reason });
  }

  /** Begins with a download that was stopped before. */
  resumable(entry: ModelEntry): void {
    this.set({ kind: 'halted', entry, kept: entry.arrived });
  }

  private async try(entry: ModelEntry, force = false): Promise<void> {
    if (force) this.forced.add(entry.name);
    this.callOff();
    this.attempt?.abort();
    const attempt = new AbortController();
    this.attempt = attempt;
    if (this.entry?.name !== entry.name) this.haltUpdate();
    if (this.update.kind !== 'fetching') this.update = { kind: 'none' };
    const previous = this.slm;
    let room: Room | null = null;
    let kept = entry.arrived;
    // What tries again by itself is seen once there is something new to say.
    if (this.failures === 0) this.set({ kind: 'opening', entry, room, progress: null });
    try {
      await previous?.dispose();
      const opened = await this.host.open(entry.name, {
        ...this.choice,
        force: this.forced.has(entry.name),
        signal: attempt.signal,
        onRoom: (found) => {
          room = found;
          if (this.attempt === attempt) this.set({ kind: 'opening', entry, room, progress: null });
        },
        onNotice: (_sentence, notice) => {
          if (this.attempt === attempt) this.onNotice(notice);
        },
        onProgress: (progress) => {
          if (progress.phase === 'download' || progress.phase === 'lost') kept = progress.loaded;
          if (this.attempt === attempt) this.set({ kind: 'opening', entry, room, progress });
        },
      });
      if (this.attempt !== attempt) return void opened.slm.dispose();
      this.models = await this.host.refresh().catch(() => this.models); // only the labels would be stale
      this.set({ kind: 'ready', entry, ...opened });
      for (const { resolve } of this.waiters) resolve(opened.slm);
      this.waiters.clear();
    } catch (error) {
      if (this.attempt !== attempt) return;
      if (attempt.signal.aborted) {
        this.set({ kind: 'halted', entry, kept });
        return;
      }
      this.set({ kind: 'failed', entry, error, kept });
      if (!isAway(error)) return;
      this.failures += 1;
      this.callOff = later(this.failures, () => void this.try(this.entry ?? entry));
    }
  }

  /** Gives up opening; what has arrived and was checked stays with the shell. */
  halt(): void {
    this.attempt?.abort();
  }

  /** Removes all of a model from this device; the open one is closed first, a download given up. */
  async remove(entry: ModelEntry): Promise<void> {
    if (this.entry?.name === entry.name) await this.close();
    await this.host.remove(entry.name);
    this.models = await this.host.refresh();
    this.onChange();
  }

  private async close(): Promise<void> {
    const { slm } = this;
    this.haltUpdate();
    this.attempt?.abort();
    this.attempt = null;
    this.set({ kind: 'none' });
    await slm?.dispose();
  }

  /** Fetches the newer version while the present one goes on. True: the next open opens it. */
  async fetchUpdate(): Promise<boolean> {
    const { entry } = this;
    if (entry === null || this.updating !== null) return false;
    const attempt = new AbortController();
    this.updating = attempt;
    this.setUpdate({ kind: 'fetching', progress: null });
    try {
      await this.host.update(entry.name, {
        signal: attempt.signal,
        onProgress: (progress) => this.setUpdate({ kind: 'fetching', progress }),
      });
      this.models = await this.host.refresh();
      this.setUpdate({ kind: 'fetched' });
      return true;
    } catch (error) {
      this.setUpdate(attempt.signal.aborted ? { kind: 'none' } : { kind: 'failed', error });
      return false;
    } finally {
      this.updating = null;
    }
  }

  /** Gives up an update; what has arrived and was checked stays with the shell. */
  haltUpdate(): void {
    this.updating?.abort();
  }

  /** Opens the other version that is on this device. */
  async goBack(): Promise<void> {
    const { entry } = this;
    if (entry === null) return;
    try {
      await this.host.goBack(entry.name);
      await this.open(entry);
    } catch (error) {
      this.setUpdate({ kind: 'failed', error });
    }
  }

  /** Deletes the other version that is on this device. */
  async forget(entry: ModelEntry): Promise<void> {
    await this.host.forget(entry.name);
    await this.look();
  }

  /** Asks again what there is. */
  async look(): Promise<void> {
    this.models = await this.host.refresh().catch(() => this.models);
    this.onChange();
  }

  setUpdate(update: UpdateState): void {
    this.update = update;
    this.onChange();
  }

  /** The model as soon as it is open. Aborting rejects with the signal's reason. */
  ready(signal: AbortSignal): Promise<Slm> {
    if (this.slm !== null) return Promise.resolve(this.slm);
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      this.waiters.add(waiter);
      signal.addEventListener('abort', () => {
        this.waiters.delete(waiter);
        reject(signal.reason);
      });
    });
  }

  /** Gives the place of the open model to `work`, which opens it in ways of its own, one at a time; then
   *  it is opened again as it was. Opening another model, or removing this one, aborts the signal. */
  async lend<T>(work: (open: OpenAs, signal: AbortSignal) => Promise<T>): Promise<T> {
    const { entry, slm } = this;
    if (entry === null || slm === null) throw new Error('there is no open model to lend');
    const attempt = new AbortController();
    this.attempt = attempt;
    this.set({ kind: 'opening', entry, room: null, progress: null });
    try {
      await slm.dispose();
      const force = this.forced.has(entry.name);
      const open: OpenAs = (wish) =>
        this.host.open(entry.name, { ...this.choice, force, unscreened: true, ...wish });
      return await work(open, attempt.signal);
    } finally {
      if (this.attempt === attempt) await this.open(entry);
    }
  }

  private set(state: ModelState): void {
    this.state = state;
    this.onChange();
  }
}
