// The class SLM of the public API: a loaded model, plus the way to get one from
// the address of its manifest in a page of one's own.

import { SlmError } from '../core/error';
import { chooseBackend, wantsGpuOnly } from '../engine/backend';
import { probe } from '../engine/probe';
import { chooseVariant, GPU_CHOICE } from '../engine/variant';
import { isModelName } from '../store/manifest';
import { publicKeyBytes } from '../store/signature';
import { bytesOnDevice, listStored, removeStored } from '../store/store';
import { opened } from './open';
import { checkRules } from './screened';
import { type Guarding, LoadedModel } from './slm';
import type { LoadOptions, LoadProgress, LoadSource, Slm, StoredModel, Variant } from './types';

export class SLM extends LoadedModel {
  /** Fetches what is not yet on this device, stores it and loads it. Of a new version only what
   *  changed is fetched; when the server is out of reach, the version on this device is loaded. A
   *  plain GGUF file, from any site that lets others read it, is described and hashed here; the next
   *  time it comes from this device, until it is removed. */
  static async load(source: LoadSource, options: LoadOptions = {}): Promise<Slm> {
    const { signal, publicKey = null } = options;
    signal?.throwIfAborted();
    if (publicKey !== null) publicKeyBytes(publicKey); // a mistake is named before anything is fetched
    const guarding = await guardingOf(options);
    try {
      return await load(source, options, guarding);
    } catch (error) {
      if (guarding?.owned) await guarding.model.dispose();
      throw error;
    }
  }

  /** The models on this device, whole or in part. */
  static async stored(): Promise<StoredModel[]> {
    const sizes = await bytesOnDevice();
    return Array.from(await listStored(null), ([name, { current }]) => ({
      name,
      title: current?.manifest.title ?? name,
      size: sizes.get(name) ?? 0,
      state: current === null ? ('partial' as const) : ('whole' as const),
      source: current?.manifest.source ?? null,
    }));
  }

  /** Deletes a model from this device, with all its versions; the ones that are loaded go on. */
  static async remove(name: string): Promise<void> {
    if (!isModelName(name))
      throw new SlmError('invalid_argument', `Expected the name of a stored model, found ${String(name)}.`);
    await removeStored(name);
  }
}

const isLoaded = (model: Slm | LoadSource): model is Slm => typeof model === 'object' && 'dispose' in model;

/** Loaded first, for without it nothing of the model may be shown. */
async function guardingOf({ guard, ...options }: LoadOptions): Promise<Guarding | null> {
  if (guard === undefined) return null;
  checkRules(guard);
  const { model } = guard;
  if (isLoaded(model)) return { ...guard, model, owned: false };
  // These are of the model that is guarded.
  const { n_ctx: _, name: __, onProgress, ...shared } = options;
  const told = onProgress && {
    onProgress: (progress: LoadProgress) => onProgress({ ...progress, guard: true }),
  };
  return { ...guard, model: await SLM.load(model, { ...shared, ...told }), owned: true };
}

async function load(source: LoadSource, options: LoadOptions, guarding: Guarding | null): Promise<Slm> {
  const { signal } = options;
  const base =
    options.baseUrl === undefined ? new URL('.', import.meta.url) : new URL(options.baseUrl, location.href);
  // What does not wait for one another is fetched together: the wasm too, as soon as it is known
  // which one it will be.
  const fetched = new Map<Variant, Promise<ArrayBuffer>>();
  let loading = signal;
  const wasm = (variant: Variant) => {
    let bytes = fetched.get(variant);
    if (bytes === undefined) {
      const url = new URL(`wasm/${variant}.wasm`, base);
      bytes = fetchOk(url, loading).then((response) => response.arrayBuffer());
      bytes.catch(() => fetched.delete(variant)); // so that another attempt can succeed
      fetched.set(variant, bytes);
    }
    return bytes;
  };
  const early = likelyVariant(options).then(wasm);
  early.catch(() => undefined);
  const names = fetchOk(new URL('assets/assets.json', base), signal).then(
    (response) => response.json() as Promise<Record<string, string>>,
  );
  names.catch(() => undefined);
  const asset = async (name: string) => new URL(`assets/${(await names)[name]}`, base).href;
  const { manifest, files, n_ctx } = await opened(source, options, {
    store: () => asset('store.js'),
    // Not the one that will compute: that may want threads, or a GPU.
    describing: () =>
      fetchOk(new URL('wasm/simd.wasm', base), signal).then((response) => response.arrayBuffer()),
  });
  const workerUrl = await asset('worker.js');
  const slm = await SLM.fromSource({ manifest, files, wasm, workerUrl }, { ...options, n_ctx }, guarding);
  loading = undefined; // what is fetched from now on is no part of loading
  // Should the GPU be lost without a network, the CPU can still take over.
  if (slm.info.backend === 'webgpu' && !wantsGpuOnly(options))
    likelyVariant({ ...options, backend: 'cpu' })
      .then(wasm)
      .catch(() => undefined); // it is tried again then
  return slm;
}

/** What the engine will most probably ask for. */
async function likelyVariant(options: LoadOptions): Promise<Variant> {
  const { gpu } = await chooseBackend(options);
  return gpu === null ? chooseVariant(await probe(), options).variant : GPU_CHOICE.variant;
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
