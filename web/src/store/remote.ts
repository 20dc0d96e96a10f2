// Manifests as a server offers them: fetched, checked, and kept as the exact text
// that was signed. Chunks are download.ts's.

import type { Manifest } from '../api/types';
import { SlmError } from '../core/error';
import { fetchData, PageInsteadError, whatToDo } from './data';
import { parseManifest } from './manifest';
import { verifySignature } from './signature';

const MAX_MANIFEST_BYTES = 8 * 1024 * 1024;
const MAX_SIGNATURE_BYTES = 1000;
/** A server that has not answered after so long is away. Who has something to go on with waits less. */
export const ANSWER_MS = 20_000;
export const SHORT_ANSWER_MS = 3000;

/** A manifest with what proves it. */
export interface SourceManifest {
  readonly manifest: Manifest;
  /** The file itself. */
  readonly text: string;
  /** What lies beside it as manifest.json.sig; null where nobody asked for it. */
  readonly signature: string | null;
}

/** Checks a manifest's signature, if there is a key, and then every field. */
export async function proveManifest(
  text: string,
  signature: string | null,
  publicKey: string | null,
  where: string,
): Promise<SourceManifest> {
  if (publicKey !== null) await verifySignature(text, signature, publicKey, where);
  return { manifest: await parseManifest(text), text, signature };
}

export async function fetchManifest(
  url: string,
  publicKey: string | null,
  signal?: AbortSignal,
  answerMs = ANSWER_MS,
): Promise<SourceManifest> {
  const [response, text] = await get(url, MAX_MANIFEST_BYTES, signal, answerMs);
  if (!response.ok)
    throw new SlmError(
      'network',
      `Expected a manifest at ${url}, found HTTP ${response.status}; ${whatToDo(response, 'check the address')}.`,
      { details: { http_status: response.status } },
    );
  return proveManifest(
    text(),
    publicKey === null ? null : await fetchSignature(`${url}.sig`, signal, answerMs),
    publicKey,
    url,
  );
}

/** Null where the server has none. */
async function fetchSignature(
  url: string,
  signal: AbortSignal | undefined,
  answerMs: number,
): Promise<string | null> {
  const [response, text] = await get(url, MAX_SIGNATURE_BYTES, signal, answerMs);
  if (response.status === 404 || response.status === 403) return null;
  if (!response.ok)
    throw new SlmError(
      'network',
      `Expected a signature at ${url}, found HTTP ${response.status}; try again.`,
      { details: { http_status: response.status } },
    );
  return text();
}

/** An answer, whole, and its body as text. */
async function get(
  url: string,
  most: number,
  signal: AbortSignal | undefined,
  answerMs: number,
): Promise<[Response, () => string]> {
  try {
    const [response, bytes] = await fetchWithin(answerMs, url, signal);
    return [response, () => textOf(bytes, most, url)];
  } catch (error) {
    signal?.throwIfAborted();
    const found = error instanceof PageInsteadError ? error.message : 'no connection';
    throw new SlmError('network', `Expected ${url}, found ${found}; check that the server is running.`, {
      cause: error,
      details: { http_status: null },
    });
  }
}

/** A small file, or a rejection where it is not there in time. */
export async function fetchWithin(
  ms: number,
  url: string,
  signal?: AbortSignal,
): Promise<[Response, ArrayBuffer]> {
  const late = new AbortController();
  const forward = () => late.abort(signal?.reason);
  signal?.addEventListener('abort', forward);
  if (signal?.aborted) forward();
  const timer = setTimeout(() => late.abort(new Error(`no answer within ${ms / 1000} s`)), ms);
  try {
    const response = await fetchData(url, { signal: late.signal, cache: 'no-cache' });
    return [response, await response.arrayBuffer()];
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', forward);
  }
}

function textOf(bytes: ArrayBuffer, most: number, url: string): string {
  if (bytes.byteLength > most)
    throw new SlmError(
      'bad_manifest',
      `Expected at most ${most} bytes at ${url}, found ${bytes.byteLength}.`,
    );
  try {
    // Fatal, and without swallowing a byte order mark: the text stands for exactly these bytes.
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new SlmError('bad_manifest', `Expected UTF-8 at ${url}, found other bytes; pack the model again.`, {
      cause: error,
    });
  }
}
