// Packs a plain GGUF model in the browser: brings its bytes from addresses or
// from Blobs, has the core describe them, and hashes them. The manifest that
// comes out is like those of `slmweb pack`, so that from then on the model is
// one like any other. Servers that it does not know may be anything, so what
// went wrong is told with what may have caused it; and since the files may be
// large, whatever can be known is known before they come: of a split set all
// files are begun before the first is fetched whole.

import { sha256 } from '@noble/hashes/sha2.js';
import type { Manifest, ManifestChunk, ManifestFile } from '../api/types';
import { isPassing, SlmError } from '../core/error';
import { isPage, whatToDo } from './data';
import type { Describer, Facts } from './describe';
import type { Incoming } from './incoming';
import { toHex } from './manifest';
import type { Meter } from './meter';
import { pause } from './pause';

const CHUNK = 16 * 1024 * 1024;
const FIRST_HEAD = 1024 * 1024;
const MAX_FAILURES = 6;
/** A connection that says nothing for so long is given up and made again. */
const STALL_MS = 30_000;
const MAX_PAUSE_MS = 5000;
/** To the core, the size of a file of which nobody knows it. */
const UNKNOWN_SIZE = 2 ** 50;
const MAGIC = 'GGUF';

export interface PackOptions {
  readonly signal: AbortSignal;
  readonly meter: Meter;
  /** First delay before a retry; it doubles. */
  readonly retryMs: number;
  /** Tells 'online' when the device has a network again. */
  readonly network: EventTarget;
  readonly describer: Describer;
  /** Throws where so many bytes more cannot be kept, of `size` in all; asked before they are fetched. */
  readonly requireRoom: (more: number, size: number) => Promise<void>;
  /** Throws where this device has not the memory that the model takes; asked when its headers are there. */
  readonly requireMemory: (facts: Facts, size: number) => Promise<void>;
}

/** A file on its way. */
interface Part {
  readonly url: string;
  readonly incoming: Incoming;
  /** Its size; null until the server has told it. */
  total: number | null;
  whole: boolean;
}

/** What is known of all files together. */
interface Run {
  readonly parts: readonly Part[];
  /** The server gives this page a part of a file, too. */
  takesRange: boolean;
}

/** Worth another attempt: the message says what happened. */
class Lost extends Error {
  constructor(
    message: string,
    /** The server's answer; null where there was none. */
    readonly status: number | null,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** Brings what each of `incoming` lacks of the file at its address. */
export async function receive(
  urls: readonly string[],
  incoming: readonly Incoming[],
  options: PackOptions,
): Promise<void> {
  options.meter.start('download', 0, 0);
  const parts = urls.map((url, i) => ({ url, incoming: incoming[i]!, total: null, whole: false }));
  for (const part of parts)
    if (part.incoming.origin?.url !== part.url)
      await part.incoming.begin({ url: part.url, validator: null }, 0);
  const run: Run = { parts, takesRange: true };
  if (parts.length > 1) for (const part of parts) await bring(part, run, true, options);
  for (const part of parts) if (!part.whole) await bring(part, run, false, options);
  options.meter.end();
}

async function bring(part: Part, run: Run, onlyHead: boolean, options: PackOptions): Promise<void> {
  const { url, incoming } = part;
  const { signal, network } = options;
  for (let failures = 0, contact = false; ; ) {
    signal.throwIfAborted();
    const before = incoming.size;
    try {
      await fetchRest(part, run, onlyHead, options, () => {
        contact = true;
      });
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Lost)) throw error;
      // A first request that nobody answers is more often a mistake than a bad line.
      if (!contact && error.cause instanceof TypeError) throw unreachable(url, incoming.size, error);
      failures = incoming.size > before ? 1 : failures + 1;
      if (failures > MAX_FAILURES)
        throw new SlmError(
          'network',
          `Expected the rest of ${url}, found the connection lost after ${incoming.size} bytes (${error.message}); try again, what has arrived is kept.`,
          { cause: error, details: { http_status: error.status } },
        );
      await pause(Math.min(MAX_PAUSE_MS, options.retryMs * 2 ** (failures - 1)), signal, network);
    }
  }
}

