// The store worker: brings one model onto the device, or into memory where the
// device keeps nothing, and says which. It decides between the two; how bytes
// are fetched and proved is download.ts's, how they lie on disk opfs.ts's.

import type { StorageNotice } from '../api/notices';
import type { Manifest } from '../api/types';
import { SlmError } from '../core/error';
import { Describer, titleOf } from './describe';
import { findRoom, measure } from './device';
import { type DownloadOptions, download } from './download';
import { type Named, type PackOptions, prove, receive } from './gguf';
import { MemoryIncoming, OpfsIncoming } from './incoming';
import { Meter } from './meter';
import { whyNotKept } from './notice';
import { entryOf, lockName, modelDirectory, modelsDirectory, OpfsSink, storedFiles } from './opfs';
import type { DownloadRequest, GoBackRequest, PackRequest, StoreReply, StoreRequest } from './protocol';
import { reuse } from './reuse';
import { MemorySink } from './sink';
import {
  NO_VERSIONS,
  prune,
  readVersions,
  recordName,
  type StoredVersion,
  storeRecord,
  turnTo,
} from './versions';

const FROM_MEMORY = 'stays in memory and will be downloaded again next time';

/** A file on the device is copied in pieces of this size. */
const COPY_BYTES = 16 * 1024 * 1024;

const cancel = new AbortController();
const network = new EventTarget();

function post(reply: StoreReply): void {
  self.postMessage(reply);
}

