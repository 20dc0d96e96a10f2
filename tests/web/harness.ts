// The web part's modules within reach of a test's page.evaluate: nothing but
// calls and what they reported. It decides nothing; tests do.

import type { LoadProgress, Manifest } from '../../web/src/api/types';
import { SlmError } from '../../web/src/core/error';
import { probe } from '../../web/src/engine/probe';
import { SLM } from '../../web/src/index';
import { fetchManifest } from '../../web/src/store/remote';
import {
  bytesOnDevice,
  goBack,
  openModel,
  removeOthers,
  removeStored,
  storedVersions,
} from '../../web/src/store/store';

interface Opened {
  readonly kind: 'opfs' | 'memory';
  readonly names: readonly string[];
  readonly notices: readonly string[];
  readonly codes: readonly unknown[];
  readonly phases: readonly string[];
  /** SHA-256 of each file's bytes, as a reader of the Blob sees them. */
  readonly sha256: readonly string[];
}

interface StoreOptions {
  readonly storage?: 'opfs' | 'memory';
  readonly verify?: boolean;
  readonly retryMs?: number;
  readonly mustStore?: boolean;
  readonly turn?: boolean;
  readonly publicKey?: string;
}

const progress: LoadProgress[] = [];
let watchers: { wanted: (report: LoadProgress) => boolean; resolve: () => void }[] = [];

/** Resolves at the first report, past or future, of this phase with at least so many bytes. */
function reported(phase: string, loaded = 0): Promise<void> {
  const wanted = (report: LoadProgress) => report.phase === phase && report.loaded >= loaded;
  if (progress.some(wanted)) return Promise.resolve();
  return within(new Promise((resolve) => watchers.push({ wanted, resolve })));
}

/** Playwright waits forever for an evaluation; a test should fail instead. */
function within<T>(work: Promise<T>, seconds = 60): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`nothing came within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([work, late]);
}

let controller = new AbortController();

async function sha256(blob: Blob): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await blob.arrayBuffer()));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** What an error says, in a form that crosses to Python. */
async function outcome<T>(work: Promise<T>, seconds = 60): Promise<T | { error: string; code: string }> {
  try {
    return await within(work, seconds);
  } catch (error) {
    if (error instanceof SlmError) return { error: error.message, code: error.code };
    return { error: String(error), code: error instanceof Error ? error.name : 'none' };
  }
}

async function open(model: string, options: StoreOptions = {}): Promise<Opened> {
  const url = new URL(`/models/${model}/manifest.json`, location.href).href;
  const notices: string[] = [];
  const codes: unknown[] = [];
  const phases: string[] = [];
  controller = new AbortController();
  const { publicKey = null, ...rest } = options;
  const stored = await openModel(await fetchManifest(url, publicKey), url, {
    storeUrl: '/assets/store.js',
    retryMs: 1,
    ...rest,
    signal: controller.signal,
    onNotice: (sentence, notice) => {
      notices.push(sentence);
      codes.push(notice);
    },
    onProgress: (report) => {
      progress.push(report);
      for (const { resolve } of watchers.filter(({ wanted }) => wanted(report))) resolve();
      watchers = watchers.filter(({ wanted }) => !wanted(report));
      if (phases.at(-1) !== report.phase) phases.push(report.phase);
    },
  });
  return {
    kind: stored.kind,
    names: stored.files.map((file) => (file instanceof File ? file.name : '')),
    notices,
    codes,
    phases,
    sha256: await Promise.all(stored.files.map(sha256)),
  };
}

/** Every entry below the folder of models, as "model/name size". */
async function entries(): Promise<string[]> {
  const found: string[] = [];
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('slmweb-models', {
    create: true,
  });
  for await (const [model, folder] of root.entries()) {
    if (!(folder instanceof FileSystemDirectoryHandle)) continue;
    for await (const [name, handle] of folder.entries())
      if (handle instanceof FileSystemFileHandle)
        found.push(`${model}/${name} ${(await handle.getFile()).size}`);
  }
  return found.sort();
}

/** Roots of a model's versions: the one that opens first. */
async function versions(model: string, publicKey: string | null = null): Promise<string[]> {
  return (await manifests(model, publicKey)).map(({ root }) => root);
}

async function manifests(model: string, publicKey: string | null): Promise<Manifest[]> {
  const { current, others } = await storedVersions(model, publicKey);
  return [current, ...others].flatMap((version) => (version ? [version.manifest] : []));
}

/** Overwrites bytes of a stored file, as a failing disk would. */
async function damage(model: string, name: string, at: number, bytes: readonly number[]): Promise<void> {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('slmweb-models');
  const handle = await (await root.getDirectoryHandle(model)).getFileHandle(name);
  const writable = await handle.createWritable({ keepExistingData: true });
  await writable.write({ type: 'write', position: at, data: Uint8Array.from(bytes) });
  await writable.close();
}

const harness = {
  SLM,
  probe,
  progress,
  reported,
  open: (model: string, options?: StoreOptions) => outcome(open(model, options)),
  abort: () => controller.abort(),
  /** Names of the models that are whole on this device. */
  stored: async () => (await SLM.stored()).flatMap(({ name, state }) => (state === 'whole' ? [name] : [])),
  manifests: (model: string) => manifests(model, null),
  versions,
  titles: async (model: string) => (await manifests(model, null)).map(({ title }) => title),
  goBack: (model: string, root: string) => goBack(model, root, '/assets/store.js'),
  removeOthers,
  remove: removeStored,
  bytesOnDevice: async () => Object.fromEntries(await bytesOnDevice()),
  entries,
  damage,
  outcome,
};

export type Harness = typeof harness;
Object.assign(globalThis, { harness });
document.title = 'ready';
