// From what a page names to a manifest and its files: a pack by its address, a
// plain GGUF file by its address or as bytes, or a model that is on the device.
// What happens to the bytes is the store's business.

import { SlmError } from '../core/error';
import { isModelName } from '../store/manifest';
import { fetchManifest, type SourceManifest } from '../store/remote';
import { whyShorter } from '../store/room';
import { makeRoom, openModel, packModel, storedVersions } from '../store/store';
import type { LoadOptions, LoadSource, Manifest } from './types';

export interface Opened {
  readonly manifest: Manifest;
  readonly files: readonly Blob[];
  readonly n_ctx: number;
}

/** Where slmweb's own files are, fetched only when they are needed. */
export interface Own {
  readonly store: () => Promise<string>;
  /** A variant of the core for one thread, to describe a GGUF file with. */
  readonly describing: () => Promise<ArrayBuffer>;
}

export async function opened(source: LoadSource, options: LoadOptions, own: Own): Promise<Opened> {
  if (source instanceof Blob) return packed(source, options, own);
  if (typeof source === 'object' && 'stored' in source) return stored(source.stored, options, own);
  const url = new URL(source, location.href);
  if (/\.gguf$/i.test(url.pathname)) return packed(url, options, own);
  return open(await offered(url.href, options), url.href, options, own);
}

async function open(source: SourceManifest, url: string, options: LoadOptions, own: Own): Promise<Opened> {
  const { storage, onProgress, onNotice, signal } = options;
  const room = await makeRoom(source, options);
  if (room.notice !== null) onNotice?.(whyShorter(room.notice), room.notice);
  const storeUrl = await own.store();
  const { files } = await openModel(source, url, { storeUrl, storage, onProgress, onNotice, signal });
  return { manifest: source.manifest, files, n_ctx: room.n_ctx };
}

async function stored(name: string, options: LoadOptions, own: Own): Promise<Opened> {
  const { current, refused } = await storedVersions(name, options.publicKey ?? null);
  if (current === null)
    throw (
      refused ??
      new SlmError(
        'invalid_argument',
        `Expected a model that is whole on this device, found none called ${name}; SLM.stored() lists them.`,
      )
    );
  return open(current, location.href, options, own);
}

/** A plain GGUF file, packed here unless that has been done before. */
async function packed(source: URL | Blob, options: LoadOptions, own: Own): Promise<Opened> {
  const { publicKey, storage, onProgress, onNotice, signal } = options;
  if (publicKey !== undefined)
    throw new SlmError(
      'bad_signature',
      'Expected a manifest that is signed by the public key, found a plain GGUF file, which cannot be; pack and sign it, or give no key.',
    );
  const file = source instanceof URL ? source.pathname.split('/').at(-1)! : nameOf(source);
  const stem = decodeURIComponent(file).replace(/\.gguf$/i, '');
  if (/-\d{5}-of-\d{5}$/.test(stem))
    throw new SlmError(
      'unsupported',
      `Expected one GGUF file, found ${file}, a part of a split set; pack the set with \`slmweb pack\` and load its manifest.`,
    );
  const name = options.name ?? (await nameFor(stem, source));
  if (!isModelName(name))
    throw new SlmError(
      'invalid_argument',
      `Expected a name of letters, digits, dots and dashes, found ${name}.`,
    );
  if (source instanceof URL && storage !== 'memory') {
    const { current } = await storedVersions(name, null);
    if (current?.manifest.source === source.href) return open(current, source.href, options, own);
  }
  const [storeUrl, wasm] = await Promise.all([own.store(), own.describing()]);
  const packing = { source: source instanceof URL ? source.href : source, name, stem, wasm };
  const made = await packModel(packing, { storeUrl, storage, onProgress, onNotice, signal });
  const room = await makeRoom(made.source, options);
  if (room.notice !== null) onNotice?.(whyShorter(room.notice), room.notice);
  return { manifest: made.source.manifest, files: made.files, n_ctx: room.n_ctx };
}

const nameOf = (blob: Blob): string => (blob instanceof File && blob.name !== '' ? blob.name : 'model');

/** Two files of one name are two models. */
async function nameFor(stem: string, source: URL | Blob): Promise<string> {
  const what = source instanceof URL ? source.href : `${stem} ${source.size}`;
  const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(what)));
  const mark = Array.from(hash.subarray(0, 4), (byte) => byte.toString(16).padStart(2, '0')).join('');
  const slug = stem
    .toLowerCase()
    .replace(/[^a-z0-9_]+/g, '-')
    .replace(/^[-_]+|[-_]+$/g, '');
  return `${slug.slice(0, 80) || 'model'}-${mark}`;
}

/** The server's manifest, or the one on this device of the model that its folder is named for. */
async function offered(url: string, { publicKey = null, signal }: OfferedOptions): Promise<SourceManifest> {
  try {
    return await fetchManifest(url, publicKey, signal);
  } catch (error) {
    const name = new URL(url).pathname.split('/').at(-2);
    if (!(error instanceof SlmError) || error.code !== 'network' || !isModelName(name)) throw error;
    const { current, refused } = await storedVersions(name, publicKey);
    if (current === null) throw refused ?? error;
    return current;
  }
}

type OfferedOptions = { readonly publicKey?: string | null; readonly signal?: AbortSignal };