self.addEventListener('message', ({ data }: MessageEvent<StoreRequest>) => {
  if (data.type === 'cancel') cancel.abort();
  else if (data.type === 'online') network.dispatchEvent(new Event('online'));
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

async function serve(request: DownloadRequest | PackRequest | GoBackRequest): Promise<StoreReply> {
  switch (request.type) {
    case 'download':
      return bring(request);
    case 'pack':
      return pack(request);
    case 'go-back':
      return goBack(request);
  }
}

async function pack(request: PackRequest): Promise<StoreReply> {
  const { sources, name, stem, storage, retryMs, wish } = request;
  const describer = await Describer.start(request.wasm, sources.length);
  const meter = new Meter((progress) => post({ type: 'progress', progress }));
  const urls = areUrls(sources) ? sources : null;
  const facts = { name, stem, urls };
  const directory = storage === 'opfs' ? await modelDirectory(name).catch(() => null) : null;
  // Of a file from elsewhere, once its server has told it.
  let size = areUrls(sources) ? null : sources.reduce((sum, blob) => sum + blob.size, 0);
  const options = (kept: 'opfs' | 'memory', own: Describer): PackOptions => ({
    signal: cancel.signal,
    meter,
    retryMs,
    network,
    describer: own,
    requireRoom: async (more, total) => {
      size = total;
      if (kept === 'opfs') await requireBytes(more);
    },
    requireMemory: async ({ memory, n_ctx_train, ...named }, total) => {
      const needs = { title: titleOf(named, stem), memory, context_length: n_ctx_train, size: total };
      findRoom(needs, await measure(needs, kept, false, wish), wish);
    },
  });
  if (directory !== null) {
    try {
      await withLock(
        name,
        async () => {
          const manifest = await packInto(directory, sources, facts, options('opfs', describer));
          post({ type: 'manifest', text: manifest });
        },
        { meter },
      );
      return { type: 'stored' };
    } catch (error) {
      if (!(error instanceof DOMException) || cancel.signal.aborted) throw error;
      fallBack(request, await whyNot(error, size));
    } finally {
      // A folder without a model would be listed as one that is on its way.
      await (await modelsDirectory()).removeEntry(name).catch(() => undefined);
    }
  } else if (storage === 'opfs') fallBack(request, { code: 'keeps_no_files' });
  const inMemory = options('memory', await describer.again());
  const incoming = areUrls(sources)
    ? sources.map(() => new MemoryIncoming())
    : sources.map((blob) => new MemoryIncoming(blob));
  if (urls !== null) await receive(urls, incoming, inMemory);
  post({ type: 'manifest', text: JSON.stringify(await prove(incoming, facts, inMemory)) });
  return { type: 'blobs', files: incoming.map((file) => file.blob()) };
}

const areUrls = (sources: PackRequest['sources']): sources is readonly string[] =>
  typeof sources[0] === 'string';

async function requireBytes(bytes: number): Promise<void> {
  const { quota, usage } = await navigator.storage.estimate();
  if (quota !== undefined && usage !== undefined && bytes > quota - usage)
    throw new DOMException('The estimate is too small.', 'QuotaExceededError');
}

/** Stores plain GGUF files as the version that opens; returns its manifest's text. */
async function packInto(
  directory: FileSystemDirectoryHandle,
  sources: PackRequest['sources'],
  named: Named,
  options: PackOptions,
): Promise<string> {
  const incoming: OpfsIncoming[] = [];
  let begun = false;
  try {
    for (let i = 0; i < sources.length; i++) incoming.push(await OpfsIncoming.open(directory, i));
    begun = sources.length === 1 || incoming.some(({ size }) => size > 0);
    let manifest: Manifest;
    if (areUrls(sources)) {
      await receive(sources, incoming, options);
      manifest = await prove(incoming, named, options);
    } else {
      // Files on the device are described before they are copied, and not copied twice.
      const blobs = sources.map((blob) => new MemoryIncoming(blob));
      manifest = await prove(blobs, named, options);
      if ((await storedFiles(directory, manifest)) === null) {
        await options.requireRoom(manifest.size, manifest.size);
        for (const [i, blob] of sources.entries()) await copy(blob, incoming[i]!, options.signal);
      }
    }
    const text = JSON.stringify(manifest);
    const version = { manifest, text, signature: null };
    // Before the last rename, so that a whole model is never one without a record.
    await storeRecord(directory, version);
    for (const [i, { sha256, size }] of manifest.files.entries())
      if ((await entryOf(directory, sha256))?.size === size) await incoming[i]!.remove();
      else await incoming[i]!.finish(sha256);
    await turnTo(directory, manifest.root, false);
    await prune(directory, named.name, [version]);
    return text;
  } catch (error) {
    // What has arrived over a bad line is kept, of a set once all its files are known to be there; what can
    // never become a model is not.
    const lost = (error instanceof SlmError && error.code === 'network') || options.signal.aborted;
    const worth = begun || options.describer.facts !== null;
    if (!lost || !worth || !areUrls(sources) || incoming.every(({ size }) => size === 0)) {
      for (const file of incoming) await file.remove();
      const { current, others } = await readVersions(directory, null);
      await prune(directory, named.name, versionsOf(current, others));
    }
    throw error;
  } finally {
    for (const file of incoming) file.close();
  }
}

async function copy(blob: Blob, incoming: OpfsIncoming, signal: AbortSignal): Promise<void> {
  await incoming.begin({ url: '', validator: null }, blob.size);
  for (let at = 0; at < blob.size; at += COPY_BYTES) {
    signal.throwIfAborted();
    incoming.append(new Uint8Array(await blob.slice(at, at + COPY_BYTES).arrayBuffer()));
  }
}

async function goBack({ model, root }: GoBackRequest): Promise<StoreReply> {
  const directory = await modelDirectory(model);
  await withLock(model, async () => turnTo(directory, root, true));
  return { type: 'stored' };
}

async function bring(request: DownloadRequest): Promise<StoreReply> {
  const { manifest } = request.source;
  const options: DownloadOptions = {
    baseUrl: request.baseUrl,
    signal: cancel.signal,
    cache: 'no-store',
    meter: new Meter((progress) => post({ type: 'progress', progress })),
    retryMs: request.retryMs,
    network,
  };
  let directory: FileSystemDirectoryHandle | null = null;
  if (request.storage === 'opfs') {
    directory = await modelDirectory(manifest.name).catch(() => null);
    if (directory === null) fallBack(request, { code: 'keeps_no_files' });
  }
  if (directory !== null) {
    const into = directory;
    try {
      await withLock(manifest.name, () => store(into, request, options), options);
      return { type: 'stored' };
    } catch (error) {
      if (!(error instanceof DOMException) || cancel.signal.aborted) throw error;
      // Whatever else goes wrong with files, the model can still be used from memory.
      if (isFull(error)) await discard(into, manifest);
      fallBack(request, await whyNot(error, manifest.size));
    }
  }
  const sinks = manifest.files.map((file) => new MemorySink(file));
  const { current, others } = directory === null ? NO_VERSIONS : await readVersions(directory, null);
  await reuse(sinks, versionsOf(current, others), options.meter, cancel.signal);
  await download(sinks, { ...options, cache: 'default' });
  return { type: 'blobs', files: sinks.map((sink) => sink.blob()) };
}

async function store(
  directory: FileSystemDirectoryHandle,
  { source, verify, turn }: DownloadRequest,
  options: DownloadOptions,
): Promise<void> {
  const { manifest } = source;
  const { current, others } = await readVersions(directory, null);
  // Another tab may have finished while this one waited for the lock.
  if (verify || (await storedFiles(directory, manifest)) === null) {
    // The version that opens now stays whatever happens, and so does the one before while there is
    // room for both and the new one.
    const kept = current === null ? [] : [current];
    await prune(directory, manifest.name, [source, ...kept, ...others.slice(0, 1)]);
    const sinks = await openSinks(directory, source, verify).catch(async (error: unknown) => {
      if (!isFull(error) || others.length === 0) throw error;
      await prune(directory, manifest.name, [source, ...kept]);
      return openSinks(directory, source, verify);
    });
    try {
      // Before the first byte: what has arrived can then be shown, and gone on with, while the server is away.
      await storeRecord(directory, source);
      const sources = verify ? [] : versionsOf(current, others);
      await reuse(sinks, sources, options.meter, options.signal);
      await download(sinks, options);
      for (const sink of sinks) await sink.finish();
    } finally {
      for (const sink of sinks) sink.close();
    }
  } else {
    await storeRecord(directory, source);
  }
  if (turn || current === null) await turnTo(directory, manifest.root, false);
  const now = await readVersions(directory, null);
  await prune(directory, manifest.name, [source, ...versionsOf(now.current, now.others.slice(0, 1))]);
}

const versionsOf = (current: StoredVersion | null, others: readonly StoredVersion[]): StoredVersion[] =>
  current === null ? [] : [current, ...others];

/** Claims the room of every file that is not there, or throws QuotaExceededError. */
async function openSinks(
  directory: FileSystemDirectoryHandle,
  { manifest }: DownloadRequest['source'],
  verify: boolean,
): Promise<OpfsSink[]> {
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
    return sinks;
  } catch (error) {
    for (const sink of sinks) sink.close();
    throw error;
  }
}

const isFull = (error: unknown): boolean =>
  error instanceof DOMException && error.name === 'QuotaExceededError';

/** Says why the model is not stored, or fails with it where memory would not do. */
function fallBack({ orMemory }: Pick<DownloadRequest, 'orMemory'>, notice: StorageNotice): void {
  if (!orMemory) throw new SlmError('no_room', whyNotKept(notice, 'was not fetched'));
  post({ type: 'notice', sentence: whyNotKept(notice, FROM_MEMORY), notice });
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
  await requireBytes(needed);
}

/** Of a model whose `size` may be unknown. */
async function whyNot(error: DOMException, size: number | null): Promise<StorageNotice> {
  if (!isFull(error)) return { code: 'not_stored', error: error.name };
  const { quota = 0, usage = 0 } = await navigator.storage.estimate();
  const admitted = size === null || size > quota - usage;
  return { code: 'storage_full', size, ...(admitted ? { usage, quota } : { usage: null, quota: null }) };
}

async function sizeOf(directory: FileSystemDirectoryHandle, name: string): Promise<number> {
  return (await (await directory.getFileHandle(name)).getFile()).size;
}

// Half a model that can never be completed only takes the room of others.
async function discard(directory: FileSystemDirectoryHandle, manifest: Manifest): Promise<void> {
  const parts = manifest.files.flatMap(({ sha256 }) => [`${sha256}.part`, `${sha256}.journal`]);
  for (const name of [...parts, recordName(manifest.root)])
    await directory.removeEntry(name).catch(() => undefined);
}

// Tabs take turns; the second one then finds the files whole. A browser without
// Web Locks still has the exclusive sync handle, whose error leads to memory.
async function withLock(
  model: string,
  work: () => Promise<void>,
  options?: Pick<DownloadOptions, 'meter'>,
): Promise<void> {
  if (navigator.locks === undefined) return work();
  const name = lockName(model);
  const { held } = await navigator.locks.query();
  if (held?.some((lock) => lock.name === name)) options?.meter.start('wait', 0, 0);
  await navigator.locks.request(name, { signal: cancel.signal }, work);
}