async function fetchRest(
  part: Part,
  run: Run,
  onlyHead: boolean,
  { signal, meter, describer, requireRoom, requireMemory }: PackOptions,
  contacted: () => void,
): Promise<void> {
  const { url, incoming } = part;
  const index = run.parts.indexOf(part);
  const attempt = new AbortController();
  const forward = () => attempt.abort(signal.reason);
  signal.addEventListener('abort', forward);
  let stall = setTimeout(() => attempt.abort(), STALL_MS);
  try {
    const known = incoming.origin?.validator ?? null;
    // The last byte comes again: of a file that is whole there would be nothing to ask for.
    const start = known === null || !run.takesRange ? 0 : Math.max(0, incoming.size - 1);
    const response = await ask(url, start, run, attempt.signal);
    contacted();
    const { status, headers } = response;
    if (isPassing(status)) throw new Lost(`HTTP ${status}`, status);
    const validator = headers.get('ETag') ?? headers.get('Last-Modified');
    if (status === 416 || (status === 206 && validator !== known)) {
      // Halves of two files must not be joined.
      await incoming.begin({ url, validator: null }, 0);
      throw new Lost('the file has changed meanwhile', status);
    }
    if (!response.ok || response.body === null) throw notThere(url, response);
    if (start > 0 && status !== 206 && isPage(headers))
      throw new Lost('a web page came in its place, as from a login or a start page', status);
    part.total = lengthOf(response, status === 206 ? start : 0);
    if (status === 206) incoming.keep(start);
    else await incoming.begin({ url, validator }, part.total ?? 0);
    await requireRoom(
      run.parts.reduce((sum, each) => sum + lacks(each), 0),
      sizeOf(run),
    );
    meter.start(
      'download',
      run.parts.reduce((sum, each) => sum + each.incoming.size, 0),
      sizeOf(run),
    );
    const body = response.body.getReader();
    const head = new Head(part, response);
    for (;;) {
      // Before the rest is fetched: is it a model, and one that runs here?
      if (await head.isThere()) {
        if (index === describer.described && (await head.isEnough(describer)) && describer.facts !== null)
          await requireMemory(describer.facts, sizeOf(run));
        // What is there already is taken to its end.
        if (onlyHead && describer.described > index && incoming.size !== part.total) return;
      }
      const { done, value } = await body.read();
      if (done) break;
      clearTimeout(stall);
      stall = setTimeout(() => attempt.abort(), STALL_MS);
      incoming.append(value);
      meter.add(value.length);
    }
    await head.require();
    if (part.total !== null && incoming.size < part.total) throw new Lost('the answer ended early', status);
    part.total = incoming.size;
    part.whole = true;
    // A server that tells no size has told it now.
    if (onlyHead && index === describer.described) {
      describer.head(await incoming.read(0, incoming.size), incoming.size);
      if (describer.facts !== null) await requireMemory(describer.facts, sizeOf(run));
    }
  } catch (error) {
    if (error instanceof TypeError) throw new Lost(error.message, null, { cause: error });
    if (attempt.signal.aborted && !signal.aborted) throw new Lost(`no byte for ${STALL_MS / 1000} s`, null);
    throw error;
  } finally {
    clearTimeout(stall);
    attempt.abort();
    signal.removeEventListener('abort', forward);
  }
}

/** Asks for a file from byte `start` on. Some hosts let other sites read a file but no part of it, which looks
 *  like a lost line; so where the whole can be had and the part still cannot, the whole is asked for. */
async function ask(url: string, start: number, run: Run, signal: AbortSignal): Promise<Response> {
  const whole = () => fetch(url, { cache: 'no-store', signal });
  if (start === 0) return whole();
  const rest = () =>
    fetch(url, { headers: { Range: `bytes=${start}-` }, cache: 'no-store', signal }).catch(
      (error: unknown) => {
        if (error instanceof TypeError) return null;
        throw error;
      },
    );
  const first = await rest();
  if (first !== null) return first;
  const all = await whole(); // throws where it is the line
  if (!all.ok) return all;
  await all.body?.cancel();
  const second = await rest();
  if (second !== null) return second;
  run.takesRange = false;
  return whole();
}

/** The whole file's length, as far as it is told. */
function lengthOf({ headers }: Response, start: number): number | null {
  const length = headers.get('Content-Length');
  // Of a compressed answer it says nothing.
  return length === null || headers.has('Content-Encoding') ? null : start + Number(length);
}

