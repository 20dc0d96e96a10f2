// The shell as the chat sees it: asks over the port, and makes engines from what
// comes back. It runs in the frame and can reach nothing but the port.

import { type Guarding, LoadedModel } from '../api/slm';
import type { EngineOptions, LoadProgress, Slm, SlmErrorCode, Variant } from '../api/types';
import { SlmError } from '../core/error';
import type { PaperSize } from './paper';
import type { Preferences } from './preferences';
import type {
  ChatHost,
  FrameMessage,
  ModelEntry,
  OpenedModel,
  OpenWish,
  ShellMessage,
  Site,
} from './protocol';

type Request = Exclude<FrameMessage, { type: 'ready' | 'drawn' | 'paper' | 'cancel' | 'unsaved' | 'keep' }>;
type Body = Request extends infer R ? (R extends Request ? Omit<R, 'id'> : never) : never;
type Answer<T extends ShellMessage['type']> = Extract<ShellMessage, { type: T; id: number }>;

interface Pending {
  readonly resolve: (message: ShellMessage) => void;
  readonly reject: (reason: unknown) => void;
  readonly onProgress: ((progress: LoadProgress) => void) | undefined;
  readonly onRoom: OpenWish['onRoom'];
}

const ROTTEN: ReadonlySet<SlmErrorCode> = new Set(['bad_file', 'corrupt']);

export class FrameHost implements ChatHost {
  readonly #port: MessagePort;
  readonly #workerUrl: string;
  readonly #gpuWorkerUrl: string;
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #unsaved = false;
  #all: readonly ModelEntry[];
  /** It stays open when another model is opened. */
  #screening: Slm | null = null;
  readonly site: Site;
  readonly preferences: Preferences;
  readonly backend: ChatHost['backend'];

  private constructor(
    port: MessagePort,
    { script, models, preferences, backend, site }: Extract<ShellMessage, { type: 'welcome' }>,
  ) {
    this.#port = port;
    this.#workerUrl = URL.createObjectURL(new Blob([script], { type: 'text/javascript' }));
    // Only a data: URL is a secure context here, which WebGPU asks for; threads need a blob: URL.
    this.#gpuWorkerUrl = `data:text/javascript,${encodeURIComponent(script)}`;
    this.site = site;
    this.#all = models;
    this.preferences = preferences;
    this.backend = backend;
    port.onmessage = ({ data }: MessageEvent<ShellMessage>) => this.#receive(data);
  }

  /** Resolves when the shell has said what there is. After a rejection one may ask again. */
  static connect(port: MessagePort): Promise<FrameHost> {
    return new Promise((resolve, reject) => {
      port.onmessage = ({ data }: MessageEvent<ShellMessage>) => {
        if (data.type === 'welcome') resolve(new FrameHost(port, data));
        else if (data.type === 'fatal') reject(SlmError.fromWire(data.error));
      };
      port.postMessage({ type: 'ready' } satisfies FrameMessage);
    });
  }

  get models(): readonly ModelEntry[] {
    return this.#all.filter(({ name }) => name !== this.site.guard?.model);
  }

  get guard(): ModelEntry | null {
    return this.#all.find(({ name }) => name === this.site.guard?.model) ?? null;
  }

  keep(preferences: Preferences): void {
    this.#post({ type: 'keep', preferences });
  }

  setUnsaved(something: boolean): void {
    if (something === this.#unsaved) return;
    this.#unsaved = something;
    this.#post({ type: 'unsaved', something });
  }

  async refresh(): Promise<readonly ModelEntry[]> {
    this.#all = (await this.#ask('models', { type: 'list' })).models;
    return this.models;
  }

  async open(name: string, options: OpenWish = {}): Promise<OpenedModel> {
    return this.#open(name, options, await this.#guarding(options));
  }

  async #open(name: string, options: OpenWish, guarding: Guarding | null): Promise<OpenedModel> {
    const opened = await this.#bytes(name, false, options);
    try {
      return await this.#load(opened, options, guarding);
    } catch (error) {
      // Bytes can rot on disk too, which shows in their form or in what they compute: have them hashed again
      // and replaced, once.
      if (!(error instanceof SlmError) || !ROTTEN.has(error.code)) throw error;
      return this.#load(await this.#bytes(name, true, options), options, guarding);
    }
  }

