// Manifests as a server offers them: fetched, checked, and kept as the exact text
// that was signed. Chunks are download.ts's.

import type { Manifest } from '../api/types';
import { SlmError } from '../core/error';
import { fetchData, PageInsteadError } from './data';
import { parseManifest } from './manifest';
import { verifySignature } from './signature';

const MAX_MANIFEST_BYTES = 8 * 1024 * 1024;
const MAX_SIGNATURE_BYTES = 1000;

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
): Promise<SourceManifest> {
  const response = await get(url, signal);
  if (!response.ok)
    throw new SlmError(
      'network',
      `Expected a manifest at ${url}, found HTTP ${response.status}; check the address.`,
    );
  const text = await textOf(response, MAX_MANIFEST_BYTES, url);
  return proveManifest(
    text,
    publicKey === null ? null : await fetchSignature(`${url}.sig`, signal),
    publicKey,
    url,
  );
}

/** Null where the server has none. */
async function fetchSignature(url: string, signal: AbortSignal | undefined): Promise<string | null> {
  const response = await get(url, signal);
  if (response.status === 404 || response.status === 403) return null;
  if (!response.ok)
    throw new SlmError(
      'network',
      `Expected a signature at ${url}, found HTTP ${response.status}; try again.`,
    );
  return textOf(response, MAX_SIGNATURE_BYTES, url);
}

async function get(url: string, signal: AbortSignal | undefined): Promise<Response> {
  try {
    return await fetchData(url, { signal: signal ?? null, cache: 'no-cache' });
  } catch (error) {
    signal?.throwIfAborted();
    const found = error instanceof PageInsteadError ? error.message : 'no connection';
    throw new SlmError('network', `Expected ${url}, found ${found}; check that the server is running.`, {
      cause: error,
    });
  }
}

async function textOf(response: Response, most: number, url: string): Promise<string> {
  const bytes = await response.arrayBuffer();
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
