// The class SLM of the public API: a loaded model, plus the way to get one from
// the address of its manifest in a page of one's own.

import { SlmError } from '../core/error';
import { probe } from '../engine/probe';
import { chooseVariant } from '../engine/variant';
import { isModelName } from '../store/manifest';
import { fetchManifest, type SourceManifest } from '../store/remote';
import { publicKeyBytes } from '../store/signature';
import { listStored, makeRoom, openModel, storedVersions } from '../store/store';
import { LoadedModel } from './slm';
import type { LoadOptions, Slm, Variant } from './types';

export class SLM extends LoadedModel {
  /** Fetches what is not yet on this device, stores it and loads it. Of a new version only what
   *  changed is fetched; when the server is out of reach, the version on this device is loaded. */
  static async load(manifestUrl: string, options: LoadOptions = {}): Promise<Slm> {
    const { signal, onProgress, onNotice, storage, publicKey = null } = options;
    if (publicKey !== null) publicKeyBytes(publicKey); // a mistake is named before anything is fetched
    const base =
      options.baseUrl === undefined ? new URL('.', import.meta.url) : new URL(options.baseUrl, location.href);
    const url = new URL(manifestUrl, location.href).href;
    // What does not wait for one another is fetched together: the wasm too, as soon as it is known
    // which one it will be.
    const fetched = new Map<Variant, Promise<ArrayBuffer>>();
    const wasm = (variant: Variant) => {
      const bytes =
        fetched.get(variant) ??
        fetchOk(new URL(`wasm/${variant}.wasm`, base), signal).then((response) => response.arrayBuffer());
      bytes.catch(() => undefined); // whoever awaits it hears of it
      fetched.set(variant, bytes);
      return bytes;
    };
    const early = probe().then((found) => wasm(chooseVariant(found, options).variant));
    early.catch(() => undefined);
    const [names, source] = await Promise.all([
      fetchOk(new URL('assets/assets.json', base), signal).then(
        (response) => response.json() as Promise<Record<string, string>>,
      ),
      offered(url, publicKey, signal),
    ]);
    const asset = (name: string) => new URL(`assets/${names[name]}`, base).href;
    const room = await makeRoom(source, options);
    if (room.notice !== null) onNotice?.(room.notice);
    const { files } = await openModel(source, url, {
      storeUrl: asset('store.js'),
      storage,
      onProgress,
      onNotice,
      signal,
    });
    const { manifest } = source;
    return SLM.fromSource(
      { manifest, files, wasm, workerUrl: asset('worker.js') },
      {
        ...options,
        n_ctx: room.n_ctx,
      },
    );
  }

  /** Names of the models that are whole on this device. */
  static async stored(): Promise<string[]> {
    const models = [...(await listStored(null))];
    return models.flatMap(([name, { current }]) => (current === null ? [] : [name]));
  }
}

/** The server's manifest, or the one on this device of the model that its folder is named for. */
async function offered(
  url: string,
  publicKey: string | null,
  signal: AbortSignal | undefined,
): Promise<SourceManifest> {
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

async function fetchOk(url: URL, signal: AbortSignal | undefined): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { signal: signal ?? null });
  } catch (error) {
    signal?.throwIfAborted();
    throw new SlmError(
      'network',
      `Expected ${url.href}, found no connection; check that the server is running.`,
      {
        cause: error,
      },
    );
  }
  if (!response.ok)
    throw new SlmError(
      'network',
      `Expected ${url.href}, found HTTP ${response.status}; set baseUrl to the folder of slmweb's files.`,
    );
  return response;
}
