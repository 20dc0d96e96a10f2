// Fetches the chunks of a model and proves them. Chunk addresses are hashes, so
// a partial chunk can always be continued with Range, whatever happened in
// between, and a chunk counts only when its SHA-256 fits. It knows HTTP and
// hashes; where the bytes land is the sink's business, and who waits for them
// is store/worker.ts's.

import type { ManifestChunk } from '../api/types';
import { isPassing, SlmError } from '../core/error';
import { fetchData, whatToDo } from './data';
import { toHex } from './manifest';
import type { Meter } from './meter';
import { pause } from './pause';
import type { ChunkSink } from './sink';

const PARALLEL = 4;
/** Failures in a row, without a byte of progress, before giving up. */
const MAX_FAILURES = 9;
/** Times that a chunk may arrive whole and wrong. */
const MAX_CORRUPT = 3;
/** A connection that says nothing for so long is given up and made again; after each failure the next one
 *  is given as much more, since some servers think for long before they begin. */
const STALL_MS = 10_000;
const MAX_STALL_MS = 30_000;
/** No pause before another attempt is longer. */
const MAX_PAUSE_MS = 5000;
/** A connection that outlives a moment without network goes on by itself. */
const ALIVE_MS = 1000;

export interface DownloadOptions {
  /** Folder of the chunks, ending in a slash. */
  readonly baseUrl: string;
  readonly signal: AbortSignal;
  readonly meter: Meter;
  /** What is stored needs no second copy in the HTTP cache; what is not may gain from one. */
  readonly cache: 'no-store' | 'default';
  /** First pause before another attempt; it doubles up to a few seconds. */
  readonly retryMs: number;
  /** Tells 'online' when the device has a network again. */
  readonly network: EventTarget;
}

