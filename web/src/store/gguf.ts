// Packs a plain GGUF file in the browser: brings its bytes from an address or
// from a Blob, has the core describe them, and hashes them. The manifest that
// comes out is like those of `slmweb pack`, so that from then on the model is
// one like any other. A server that it does not know may be anything, so what
// went wrong is told with what may have caused it.

import { sha256 } from '@noble/hashes/sha2.js';
import type { Manifest, ManifestChunk } from '../api/types';
import { SlmError } from '../core/error';
import type { Describer } from './describe';
import type { Incoming } from './incoming';
import { toHex } from './manifest';
import type { Meter } from './meter';

const CHUNK = 16 * 1024 * 1024;
const FIRST_HEAD = 1024 * 1024;
const MAX_FAILURES = 6;
const STALL_MS = 30_000;
const MAGIC = 'GGUF';

export interface PackOptions {
  readonly signal: AbortSignal;
  readonly meter: Meter;
  /** First delay before a retry; it doubles. */
  readonly retryMs: number;
  readonly describer: Describer;
  /** Throws where so many bytes cannot be kept. */
  readonly requireRoom: (bytes: number) => Promise<void>;
}

/** Worth another attempt: the message says what happened. */
class Lost extends Error {}

/** Brings what `incoming` lacks of the file at an address. */
export async function receive(url: string, incoming: Incoming, options: PackOptions): Promise<void> {
  const { signal, meter } = options;
  meter.start('download', 0, 0);
  if (incoming.origin?.url !== url) await incoming.begin({ url, validator: null });
  for (let failures = 0, contact = false; ; ) {
    signal.throwIfAborted();
    const before = incoming.size;
    try {
      await fetchRest(url, incoming, options, () => {
        contact = true;
      });
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Lost)) throw error;
      // A first request that nobody answers is more often a mistake than a bad line.
      if (!contact) throw unreachable(url, incoming.size, error);
      failures = incoming.size > before ? 1 : failures + 1;
      if (failures > MAX_FAILURES)
        throw new SlmError(
          'network',
          `Expected the rest of ${url}, found the connection lost after ${incoming.size} bytes (${error.message}); try again, what has arrived is kept.`,
          { cause: error },
        );
      await new Promise((resolve) => setTimeout(resolve, options.retryMs * 2 ** (failures - 1)));
    }
  }
}

async function fetchRest(
  url: string,
  incoming: Incoming,
  { signal, meter, describer, requireRoom }: PackOptions,
  contacted: () => void,
): Promise<void> {
  const attempt = new AbortController();
  const forward = () => attempt.abort(signal.reason);
  signal.addEventListener('abort', forward);
  let stall = setTimeout(() => attempt.abort(), STALL_MS);
  try {
    const known = incoming.origin?.validator ?? null;
    let start = known === null ? 0 : incoming.size;
    const response = await fetch(url, {
      headers: start > 0 ? { Range: `bytes=${start}-` } : {},
      cache: 'no-store',
      signal: attempt.signal,
    });
    contacted();
    const { status, headers } = response;
    if (status >= 500 || status === 429 || status === 408) throw new Lost(`HTTP ${status}`);
    const validator = headers.get('ETag') ?? headers.get('Last-Modified');
    const changed = status === 416 || (status === 206 && (start === 0 || validator !== known));
    if (changed) {
      // Halves of two files must not be joined.
      await incoming.begin({ url, validator: null });
      throw new Lost('the file has changed meanwhile');
    }
    if (!response.ok || response.body === null) throw notThere(url, response);
    if (status !== 206) {
      await incoming.begin({ url, validator });
      start = 0;
    }
    const length = Number(headers.get('Content-Length') ?? Number.NaN);
    const total = Number.isFinite(length) ? start + length : null;
    if (total !== null) await requireRoom(total - start);
    meter.start('download', start, total ?? start);
    const body = response.body.getReader();
    for (let wanted = FIRST_HEAD, described = false; ; ) {
      const { done, value } = await body.read();
      if (done) break;
      clearTimeout(stall);
      stall = setTimeout(() => attempt.abort(), STALL_MS);
      incoming.append(value);
      meter.add(value.length);
      if (described || incoming.size < MAGIC.length) continue;
      // Before the rest is fetched: is it a model, and one that runs here?
      await requireMagic(incoming, url, response);
      if (total === null || incoming.size < wanted) continue;
      described = describer.head(await incoming.read(0, incoming.size), Math.max(total, incoming.size));
      wanted *= 2;
    }
    await requireMagic(incoming, url, response);
    if (total !== null && incoming.size < total) throw new Lost('the answer ended early');
  } catch (error) {
    if (error instanceof TypeError) throw new Lost(error.message, { cause: error });
    if (attempt.signal.aborted && !signal.aborted) throw new Lost(`no byte for ${STALL_MS / 1000} s`);
    throw error;
  } finally {
    clearTimeout(stall);
    attempt.abort();
    signal.removeEventListener('abort', forward);
  }
}