const lacks = ({ total, incoming }: Part): number => Math.max(0, (total ?? 0) - incoming.size);

const sizeOf = ({ parts }: Run): number =>
  parts.reduce((sum, { total, incoming }) => sum + Math.max(total ?? 0, incoming.size), 0);

/** The beginning of a file that is coming. */
class Head {
  readonly #part: Part;
  readonly #response: Response;
  #isGguf = false;
  #wanted = FIRST_HEAD;

  constructor(part: Part, response: Response) {
    this.#part = part;
    this.#response = response;
  }

  /** Whether enough has come to tell that this is a GGUF file; throws where it is none. */
  async isThere(): Promise<boolean> {
    if (!this.#isGguf && this.#part.incoming.size >= MAGIC.length) await this.require();
    return this.#isGguf;
  }

  async require(): Promise<void> {
    if (!this.#isGguf) await requireMagic(this.#part.incoming, this.#part.url, this.#response);
    this.#isGguf = true;
  }

  /** Whether the core has understood this file's header; throws what it has against the model. */
  async isEnough(describer: Describer): Promise<boolean> {
    const { incoming, total } = this.#part;
    if (incoming.size < this.#wanted && incoming.size !== total) return false;
    while (this.#wanted <= incoming.size) this.#wanted *= 2;
    // Other origins do not tell whether an answer is compressed, and the file longer than its length says.
    const told = total !== null && this.#response.type === 'basic';
    return describer.head(await incoming.read(0, incoming.size), told ? total : UNKNOWN_SIZE);
  }
}

/** What is packed, in words. */
export interface Named {
  readonly name: string;
  readonly stem: string;
  /** Of each file; null for Blobs. */
  readonly urls: readonly string[] | null;
}

/** Describes and hashes whole files. */
export async function prove(
  incoming: readonly Incoming[],
  { name, stem, urls }: Named,
  { describer, meter, signal, requireMemory }: Omit<PackOptions, 'requireRoom' | 'network' | 'retryMs'>,
): Promise<Manifest> {
  // What came as a header meanwhile may have been another file's.
  const all = await describer.again();
  const total = incoming.reduce((sum, { size }) => sum + size, 0);
  for (const [i, file] of incoming.entries()) {
    const { size } = file;
    await requireMagic(file, urls?.[i] ?? stem, null);
    for (let n = Math.min(FIRST_HEAD, size); !all.head(await file.read(0, n), size); )
      n = Math.min(n * 2, size);
  }
  await requireMemory(all.facts!, total);
  meter.start('check', 0, total);
  const files: ManifestFile[] = [];
  const count = `${incoming.length}`.padStart(5, '0');
  for (const [i, file] of incoming.entries()) {
    const number = incoming.length > 1 ? `-${`${i + 1}`.padStart(5, '0')}-of-${count}` : '';
    files.push(await hashed(`${name}${number}.gguf`, file, meter, signal));
  }
  return all.manifest(name, stem, urls?.[0] ?? null, files);
}

async function hashed(
  name: string,
  incoming: Incoming,
  meter: Meter,
  signal: AbortSignal,
): Promise<ManifestFile> {
  const { size } = incoming;
  const whole = sha256.create();
  const chunks: ManifestChunk[] = [];
  for (let at = 0; at < size; at += CHUNK) {
    signal.throwIfAborted();
    const bytes = await incoming.read(at, Math.min(at + CHUNK, size));
    whole.update(bytes);
    chunks.push({ sha256: toHex(await crypto.subtle.digest('SHA-256', bytes)), size: bytes.length });
    meter.add(bytes.length);
  }
  return { name, size, sha256: toHex(new Uint8Array(whole.digest()).buffer), chunks };
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
  return new SlmError(
    'network',
    `Expected a GGUF file at ${url}${via(url, response)}, found HTTP ${response.status}; ${whatToDo(response, 'check the address')}.`,
    { details: { http_status: response.status } },
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
        ' the file: browsers do not tell which. Open the address in a private window; if it loads there, the host' +
        ' has to send the header Access-Control-Allow-Origin, or the file has to lie on this page’s own site';
  const there = kept > 0 ? `; the ${kept} bytes that have arrived are kept` : '';
  return new SlmError(
    'network',
    `Expected a GGUF file at ${url}, found no answer that this page may read; ${why}${there}.`,
    { cause, details: { http_status: null } },
  );
}
