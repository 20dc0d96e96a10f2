// The class SLM: a model that is loaded and answers. `load` fetches and stores
// it for a page of one's own; `fromSource` takes bytes that somebody else has
// fetched, as the sealed frame does.

import { SlmError } from '../core/error';
import { formatBytes } from '../core/units';
import { Engine } from '../engine/engine';
import { MEMORY } from '../generated/abi';
import { fetchManifest, listStored, openModel } from '../store/store';
import { Chat } from './chat';
import { Queue } from './queue';
import { ChatTemplate } from './template';
import { TextCompletions } from './text';
import type { EngineOptions, LoadOptions, ModelInfo, ModelSource, Slm, SlmStats, Variant } from './types';

export class SLM implements Slm {
  readonly info: ModelInfo;
  readonly chat: { readonly completions: Chat };
  readonly completions: TextCompletions;
  readonly #engine: Engine;
  readonly #queue = new Queue();

  private constructor(engine: Engine, source: ModelSource, tokens: { bos_token: string; eos_token: string }) {
    const { manifest } = source;
    const { model } = engine.facts;
    this.#engine = engine;
    this.info = describe(engine, source);
    let template: ChatTemplate | null = null;
    const context = {
      engine,
      queue: this.#queue,
      model: manifest.name,
      defaults: manifest.sampling,
      template: () => (template ??= new ChatTemplate(model.chat_template, tokens)),
    };
    this.chat = { completions: new Chat(context) };
    this.completions = new TextCompletions(context);
  }

  /** Fetches what is not yet on this device, stores it and loads it. */
  static async load(manifestUrl: string, options: LoadOptions = {}): Promise<SLM> {
    const { signal, onProgress, onNotice } = options;
    const base = new URL(
      options.baseUrl ?? '.',
      options.baseUrl === undefined ? import.meta.url : location.href,
    );
    const url = new URL(manifestUrl, location.href).href;
    const assets = (await fetchJson(new URL('assets/assets.json', base), signal)) as Record<string, string>;
    const asset = (name: string) => new URL(`assets/${assets[name]}`, base).href;
    const manifest = await fetchManifest(url, signal);
    const { files } = await openModel(manifest, url, {
      storeUrl: asset('store.js'),
      storage: options.storage,
      onProgress,
      onNotice,
      signal,
    });
    const wasm = async (variant: Variant) =>
      (await fetchOk(new URL(`wasm/${variant}.wasm`, base), signal)).arrayBuffer();
    return SLM.fromSource({ manifest, files, wasm, workerUrl: asset('worker.js') }, options);
  }

  static async fromSource(source: ModelSource, options: EngineOptions = {}): Promise<SLM> {
    const engine = await Engine.start(source, options);
    const { bos, eos } = engine.facts.model;
    const decoder = new TextDecoder();
    const text = async (id: number | null) =>
      id === null ? '' : decoder.decode(await engine.detokenize([id], { special: true }));
    return new SLM(engine, source, { bos_token: await text(bos), eos_token: await text(eos) });
  }

  /** Names of the models that are whole on this device. */
  static async stored(): Promise<string[]> {
    return (await listStored()).map((manifest) => manifest.name);
  }

  async tokenize(text: string, { special = true }: { special?: boolean } = {}): Promise<number[]> {
    return Array.from(await this.#engine.tokenize(text, { special, bos: false }));
  }

  async detokenize(ids: readonly number[], { special = false }: { special?: boolean } = {}): Promise<string> {
    return new TextDecoder().decode(await this.#engine.detokenize(ids, { special }));
  }

  stats(): SlmStats {
    const { n_past, timings, memoryBytes, facts } = this.#engine;
    const { waiting, running } = this.#queue;
    return { n_past, n_ctx: facts.n_ctx, memory_bytes: memoryBytes, queued: waiting, busy: running, timings };
  }

  async dispose(): Promise<void> {
    this.#engine.dispose();
  }
}

function describe({ facts, choice }: Engine, { manifest }: ModelSource): ModelInfo {
  const { model, memory_maximum } = facts;
  const ceiling =
    memory_maximum !== null && memory_maximum < MEMORY.maximum * 65536
      ? ` This device let it reserve ${formatBytes(memory_maximum)} of memory addresses only.`
      : '';
  return {
    name: manifest.name,
    title: manifest.title,
    architecture: model.architecture,
    parameters: model.parameters,
    license: manifest.license ?? model.license,
    license_url: manifest.license_url,
    source: manifest.source,
    size: manifest.size,
    types: model.types,
    n_ctx: facts.n_ctx,
    n_ctx_train: model.n_ctx_train,
    n_vocab: model.n_vocab,
    n_layer: model.n_layer,
    n_embd: model.n_embd,
    languages: model.languages ?? [],
    has_chat_template: model.chat_template !== null,
    sampling: manifest.sampling,
    variant: choice.variant,
    variant_reason: choice.reason + ceiling,
    threads: facts.threads,
    dot: facts.dot,
  };
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
      { cause: error },
    );
  }
  if (!response.ok)
    throw new SlmError(
      'network',
      `Expected ${url.href}, found HTTP ${response.status}; set baseUrl to the folder of slmweb's files.`,
    );
  return response;
}

async function fetchJson(url: URL, signal: AbortSignal | undefined): Promise<unknown> {
  return (await fetchOk(url, signal)).json();
}