/** Describes and hashes a whole file. */
export async function prove(
  incoming: Incoming,
  { name, stem, source }: { name: string; stem: string; source: string | null },
  { describer, meter, signal }: Pick<PackOptions, 'describer' | 'meter' | 'signal'>,
): Promise<Manifest> {
  const { size } = incoming;
  await requireMagic(incoming, source ?? stem, null);
  for (let n = Math.min(FIRST_HEAD, size); !describer.head(await incoming.read(0, n), size); )
    n = Math.min(n * 2, size);
  meter.start('check', 0, size);
  const whole = sha256.create();
  const chunks: ManifestChunk[] = [];
  for (let at = 0; at < size; at += CHUNK) {
    signal.throwIfAborted();
    const bytes = await incoming.read(at, Math.min(at + CHUNK, size));
    whole.update(bytes);
    chunks.push({ sha256: toHex(await crypto.subtle.digest('SHA-256', bytes)), size: bytes.length });
    meter.add(bytes.length);
  }
  const hash = toHex(new Uint8Array(whole.digest()).buffer);
  return describer.manifest(name, stem, source, { name: `${name}.gguf`, size, sha256: hash, chunks });
}

async function requireMagic(incoming: Incoming, what: string, response: Response | null): Promise<void> {
  const head = new TextDecoder().decode(await incoming.read(0, Math.min(200, incoming.size)));
  if (head.startsWith(MAGIC)) return;
  const type = response?.headers.get('Content-Type') ?? '';
  const page = type.includes('html') || /^\s*<(!doctype|html)/i.test(head);
  const found = head.startsWith('version https://git-lfs')
    ? 'the pointer that Git LFS keeps instead of the file; use the address of the file itself'
    : page
      ? 'a page of HTML (to log in, or about an error); open the address in a tab of its own and use that of the file itself'
      : incoming.size === 0
        ? 'nothing; check the file'
        : `other bytes${type === '' ? '' : ` (${type})`}; check that it is a GGUF file and whole`;
  throw new SlmError('bad_file', `Expected a GGUF file in ${what}${via(what, response)}, found ${found}.`);
}

const via = (url: string, response: Response | null) =>
  response?.redirected === true && response.url !== url ? `, redirected to ${response.url}` : '';

function notThere(url: string, response: Response): SlmError {
  const why =
    response.status === 401 || response.status === 403
      ? 'it asks for a login or a licence, which this page cannot give: serve the file from this page’s own site'
      : 'check the address';
  return new SlmError(
    'network',
    `Expected a GGUF file at ${url}${via(url, response)}, found HTTP ${response.status}; ${why}.`,
  );
}

/** fetch does not tell a lost network from a site that may not be read. */
function unreachable(url: string, kept: number, cause: Error): SlmError {
  const { protocol, origin } = new URL(url);
  const insecure = protocol === 'http:' && self.location.protocol === 'https:';
  const why = insecure
    ? 'a page at https may not read from http: use an address with https'
    : origin === self.location.origin
      ? 'check that the server is running and does not redirect to another site'
      : 'either there is no connection, or that site (or one that it redirects to) does not let other sites read' +
        ' the file: browsers do not tell which. Open the address in a tab of its own; if it loads there, the host' +
        ' has to send the header Access-Control-Allow-Origin, or the file has to lie on this page’s own site';
  const there = kept > 0 ? `; the ${kept} bytes that have arrived are kept` : '';
  return new SlmError(
    'network',
    `Expected a GGUF file at ${url}, found no answer that this page may read; ${why}${there}.`,
    { cause },
  );
}
