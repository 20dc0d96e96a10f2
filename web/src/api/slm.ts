// A model that is loaded and answers. It takes bytes that somebody else has
// fetched, the shell for the sealed frame or load.ts for a page of one's own,
// and so has no business with networks and storage.

import { SlmError } from '../core/error';
import { formatBytes } from '../core/units';
import { reasonOf } from '../engine/backend';
import { Engine } from '../engine/engine';
import { MEMORY } from '../generated/abi';
import { areCodes } from '../vision/masks';
import { PROJECTORS } from '../vision/projectors';
import type { LoadedFacts } from '../worker/protocol';
import { ModelAdapters } from './adapters';
import { Chat, type ChatContext } from './chat';
import { TextEmbeddings } from './embeddings';
import { ModelGuard } from './guard';
import { inspect } from './inspect';
import { invalid } from './params';
import { MessagePictures } from './pictures';
import { Queue } from './queue';
import { ModelSaes } from './saes';
import { type Rules, Screen, screenedChat, screenedText } from './screened';
import { ChatTemplate, type TemplateTokens } from './template';
import { TextCompletions } from './text';
import type {
  ChatCompletions,
  Completions,
  EngineOptions,
  Guard,
  Inspection,
  InspectRequest,
  Manifest,
  ModelInfo,
  ModelSource,
  Slm,
  SlmStats,
  VisionInfo,
} from './types';

/** A guard that is loaded, and what it screens by. */
export interface Guarding extends Rules {
  readonly model: Slm;
  /** It goes with the model that it guards. */
  readonly owned: boolean;
}

export class LoadedModel implements Slm {
  readonly chat: { readonly completions: ChatCompletions };
  readonly completions: Completions;
  readonly embeddings: TextEmbeddings;
  readonly adapters: ModelAdapters;
  readonly saes: ModelSaes;
  readonly guard: Guard;
  readonly #engine: Engine;
  readonly #source: ModelSource;
  readonly #queue = new Queue();
  readonly #context: ChatContext;
  readonly #guarding: Guarding | null;
  /** Of the workers that it describes: others may have taken over. */
  #info: { readonly of: LoadedFacts; readonly info: ModelInfo } | null = null;

  protected constructor(
    engine: Engine,
    source: ModelSource,
    tokens: TemplateTokens,
    guarding: Guarding | null,
  ) {
    const { manifest } = source;
    this.#engine = engine;
    this.#source = source;
    let template: ChatTemplate | null = null;
    const context: ChatContext = {
      engine,
      queue: this.#queue,
      model: manifest.name,
      defaults: manifest.sampling,
      vision: manifest.vision,
      pictures: new MessagePictures(manifest.name, manifest.vision),
      template: () => (template ??= new ChatTemplate(templateOf(manifest), tokens)),
    };
    this.#context = context;
    const chat = new Chat(context);
    const text = new TextCompletions(context);
    const { chat_template, name } = manifest;
    this.embeddings = new TextEmbeddings(context);
    this.adapters = new ModelAdapters(engine);
    this.saes = new ModelSaes(engine);
    this.#guarding = guarding;
    if (guarding === null) {
      this.chat = { completions: chat };
      this.completions = text;
      this.guard = new ModelGuard({ engine, queue: this.#queue, chat_template, tokens });
    } else {
      const screen = new Screen(guarding.model.guard, guarding);
      this.chat = { completions: screenedChat(chat, screen, name) };
      this.completions = screenedText(text, screen, name);
      this.guard = screen.guard;
    }
  }

  static async fromSource(
    source: ModelSource,
    options: EngineOptions = {},
    guarding: Guarding | null = null,
  ): Promise<Slm> {
    const engine = await Engine.start(source, options);
    const { bos, eos } = engine.facts.model;
    const decoder = new TextDecoder();
    const text = async (id: number | null) =>
      id === null ? '' : decoder.decode(await engine.detokenize([id], { special: true }));
    const tokens = { bos_token: await text(bos), eos_token: await text(eos) };
    return new LoadedModel(engine, source, tokens, guarding);
  }

  get info(): ModelInfo {
    const { facts } = this.#engine;
    if (this.#info?.of !== facts) this.#info = { of: facts, info: describe(this.#engine, this.#source) };
    return this.#info.info;
  }

  async inspect(request: InspectRequest, options?: { readonly signal?: AbortSignal }): Promise<Inspection> {
    if (this.#guarding !== null)
      throw new SlmError(
        'unsupported',
        'Expected a model without a guard, found one that is screened, whose layers would show what the guard keeps back; load it without its guard to look inside.',
      );
    return inspect(this.#context, request, options);
  }

  async mask(codes: readonly number[]): Promise<Float32Array> {
    const { name, vision } = this.#source.manifest;
    if (vision?.masks !== true)
      throw new SlmError(
        'unsupported',
        `Expected a model with a decoder of masks, found ${name}, which has none; convert it again with --masks.`,
      );
    if (!Array.isArray(codes) || !areCodes(codes))
      return invalid('the 16 codes of an outline, 0 to 127', codes);
    // In its turn: what proves an encoder on a device is no business of an answer's.
    return this.#queue.run(() => this.#engine.mask([...codes]));
  }

  async tokenize(text: string, { special = true }: { special?: boolean } = {}): Promise<number[]> {
    return Array.from(await this.#engine.tokenize(text, { special, bos: false }));
  }

  async detokenize(ids: readonly number[], { special = false }: { special?: boolean } = {}): Promise<string> {
    return new TextDecoder().decode(await this.#engine.detokenize(ids, { special }));
  }

  stats(): SlmStats {
    const { n_past, timings, memoryBytes, facts, gpu } = this.#engine;
    const { waiting, running } = this.#queue;
    return {
      n_past,
      n_ctx: facts.n_ctx,
      memory_bytes: memoryBytes,
      queued: waiting,
      busy: running,
      timings,
      gpu,
    };
  }

  async dispose(): Promise<void> {
    this.#engine.dispose();
    if (this.#guarding?.owned) await this.#guarding.model.dispose();
  }
}

/** That of its projector, whose models know no chat whatever their tokenizers brought; or the model's own. */
function templateOf({ chat_template, vision }: Manifest): string | null {
  return (vision === undefined ? null : PROJECTORS[vision.projector].template) ?? chat_template;
}

function visionOf({ vision }: Manifest): VisionInfo | null {
  if (vision === undefined) return null;
  const { projector, image_size, n_tokens, masks } = vision;
  return { projector, image_size, n_tokens, masks };
}

function describe({ facts, choice, notices, losses }: Engine, { manifest }: ModelSource): ModelInfo {
  const { model, memory_maximum, backend, gpu, checks } = facts;
  const few = memory_maximum !== null && memory_maximum < MEMORY.maximum * 65536 ? memory_maximum : null;
  const ceiling =
    few === null ? '' : ` This device let it reserve ${formatBytes(few)} of memory addresses only.`;
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
    n_embedding: model.n_embedding,
    languages: model.languages ?? [],
    has_chat_template: templateOf(manifest) !== null,
    has_fim: model.fim !== null,
    sampling: manifest.sampling,
    vision: visionOf(manifest),
    variant: choice.variant,
    variant_reason: choice.reason + ceiling,
    variant_notices: [
      ...choice.notices,
      ...(few === null ? [] : [{ code: 'few_addresses', bytes: few } as const]),
    ],
    threads: facts.threads,
    dot: facts.dot,
    backend,
    backend_reason: reasonOf(notices, backend),
    backend_notices: [...notices],
    gpu: gpu === null ? null : { ...gpu.info, losses },
    checks,
  };
}
