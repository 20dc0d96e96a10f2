// The class SLM of the public API: a loaded model, plus the way to get one from
// the address of its manifest in a page of one's own.

import { SlmError } from '../core/error';
import { fetchManifest, listStored, openModel } from '../store/store';
import { LoadedModel } from './slm';
import type { LoadOptions, Slm, Variant } from './types';

export class SLM extends LoadedModel {
  /** Fetches what is not yet on this device, stores it and loads it. */
  static async load(manifestUrl: string, options: LoadOptions = {}): Promise<Slm> {
    const { signal, onProgress, onNotice, storage } = options;
    const base =
      options.baseUrl === undefined ? new URL('.', import.meta.url) : new URL(options.baseUrl, location.href);
    const url = new URL(manifestUrl, location.href).href;
    const names = (await (await fetchOk(new URL('assets/assets.json', base), signal)).json()) as Record<
      string,
      string
    >;
    const asset = (name: string) => new URL(`assets/${names[name]}`, base).href;
    const manifest = await fetchManifest(url, signal);
    const { files } = await openModel(manifest, url, {
      storeUrl: asset('store.js'),
      storage,
      onProgress,
      onNotice,
      signal,
    });
    const wasm = async (variant: Variant) =>
      (await fetchOk(new URL(`wasm/${variant}.wasm`, base), signal)).arrayBuffer();
    return SLM.fromSource({ manifest, files, wasm, workerUrl: asset('worker.js') }, options);
  }

  /** Names of the models that are whole on this device. */
  static async stored(): Promise<string[]> {
    return (await listStored()).map((manifest) => manifest.name);
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
