// The trusted page around the sandboxed frame. It fetches, verifies and stores,
// and hands the frame what it needs; it never sees a prompt, and nothing that
// the frame sends ends up in a request: names are looked up in the shell's own
// list, and each wasm variant is fetched once. How often the frame may ask is
// limited too, so that even the rhythm of requests cannot spell much.

import type { Backend } from '../api/backend';
import type { StorageNotice } from '../api/notices';
import type { Variant } from '../api/types';
import { SlmError, type WireError } from '../core/error';
import { sealPage } from '../offline/seal';
import type { SourceManifest } from '../store/remote';
import {
  goBack,
  makeRoom,
  type OpenedFiles,
  type OpenOptions,
  openModel,
  removeOthers,
  removeStored,
} from '../store/store';
import { Catalog } from './catalog';
import { setHalted } from './halted';
import { keepPreferences, keptPreferences } from './kept';
import { readFrameMessage } from './messages';
import type { PaperSize } from './paper';
import { BACKENDS } from './preferences';
import type { FrameMessage, Hello, ShellMessage, Site, StorageReport } from './protocol';

const MAX_MESSAGES = 1000;
/** What leads to no request. */
const QUIET: ReadonlySet<FrameMessage['type']> = new Set(['unsaved', 'keep', 'paper']);

interface Assets {
  readonly worker: string;
  readonly store: string;
  readonly site: Site;
  /** Whose models may be opened; null: anybody's. */
  readonly publicKey: string | null;
  /** Integrity of each wasm variant: the page runs the ones that it was made with, or none. */
  readonly wasm: Readonly<Partial<Record<Variant, string>>>;
}

export class Shell {
  readonly #port: MessagePort;
  readonly #assets: Assets;
  readonly #catalog: Catalog;
  readonly #wasm = new Map<Variant, Promise<ArrayBuffer>>();
  readonly #running = new Map<number, AbortController>();
  #messages = 0;
  /** Bytes that the site's guard has been given, which stays open beside any other model. */
  #guards = 0;

  constructor(port: MessagePort, assets: Assets) {
    this.#port = port;
    this.#assets = assets;
    this.#catalog = new Catalog(new URL('models/', location.href), assets.publicKey);
    port.onmessage = ({ data }) => this.#receive(data);
  }

  #receive(data: unknown): void {
    const message = readFrameMessage(data, this.#catalog.names);
    // Only what may lead to a request has a rhythm that the network could see.
    if (message === null || !QUIET.has(message.type)) this.#messages += 1;
    if (message === null || this.#messages > MAX_MESSAGES) {
      this.#post({
        type: 'fatal',
        error: {
          code: 'invalid_argument',
          message: 'The chat asked for something that it may not have, so its page was cut off; reload it.',
        },
      });
      this.#port.close();
      for (const controller of this.#running.values()) controller.abort();
      return;
    }
    if (message.type === 'unsaved') warnOnLeaving(message.something);
    else if (message.type === 'keep') keepPreferences(message.preferences, this.#assets.wasm.webgpu);
    else if (message.type === 'drawn') document.getElementById('skeleton')?.remove();
    else if (message.type === 'paper') setPaper(message);
    else if (message.type === 'cancel') this.#running.get(message.id)?.abort();
    else if (message.type === 'ready')
      this.#welcome().catch((error: unknown) => this.#post({ type: 'fatal', error: toWire(error) }));
    else
      this.#serve(message).catch((error: unknown) =>
        this.#post({ type: 'error', id: message.id, error: toWire(error) }),
      );
  }

  async #welcome(): Promise<void> {
    const preparing = document.getElementById('preparing')!;
    const skeleton = document.getElementById('skeleton');
    const showPreparing = (shown: boolean) => {
      preparing.hidden = !shown;
      if (skeleton !== null) skeleton.hidden = shown;
    };
    await sealPage(() => showPreparing(true)).finally(() => showPreparing(false));
    const [script, models] = await Promise.all([
      fetchOk(this.#assets.worker).then((response) => response.text()),
      this.#catalog.refresh(),
    ]);
    const preferences = keptPreferences(this.#catalog.names, this.#assets.wasm.webgpu);
    const { site } = this.#assets;
    this.#post({ type: 'welcome', script, models, preferences, backend: askedBackend(), site });
  }

  async #serve(
    message: Exclude<FrameMessage, { type: 'ready' | 'drawn' | 'paper' | 'cancel' | 'unsaved' | 'keep' }>,
  ): Promise<void> {
    const { id } = message;
    switch (message.type) {
      case 'list':
        this.#post({ type: 'models', id, models: await this.#catalog.refresh() });
        break;
      case 'remove':
        await removeStored(message.model);
        setHalted(message.model, true); // else the next visit would fetch it again unasked
        this.#post({ type: 'done', id });
        break;
      case 'forget':
        await removeOthers(message.model);
        this.#post({ type: 'done', id });
        break;
      case 'go-back': {
        const { root } = (await this.#catalog.previous(message.model)).manifest;
        await goBack(message.model, root, this.#assets.store);
        this.#catalog.runs(message.model, root);
        this.#post({ type: 'done', id });
        break;
      }
      case 'update':
        await this.#abortable(id, async (signal) => {
          const source = await this.#catalog.newer(message.model);
          await this.#bring(id, source, { mustStore: true, signal });
          this.#post({ type: 'done', id });
        });
        break;
      case 'wasm':
        this.#post({ type: 'wasm', id, bytes: await this.#variant(message.variant) });
        break;
      case 'open':
        await this.#abortable(id, (signal) => this.#open(message, signal));
    }
  }

  async #abortable(id: number, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const controller = new AbortController();
    this.#running.set(id, controller);
    try {
      await work(controller.signal);
    } finally {
      this.#running.delete(id);
    }
  }

  async #open(
    { id, model, verify, n_ctx, backend, force }: Extract<FrameMessage, { type: 'open' }>,
    signal: AbortSignal,
  ): Promise<void> {
    setHalted(model, false);
    signal.addEventListener('abort', () => setHalted(model, true));
    const { source, turn } = await this.#catalog.choose(model, signal);
    const isGuard = model === this.#assets.site.guard?.model;
    const taken = isGuard ? 0 : this.#guards;
    const room = await makeRoom(source, { n_ctx: n_ctx ?? undefined, backend, force, taken });
    this.#post({ type: 'room', id, room });
    let notice: StorageNotice | null = null;
    const onNotice = (_sentence: string, told: StorageNotice) => {
      notice = told;
    };
    const { files, kind } = await this.#bring(id, source, { turn, verify, signal, onNotice });
    const storage: StorageReport = { kind, notice };
    if (isGuard) this.#guards = room.needed;
    this.#post({ type: 'opened', id, manifest: source.manifest, files, storage, room });
  }

  /** Has a version on the device; it is then what this page runs. */
  async #bring(
    id: number,
    source: SourceManifest,
    options: Omit<OpenOptions, 'storeUrl' | 'onProgress'>,
  ): Promise<OpenedFiles> {
    const { name, root } = source.manifest;
    const opened = await openModel(source, this.#catalog.manifestUrl(name), {
      ...options,
      storeUrl: this.#assets.store,
      onProgress: (progress) => this.#post({ type: 'progress', id, progress }),
    });
    this.#catalog.runs(name, root);
    return opened;
  }

  #variant(variant: Variant): Promise<ArrayBuffer> {
    let bytes = this.#wasm.get(variant);
    if (bytes === undefined) {
      const url = new URL(`wasm/${variant}.wasm`, location.href).href;
      bytes = fetchOk(url, this.#assets.wasm[variant]).then((response) => response.arrayBuffer());
      // A failure is not kept, so that "try again" can.
      bytes.catch(() => this.#wasm.delete(variant));
      this.#wasm.set(variant, bytes);
    }
    return bytes;
  }

  #post(message: ShellMessage): void {
    this.#port.postMessage(message);
  }
}