/** Worth another attempt: the message says what happened. */
class Transient extends Error {
  constructor(
    message: string,
    readonly status: number | null,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The connection was made on a network that is gone, and there is another one: worth an attempt at once. */
class Renewed extends Error {}

/** Makes every chunk of every sink verified, or throws. */
export async function download(sinks: readonly ChunkSink[], options: DownloadOptions): Promise<void> {
  const missing = sinks.flatMap((sink) =>
    sink.file.chunks
      .map((chunk, index) => ({ sink, chunk, index }))
      .filter(({ index }) => !sink.isVerified(index)),
  );
  const there = missing.reduce((n, { sink, index }) => n + sink.received(index), 0);
  const total = sinks.reduce((n, sink) => n + sink.file.size, 0);
  const verified = total - missing.reduce((n, { chunk }) => n + chunk.size, 0);
  options.meter.start('download', verified + there, total);

  // One failed lane stops the others: half a model is of no use to anyone.
  const stop = new AbortController();
  const forward = () => stop.abort(options.signal.reason);
  options.signal.addEventListener('abort', forward);
  if (options.signal.aborted) forward();
  const queue = missing.values();
  const lane = async () => {
    for (const { sink, chunk, index } of queue) {
      await fetchChunk(sink, index, chunk, { ...options, signal: stop.signal });
    }
  };
  try {
    const lanes = Array.from({ length: PARALLEL }, () =>
      lane().catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    );
    const failed = (await Promise.allSettled(lanes)).find((result) => result.status === 'rejected');
    if (failed) throw stop.signal.reason;
  } finally {
    options.meter.end();
    options.signal.removeEventListener('abort', forward);
  }
}

async function fetchChunk(
  sink: ChunkSink,
  index: number,
  chunk: ManifestChunk,
  options: DownloadOptions,
): Promise<void> {
  const url = options.baseUrl + chunk.sha256;
  let failures = 0;
  let corrupt = 0;
  for (;;) {
    options.signal.throwIfAborted();
    const before = sink.received(index);
    try {
      const stallMs = Math.min(MAX_STALL_MS, STALL_MS * (failures + 1));
      if (before < chunk.size)
        await fetchRest(url, sink, index, chunk, { ...options, stallMs, bypassCache: corrupt > 0 });
    } catch (error) {
      options.signal.throwIfAborted();
      if (error instanceof Renewed) continue;
      if (!(error instanceof Transient)) throw error;
      failures = sink.received(index) > before ? 1 : failures + 1;
      if (failures > MAX_FAILURES)
        throw new SlmError(
          'network',
          `Expected ${chunk.size} bytes from ${url}, found ${sink.received(index)} after ${failures} attempts` +
            ` (${error.message}); check the connection and try again, what has arrived is kept.`,
          { cause: error, details: { http_status: error.status } },
        );
      await pause(
        Math.min(MAX_PAUSE_MS, options.retryMs * 2 ** (failures - 1)),
        options.signal,
        options.network,
      );
      continue;
    }
    const bytes = sink.read(index);
    const found = toHex(await crypto.subtle.digest('SHA-256', bytes));
    if (found === chunk.sha256) {
      sink.verified(index);
      return;
    }
    sink.discard(index);
    options.meter.take(chunk.size);
    corrupt += 1;
    if (corrupt === MAX_CORRUPT)
      throw new SlmError(
        'corrupt',
        `Expected ${url} to have SHA-256 ${chunk.sha256.slice(0, 12)}…, found ${found.slice(0, 12)}…` +
          ` ${MAX_CORRUPT} times; the server's copy is damaged, pack the model again.`,
      );
  }
}

interface Attempt extends DownloadOptions {
  readonly stallMs: number;
  readonly bypassCache: boolean;
}

/** Appends what a chunk still lacks. Throws Transient when another attempt may help. */
async function fetchRest(
  url: string,
  sink: ChunkSink,
  index: number,
  chunk: ManifestChunk,
  { signal, meter, cache, network, stallMs, bypassCache }: Attempt,
): Promise<void> {
  const attempt = new AbortController();
  const forward = () => attempt.abort(signal.reason);
  signal.addEventListener('abort', forward);
  let heard = performance.now();
  let stall = setTimeout(() => attempt.abort(), stallMs);
  let renewed = false;
  const online = () => {
    renewed = performance.now() - heard > ALIVE_MS;
    if (renewed) attempt.abort();
  };
  network.addEventListener('online', online);
  try {
    const start = sink.received(index);
    const asked: RequestInit = {
      headers: start > 0 ? { Range: `bytes=${start}-` } : {},
      cache: bypassCache ? 'reload' : cache,
      credentials: 'same-origin',
      signal: attempt.signal,
    };
    const response = await fetchData(url, asked, chunk.size);
    const restart = () => {
      meter.take(sink.received(index));
      sink.discard(index);
    };
    if (response.status === 416) {
      restart();
      throw new Transient('the server refused the range', 416);
    }
    if (isPassing(response.status)) throw new Transient(`HTTP ${response.status}`, response.status);
    if (!response.ok || response.body === null)
      throw new SlmError(
        'network',
        `Expected a part of the model at ${url}, found HTTP ${response.status}; ${whatToDo(response, 'pack the model again or correct the address')}.`,
        { details: { http_status: response.status } },
      );
    if (response.status !== 206 && start > 0) restart();
    else if (
      response.status === 206 &&
      !response.headers.get('Content-Range')?.startsWith(`bytes ${start}-`)
    ) {
      restart();
      throw new Transient('the server sent another range than asked', response.status);
    }
    const body = response.body.getReader();
    for (;;) {
      const { done, value } = await body.read();
      if (done) break;
      clearTimeout(stall);
      stall = setTimeout(() => attempt.abort(), stallMs);
      heard = performance.now();
      // Too many bytes are as wrong as other bytes: let the hash say so.
      const room = chunk.size - sink.received(index);
      const bytes = value.length > room ? value.subarray(0, room) : value;
      sink.append(index, bytes);
      meter.add(bytes.length);
      if (value.length > room) attempt.abort();
    }
    if (sink.received(index) < chunk.size) throw new Transient('the answer ended early', null);
  } catch (error) {
    // fetch reports a lost connection as TypeError, and our own abort as AbortError.
    if (error instanceof TypeError) throw new Transient(error.message, null, { cause: error });
    if (attempt.signal.aborted && !signal.aborted) {
      if (sink.received(index) === chunk.size) return;
      if (renewed) throw new Renewed();
      throw new Transient(`no byte for ${Math.round((performance.now() - heard) / 1000)} s`, null);
    }
    throw error;
  } finally {
    clearTimeout(stall);
    signal.removeEventListener('abort', forward);
    network.removeEventListener('online', online);
  }
}
