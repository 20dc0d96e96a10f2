// The store as a page sees it: open a model and get one Blob a file, list what
// is on the device, remove it. It fetches manifests; everything heavy happens
// in the store worker, because sync file handles exist only there.

import type { LoadProgress, Manifest } from '../api/types';
import { SlmError } from '../core/error';
import { isModelName, parseManifest } from './manifest';
import { lockName, modelDirectory, modelsDirectory, storedFiles, storedManifest } from './opfs';
import type { StoreReply, StoreRequest } from './protocol';

export interface OpenOptions {
  /** The store worker's script, of this origin. */
  readonly storeUrl: string;
  readonly storage?: 'opfs' | 'memory' | undefined;
  /** Hash stored files again and fetch what is damaged. */
  readonly verify?: boolean | undefined;
  readonly retryMs?: number | undefined;
  readonly onProgress?: ((progress: LoadProgress) => void) | undefined;
  readonly onNotice?: ((sentence: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface StoredModel {
  readonly manifest: Manifest;
  readonly files: readonly Blob[];
  readonly kind: 'opfs' | 'memory';
}

const MAX_MANIFEST_BYTES = 8 * 1024 * 1024;

export async function fetchManifest(url: string, signal?: AbortSignal): Promise<Manifest> {
  let response: Response;
  try {
    response = await fetch(url, { signal: signal ?? null, cache: 'no-cache' });
  } catch (error) {
    signal?.throwIfAborted();
    throw new SlmError(
      'network',
      `Expected a manifest at ${url}, found no connection; check that the server is running.`,
      { cause: error },
    );
  }
  if (!response.ok)
    throw new SlmError(
      'network',
      `Expected a manifest at ${url}, found HTTP ${response.status}; check the address.`,
    );
  const text = await response.text();
  if (text.length > MAX_MANIFEST_BYTES)
    throw new SlmError(
      'bad_manifest',
      `Expected a manifest of at most ${MAX_MANIFEST_BYTES} bytes at ${url}, found ${text.length}.`,
    );
  return parseManifest(text);
}

/** The files of a model: from the device when they are whole, else downloaded. */
export async function openModel(
  manifest: Manifest,
  manifestUrl: string,
  options: OpenOptions,
): Promise<StoredModel> {
  const { storage = 'opfs', verify = false, signal } = options;
  signal?.throwIfAborted();
  if (storage === 'opfs' && !verify) {
    const files = await filesOnDevice(manifest);
    if (files !== null) {
      options.onProgress?.({
        phase: 'check',
        loaded: manifest.size,
        total: manifest.size,
        rate: null,
        remaining: null,
      });
      return { manifest, files, kind: 'opfs' };
    }
  }
  if (storage === 'opfs') void navigator.storage.persist?.().catch(() => false);
  const blobs = await runWorker(
    {
      type: 'download',
      manifest,
      baseUrl: new URL('.', new URL(manifestUrl, location.href)).href,
      storage,
      verify,
      retryMs: options.retryMs ?? 500,
    },
    options,
  );
  if (blobs !== null) return { manifest, files: blobs, kind: 'memory' };
  const files = await filesOnDevice(manifest);
  if (files === null)
    throw new SlmError(
      'corrupt',
      'Expected the stored model to be whole after its download, found a file missing; reload the page to fetch it again.',
    );
  return { manifest, files, kind: 'opfs' };
}

/** Manifests of the models that are whole on this device. */
export async function listStored(): Promise<Manifest[]> {
  const models: Manifest[] = [];
  try {
    for await (const [name, entry] of (await modelsDirectory()).entries()) {
      if (!(entry instanceof FileSystemDirectoryHandle) || !isModelName(name)) continue;
      // A manifest that cannot be read is that of a model to be downloaded again.
      const manifest = await storedManifest(entry).catch(() => null);
      if (manifest !== null && (await storedFiles(entry, manifest)) !== null) models.push(manifest);
    }
  } catch (error) {
    if (error instanceof DOMException || error instanceof TypeError) return models; // no OPFS here
    throw error;
  }
  return models;
}

/** Deletes a model, once no tab is downloading it. */
export async function removeStored(name: string): Promise<void> {
  const remove = async () => {
    try {
      await (await modelsDirectory()).removeEntry(name, { recursive: true });
    } catch (error) {
      if (!(error instanceof DOMException && error.name === 'NotFoundError')) throw error;
    }
  };
  await (navigator.locks === undefined ? remove() : navigator.locks.request(lockName(name), remove));
}

async function filesOnDevice(manifest: Manifest): Promise<File[] | null> {
  try {
    return await storedFiles(await modelDirectory(manifest.name), manifest);
  } catch {
    return null; // no OPFS: the worker says so in its own words
  }
}

/** Resolves to the blobs, or to null when the files are in OPFS. */
function runWorker(
  request: StoreRequest,
  { storeUrl, onProgress, onNotice, signal }: OpenOptions,
): Promise<readonly Blob[] | null> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(storeUrl);
    const cancel = () => worker.postMessage({ type: 'cancel' } satisfies StoreRequest);
    const settle = (finish: () => void) => {
      worker.terminate();
      signal?.removeEventListener('abort', cancel);
      finish();
    };
    signal?.addEventListener('abort', cancel);
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
        case 'notice':
          onNotice?.(data.sentence);
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
