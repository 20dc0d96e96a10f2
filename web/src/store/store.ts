// The store as a page sees it: open a model and get one Blob a file, list the
// versions that are on the device, go back to one, remove them. Everything heavy
// happens in the store worker, because sync file handles exist only there.

import type { StorageNotice } from '../api/notices';
import type { LoadProgress } from '../api/types';
import { SlmError } from '../core/error';
import { findRoom, measure, type Room, type Wish } from './device';
import { isModelName, parseManifest } from './manifest';
import { lockName, modelDirectory, modelsDirectory, storedFiles } from './opfs';
import type { PackRequest, StoreReply, StoreRequest } from './protocol';
import type { SourceManifest } from './remote';
import { NO_VERSIONS, prune, readVersions, type StoredVersions, versionLock } from './versions';

export interface OpenOptions {
  /** The store worker's script, of this origin. */
  readonly storeUrl: string;
  readonly storage?: 'opfs' | 'memory' | undefined;
  /** Fail with no_room where the model cannot be stored, instead of keeping it in memory. */
  readonly mustStore?: boolean | undefined;
  /** Make this the version that opens (default), or leave that as it is. */
  readonly turn?: boolean | undefined;
  /** Hash stored files again and fetch what is damaged. */
  readonly verify?: boolean | undefined;
  readonly retryMs?: number | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  readonly onNotice?: ((sentence: string, notice: StorageNotice) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface OpenedFiles {
  readonly files: readonly Blob[];
  readonly kind: 'opfs' | 'memory';
}

/** With what a model can be opened on this device; throws too_large. Ask before openModel, so that
 *  nothing is fetched that would only end the tab. */
export async function makeRoom(
  source: SourceManifest,
  wish: Wish & Pick<OpenOptions, 'storage'>,
): Promise<Room> {
  const { storage = 'opfs' } = wish;
  const stored = storage === 'opfs' && (await filesOnDevice(source, false)) !== null;
  return findRoom(source.manifest, await measure(source.manifest, storage, stored, wish), wish);
}

/** The files of a version: from the device when they are whole, else downloaded. */
export async function openModel(
  source: SourceManifest,
  manifestUrl: string,
  options: OpenOptions,
): Promise<OpenedFiles> {
  const { storage = 'opfs', verify = false, turn = true, mustStore = false, signal } = options;
  const { manifest } = source;
  signal?.throwIfAborted();
  if (storage === 'opfs') {
    await claim(manifest.name, manifest.root);
    const files = verify ? null : await filesOnDevice(source, turn);
    if (files !== null) {
      options.onProgress?.({
        phase: 'check',
        loaded: manifest.size,
        total: manifest.size,
        rate: null,
        remaining: null,
      });
      return { files, kind: 'opfs' };
    }
    void navigator.storage.persist?.().catch(() => false);
  }
  const blobs = await runWorker(
    {
      type: 'download',
      source: { manifest, text: source.text, signature: source.signature },
      baseUrl: new URL('.', new URL(manifestUrl, location.href)).href,
      storage,
      orMemory: !mustStore,
      turn,
      verify,
      retryMs: options.retryMs ?? 500,
    },
    options,
  );
  if (blobs !== null) return { files: blobs, kind: 'memory' };
  const files = await storedFiles(await modelDirectory(manifest.name), manifest);
  if (files === null)
    throw new SlmError(
      'corrupt',
      'Expected the stored model to be whole after its download, found a file missing; reload the page to fetch it again.',
    );
  return { files, kind: 'opfs' };
}

/** A model made of plain GGUF files: its manifest, and its bytes from the device or from memory. Throws
 *  too_large before the files are fetched. */
export async function packModel(
  request: Pick<PackRequest, 'sources' | 'name' | 'stem' | 'wasm' | 'wish'>,
  options: OpenOptions,
): Promise<{ readonly source: SourceManifest; readonly files: readonly Blob[] }> {
  const { storage = 'opfs', retryMs = 500, signal } = options;
  signal?.throwIfAborted();
  if (storage === 'opfs') void navigator.storage.persist?.().catch(() => false);
  let text = '';
  const blobs = await runWorker(
    { ...request, type: 'pack', storage, orMemory: true, retryMs },
    {
      ...options,
      onManifest: (manifest) => {
        text = manifest;
      },
    },
  );
  const source: SourceManifest = { manifest: await parseManifest(text), text, signature: null };
  if (blobs !== null) return { source, files: blobs };
  await claim(request.name, source.manifest.root);
  const files = await filesOnDevice(source, true);
  if (files !== null) return { source, files };
  throw new SlmError(
    'corrupt',
    'Expected the stored model to be whole after it was packed, found it gone; load it again.',
  );
}

/** What is on this device of each model. With a key, only versions that it has signed. */
export async function listStored(publicKey: string | null): Promise<Map<string, StoredVersions>> {
  const models = new Map<string, StoredVersions>();
  await whereFilesAreKept(async (directory) => {
    for await (const [name, entry] of directory.entries())
      if (entry instanceof FileSystemDirectoryHandle && isModelName(name))
        models.set(name, await readVersions(entry, publicKey));
  });
  return models;
}

/** Bytes that each model takes on this device, whole or not, as the browser counts them. */
export async function bytesOnDevice(): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  await whereFilesAreKept(async (directory) => {
    for await (const [name, folder] of directory.entries()) {
      if (!(folder instanceof FileSystemDirectoryHandle) || !isModelName(name)) continue;
      let sum = 0;
      for await (const entry of folder.values())
        if (entry instanceof FileSystemFileHandle)
          // Another tab may have renamed or removed it meanwhile.
          sum += await entry.getFile().then(
            ({ size }) => size,
            () => 0,
          );
      sizes.set(name, sum);
    }
  });
  return sizes;
}

/** What is on this device of one model. */
export async function storedVersions(name: string, publicKey: string | null): Promise<StoredVersions> {
  let versions = NO_VERSIONS;
  await whereFilesAreKept(async (directory) => {
    versions = await readVersions(await directory.getDirectoryHandle(name), publicKey);
  });
  return versions;
}

/** Does nothing where there is no OPFS; opening a model says so in its own words. */
async function whereFilesAreKept(
  work: (directory: FileSystemDirectoryHandle) => Promise<void>,
): Promise<void> {
  try {
    await work(await modelsDirectory());
  } catch (error) {
    if (!(error instanceof DOMException || error instanceof TypeError)) throw error;
  }
}

/** Makes another stored version the one that opens. */
export async function goBack(name: string, root: string, storeUrl: string): Promise<void> {
  await runWorker({ type: 'go-back', model: name, root }, { storeUrl });
  await claim(name, root);
}

/** Deletes the versions of a model that do not open and that no tab runs. */
export async function removeOthers(name: string): Promise<void> {
  await exclusively(name, async () => {
    const directory = await modelDirectory(name);
    const { current } = await readVersions(directory, null);
    if (current !== null) await prune(directory, name, [current]);
  });
}

/** Deletes a model, once no tab is downloading it. */
export async function removeStored(name: string): Promise<void> {
  await exclusively(name, async () => {
    try {
      await (await modelsDirectory()).removeEntry(name, { recursive: true });
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error;
    }
  });
}

async function exclusively(name: string, work: () => Promise<void>): Promise<void> {
  await (navigator.locks === undefined ? work() : navigator.locks.request(lockName(name), work));
}

const claims = new Map<string, { readonly root: string; readonly release: () => void }>();

/** Keeps a version from being deleted while this page lives or until it opens another one. */
async function claim(name: string, root: string): Promise<void> {
  const held = claims.get(name);
  if (held?.root === root || navigator.locks === undefined) return;
  await new Promise<void>((taken) => {
    void navigator.locks.request(versionLock(name, root), { mode: 'shared' }, () => {
      taken();
      return new Promise<void>((release) => claims.set(name, { root, release }));
    });
  });
  held?.release();
}

async function filesOnDevice(source: SourceManifest, turn: boolean): Promise<readonly File[] | null> {
  const { current, others } = await storedVersions(source.manifest.name, null);
  const same = [current, ...others].find(
    (version) => version?.text === source.text && version.signature === source.signature,
  );
  return same && (same === current || !turn) ? same.files : null;
}

interface WorkerOptions extends OpenOptions {
  readonly onManifest?: (text: string) => void;
}

/** Resolves to the blobs, or to null when the files are in OPFS. */
function runWorker(
  request: StoreRequest,
  { storeUrl, onProgress, onNotice, onManifest, signal }: WorkerOptions,
): Promise<readonly Blob[] | null> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(storeUrl);
    const cancel = () => worker.postMessage({ type: 'cancel' } satisfies StoreRequest);
    const online = () => worker.postMessage({ type: 'online' } satisfies StoreRequest);
    const settle = (finish: () => void) => {
      worker.terminate();
      signal?.removeEventListener('abort', cancel);
      removeEventListener('online', online);
      finish();
    };
    signal?.addEventListener('abort', cancel);
    addEventListener('online', online);
    worker.onerror = (event) =>
      settle(() =>
        reject(
          new SlmError(
            'crashed',
            `Expected the storage worker ${storeUrl} to run, found: ${event.message || 'it did not start'}; reload the page.`,
          ),
        ),
      );
    worker.onmessage = ({ data }: MessageEvent<StoreReply>) => {
      switch (data.type) {
        case 'progress':
          onProgress?.(data.progress);
          break;
        case 'manifest':
          onManifest?.(data.text);
          break;
        case 'notice':
          onNotice?.(data.sentence, data.notice);
          break;
        case 'stored':
          settle(() => resolve(null));
          break;
        case 'blobs':
          settle(() => resolve(data.files));
          break;
        case 'cancelled':
          settle(() => reject(signal?.reason));
          break;
        case 'error':
          settle(() => reject(SlmError.fromWire(data.error)));
          break;
      }
    };
    worker.postMessage(request);
  });
}