  /** The site's guard, open: without it nothing is. */
  async #guarding(options: OpenWish): Promise<Guarding | null> {
    const { guard } = this.site;
    if (guard === null || options.unscreened === true) return null;
    if (this.guard === null)
      throw new SlmError(
        'bad_manifest',
        `Expected the guard ${guard.model} among the models of this site, found none of that name; pack it beside them.`,
      );
    // An engine that has crashed answers nothing any more.
    const alive = await this.#screening?.tokenize('').catch(() => null);
    if (!alive) {
      const { onProgress, onRoom: _, n_ctx: __, ...shared } = options;
      const told = (progress: LoadProgress) => onProgress?.({ ...progress, guard: true });
      const { slm } = await this.#open(guard.model, { ...shared, onProgress: told }, null);
      await this.#screening?.dispose(); // also one that an opening which was given up has loaded meanwhile
      this.#screening = slm;
    }
    return { ...guard, model: this.#screening!, owned: false };
  }

  async remove(name: string): Promise<void> {
    await this.#ask('done', { type: 'remove', model: name });
  }

  paper({ pixels, sheets }: PaperSize): void {
    this.#post({ type: 'paper', pixels, sheets });
  }

  async update(name: string, options: EngineOptions = {}): Promise<void> {
    await this.#ask('done', { type: 'update', model: name }, options);
  }

  async goBack(name: string): Promise<void> {
    await this.#ask('done', { type: 'go-back', model: name });
  }

  async forget(name: string): Promise<void> {
    await this.#ask('done', { type: 'forget', model: name });
  }

  #bytes(model: string, verify: boolean, options: OpenWish): Promise<Answer<'opened'>> {
    const { n_ctx = null, backend = 'auto', force = false } = options;
    return this.#ask('opened', { type: 'open', model, verify, n_ctx, backend, force }, options);
  }

  async #load(
    { manifest, files, storage, room }: Answer<'opened'>,
    options: OpenWish,
    guarding: Guarding | null,
  ): Promise<OpenedModel> {
    const wasm = async (variant: Variant) => (await this.#ask('wasm', { type: 'wasm', variant })).bytes;
    const workers = { workerUrl: this.#workerUrl, gpuWorkerUrl: this.#gpuWorkerUrl };
    const source = { manifest, files, wasm, ...workers };
    const slm = await LoadedModel.fromSource(source, { ...options, n_ctx: room.n_ctx }, guarding);
    return { slm, storage, room };
  }

  #ask<T extends ShellMessage['type']>(
    _answer: T,
    body: Body,
    { signal, onProgress, onRoom }: OpenWish = {},
  ): Promise<Answer<T>> {
    signal?.throwIfAborted();
    const id = this.#nextId++;
    return new Promise<ShellMessage>((resolve, reject) => {
      const cancel = () => {
        this.#pending.delete(id);
        this.#post({ type: 'cancel', id });
        reject(signal!.reason);
      };
      const settled =
        <A>(finish: (value: A) => void) =>
        (value: A) => {
          signal?.removeEventListener('abort', cancel);
          finish(value);
        };
      signal?.addEventListener('abort', cancel, { once: true });
      this.#pending.set(id, { resolve: settled(resolve), reject: settled(reject), onProgress, onRoom });
      this.#post({ ...body, id } as Request);
    }) as Promise<Answer<T>>;
  }

  #receive(message: ShellMessage): void {
    if (message.type === 'fatal') {
      const error = SlmError.fromWire(message.error);
      for (const { reject } of this.#pending.values()) reject(error);
      this.#pending.clear();
    } else if ('id' in message) {
      const pending = this.#pending.get(message.id);
      if (message.type === 'progress') {
        pending?.onProgress?.(message.progress);
        return;
      }
      if (message.type === 'room') {
        pending?.onRoom?.(message.room);
        return;
      }
      this.#pending.delete(message.id);
      if (message.type === 'error') pending?.reject(SlmError.fromWire(message.error));
      else pending?.resolve(message);
    }
  }

  #post(message: FrameMessage): void {
    this.#port.postMessage(message);
  }
}
