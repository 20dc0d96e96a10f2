// The store worker: brings one model onto the device, or into memory where the
// device keeps nothing, and says which. It decides between the two; how bytes
// are fetched and proved is download.ts's, how they lie on disk opfs.ts's.

import type { Manifest } from '../api/types';
import { SlmError } from '../core/error';
import { formatBytes } from '../core/units';
import { type DownloadOptions, download } from './download';
import { Meter } from './meter';
import { lockName, modelDirectory, OpfsSink, removeOthers, storedFiles, storeManifest } from './opfs';
import type { DownloadRequest, StoreReply, StoreRequest } from './protocol';
import { MemorySink } from './sink';

const FROM_MEMORY = 'stays in memory and will be downloaded again next time';

const cancel = new AbortController();

function post(reply: StoreReply): void {
  self.postMessage(reply);
}

self.addEventListener('message', ({ data }: MessageEvent<StoreRequest>) => {
  if (data.type === 'cancel') cancel.abort();
  else
    void serve(data).then(post, (error: unknown) => {
      if (cancel.signal.aborted) post({ type: 'cancelled' });
      else if (error instanceof SlmError) post({ type: 'error', error: error.toWire() });
      else
        post({
          type: 'error',
          error: { code: 'network', message: `The download failed: ${String(error)}.` },
        });
    });
});

async function serve(request: DownloadRequest): Promise<StoreReply> {
  const { manifest } = request;
  const options: DownloadOptions = {
    baseUrl: request.baseUrl,
    signal: cancel.signal,
    cache: 'no-store',
    meter: new Meter((progress) => post({ type: 'progress', progress })),
    retryMs: request.retryMs,
  };
  let directory: FileSystemDirectoryHandle | null = null;
  if (request.storage === 'opfs') {
    directory = await modelDirectory(manifest.name).catch(() => null);
    if (directory === null)
      notice(`This browser keeps no files for this page (a private window?), so the model ${FROM_MEMORY}.`);
  }
  if (directory !== null) {
    const into = directory;
    try {
      await withLock(manifest.name, options, () => store(into, manifest, request.verify, options));
      return { type: 'stored' };
    } catch (error) {
      if (!(error instanceof DOMException) || cancel.signal.aborted) throw error;
      // Whatever else goes wrong with files, the model can still be used from memory.
      const full = error.name === 'QuotaExceededError';
      if (full) await discard(into, manifest);
      notice(
        full
          ? await noRoom(manifest)
          : `This browser could not store the model (${error.name}), so it ${FROM_MEMORY}.`,
      );
    }
  }
  const sinks = manifest.files.map((file) => new MemorySink(file));
  await download(sinks, { ...options, cache: 'default' });
  return { type: 'blobs', files: sinks.map((sink) => sink.blob()) };
}

async function store(
  directory: FileSystemDirectoryHandle,
  manifest: Manifest,
  verify: boolean,
  options: DownloadOptions,
): Promise<void> {
  // Another tab may have finished while this one waited for the lock.
  if (!verify && (await storedFiles(directory, manifest)) !== null) return;
  await removeOthers(directory, manifest);
  const names = new Set<string>();
  for await (const name of directory.keys()) names.add(name);
  await requireRoom(directory, names, manifest);

  const sinks: OpfsSink[] = [];
  try {
    for (const file of manifest.files) {
      const final = names.has(file.sha256);
      if (final && !verify && (await sizeOf(directory, file.sha256)) === file.size) continue;
      if (final) await OpfsSink.reopen(directory, file);
      sinks.push(await OpfsSink.open(directory, file));
    }
    await download(sinks, options);
    // Before the last rename, so that a whole model is never one without a manifest.
    await storeManifest(directory, manifest);
    for (const sink of sinks) await sink.finish();
  } finally {
    for (const sink of sinks) sink.close();
  }
}

/** Fails early where the browser admits that it has less room than the model needs; some report a
 *  quota that they do not grant, and then OpfsSink.open fails when it claims the room. */
async function requireRoom(
  directory: FileSystemDirectoryHandle,
  names: ReadonlySet<string>,
  manifest: Manifest,
): Promise<void> {
  let needed = 0;
  for (const { sha256, size } of manifest.files) {
    const there = names.has(sha256) ? sha256 : `${sha256}.part`;
    needed += Math.max(0, size - (names.has(there) ? await sizeOf(directory, there) : 0));
  }
  const { quota, usage } = await navigator.storage.estimate();
  if (quota !== undefined && usage !== undefined && needed > quota - usage)
    throw new DOMException('The estimate is too small.', 'QuotaExceededError');
}

async function noRoom(manifest: Manifest): Promise<string> {
  const { quota = 0, usage = 0 } = await navigator.storage.estimate();
  const admitted = manifest.size > quota - usage;
  const numbers = admitted ? ` (${formatBytes(usage)} in use of ${formatBytes(quota)})` : '';
  return (
    `The model needs ${formatBytes(manifest.size)} of storage, more than this browser gives this site${numbers},` +
    ` so it ${FROM_MEMORY}; free some space to keep it.`
  );
}

async function sizeOf(directory: FileSystemDirectoryHandle, name: string): Promise<number> {
  return (await (await directory.getFileHandle(name)).getFile()).size;
}

// Half a model that can never be completed only takes the room of others.
async function discard(directory: FileSystemDirectoryHandle, manifest: Manifest): Promise<void> {
  for (const { sha256 } of manifest.files)
    for (const name of [`${sha256}.part`, `${sha256}.journal`])
      await directory.removeEntry(name).catch(() => undefined);
}

// Tabs take turns; the second one then finds the files whole. A browser without
// Web Locks still has the exclusive sync handle, whose error leads to memory.
async function withLock(model: string, options: DownloadOptions, work: () => Promise<void>): Promise<void> {
  if (navigator.locks === undefined) return work();
  const name = lockName(model);
  const { held } = await navigator.locks.query();
  if (held?.some((lock) => lock.name === name)) options.meter.start('wait', 0, 0);
  await navigator.locks.request(name, { signal: options.signal }, work);
}

function notice(sentence: string): void {
  post({ type: 'notice', sentence });
}