/** `?backend=webgpu`, `cpu` or `auto` in the page's address. */
function askedBackend(): 'auto' | Backend | null {
  const asked = new URLSearchParams(location.search).get('backend');
  return [...BACKENDS, 'auto' as const].find((one) => one === asked) ?? null;
}

/** Has the browser ask before the page goes away, in its own words. */
function warnOnLeaving(wanted: boolean): void {
  if (wanted) addEventListener('beforeunload', ask);
  else removeEventListener('beforeunload', ask);
}

function ask(event: BeforeUnloadEvent): void {
  event.preventDefault();
}

/** For the print style of shell.css. */
function setPaper({ pixels, sheets }: PaperSize): void {
  const { style } = document.documentElement;
  style.setProperty('--paper-height', `${pixels}px`);
  for (const [i, n] of sheets.entries()) style.setProperty(`--sheets-${i}`, String(n));
}

async function fetchOk(url: string, integrity = ''): Promise<Response> {
  const response = await fetch(url, { integrity }).catch((error: unknown) => {
    const found = integrity === '' ? 'no connection' : 'no connection or another version of it';
    throw new SlmError(
      'network',
      `Expected ${url}, found ${found}; check that the server is running and reload the page.`,
      { cause: error, details: { http_status: null } },
    );
  });
  if (!response.ok)
    throw new SlmError('network', `Expected ${url}, found HTTP ${response.status}; run \`make wasm web\`.`, {
      details: { http_status: response.status },
    });
  return response;
}

function toWire(error: unknown): WireError {
  if (error instanceof SlmError) return error.toWire();
  return { code: 'network', message: `The page around the chat failed: ${String(error)}.` };
}

function start(frame: HTMLIFrameElement, assets: Assets): void {
  const target = frame.contentWindow!;
  const hello: Hello = { type: 'slmweb' };
  const answer = ({ source, data }: MessageEvent) => {
    if (source !== target || (data as Partial<Hello> | null)?.type !== 'slmweb') return;
    removeEventListener('message', answer);
    const { port1, port2 } = new MessageChannel();
    new Shell(port1, assets);
    // '*' because an opaque origin cannot be named; the window is the one that this page embeds.
    target.postMessage(hello, '*', [port2]);
  };
  addEventListener('message', answer);
  target.postMessage(hello, '*');
}

const { worker, store, wasm, site, publicKey = null } = document.body.dataset;
const sandbox = document.querySelector<HTMLIFrameElement>('iframe#sandbox')!;
// What screen readers call the frame: in the language that early.ts has chosen, if the site has not.
sandbox.title = sandbox.getAttribute(`data-title-${document.documentElement.lang}`) ?? sandbox.title;
start(sandbox, {
  worker: worker!,
  store: store!,
  wasm: JSON.parse(wasm!),
  site: JSON.parse(site!),
  publicKey,
});
