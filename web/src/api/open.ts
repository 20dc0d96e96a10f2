// From what a page names to a manifest and its files: a pack by its address, plain
// GGUF files by their addresses or as bytes, or a model that is on the device.
// What happens to the bytes is the store's business.

import { SlmError } from '../core/error';
import { isModelName } from '../store/manifest';
import { fetchManifest, type SourceManifest } from '../store/remote';
import { whyShorter } from '../store/room';
import { makeRoom, openModel, packModel, storedVersions } from '../store/store';
import { fileNameOf, inOrder, placeOf, wholeSet } from './split';
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
  if (source instanceof Blob) return packed([source], options, own);
  if (isList(source)) return packed(filesOf(source), options, own);
  if (typeof source === 'object' && 'stored' in source) return stored(source.stored, options, own);
  const url = new URL(source, location.href);
  if (/\.gguf$/i.test(url.pathname)) return packed(wholeSet(url), options, own);
  // A pack is a folder, with its manifest in it.
  if (!/\.json$/i.test(url.pathname)) url.pathname = `${url.pathname.replace(/\/+$/, '')}/manifest.json`;
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

type List = readonly (string | URL)[] | readonly Blob[];
type Files = readonly URL[] | readonly Blob[];

const isList = (source: LoadSource): source is List => Array.isArray(source);

/** What an array names, in order. */
function filesOf(list: List): Files {
  const blobs = list.filter((item) => item instanceof Blob);
  if (list.length === 0 || (blobs.length > 0 && blobs.length < list.length))
    throw new SlmError(
      'invalid_argument',
      `Expected the addresses or the files of one model, found ${list.length === 0 ? 'none' : 'both'}; name either all addresses or all files.`,
    );
  if (blobs.length > 0) return inOrder(blobs, nameOf);
  const urls = list.map((item) => new URL(item as string | URL, location.href));
  return urls.length === 1 ? wholeSet(urls[0]!) : inOrder(urls, fileNameOf);
}

const areBlobs = (files: Files): files is readonly Blob[] => files[0] instanceof Blob;

/** Plain GGUF files, packed here unless that has been done before. */
async function packed(sources: Files, options: LoadOptions, own: Own): Promise<Opened> {
  const { publicKey, storage, onProgress, onNotice, signal, n_ctx, backend, force } = options;
  if (publicKey !== undefined)
    throw new SlmError(
      'bad_signature',
      'Expected a manifest that is signed by the public key, found a plain GGUF file, which cannot be; pack and sign it, or give no key.',
    );
  const files = areBlobs(sources) ? sources : sources.map(({ href }) => href);
  const file = areBlobs(sources) ? nameOf(sources[0]!) : fileNameOf(sources[0]!);
  const { stem, count } = placeOf(file);
  if (areBlobs(sources) && sources.length === 1 && count > 1)
    throw new SlmError(
      'invalid_argument',
      `Expected all ${count} files of the split set, found ${file} alone; give them together, as an array.`,
    );
  const name = options.name ?? (await nameFor(stem, files));
  if (!isModelName(name))
    throw new SlmError(
      'invalid_argument',
      `Expected a name of letters, digits, dots and dashes, found ${name}.`,
    );
  if (typeof files[0] === 'string' && storage !== 'memory') {
    const { current } = await storedVersions(name, null);
    if (current?.manifest.source === files[0]) return open(current, files[0], options, own);
  }
  const [storeUrl, wasm] = await Promise.all([own.store(), own.describing()]);
  const packing = { sources: files, name, stem, wasm, wish: { n_ctx, backend, force } };
  const made = await packModel(packing, { storeUrl, storage, onProgress, onNotice, signal });
  const room = await makeRoom(made.source, options);
  if (room.notice !== null) onNotice?.(whyShorter(room.notice), room.notice);
  return { manifest: made.source.manifest, files: made.files, n_ctx: room.n_ctx };
}

const nameOf = (blob: Blob): string => (blob instanceof File && blob.name !== '' ? blob.name : 'model');

/** Two models of one name are two. */
async function nameFor(stem: string, files: readonly string[] | readonly Blob[]): Promise<string> {
  const urls = files.filter((file) => typeof file === 'string');
  const size = files.reduce((sum: number, file) => sum + (file instanceof Blob ? file.size : 0), 0);
  const what = urls.length > 0 ? urls.join('\n') : `${stem} ${size}`;
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
