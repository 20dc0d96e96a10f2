// slm.inspect: what the model makes of each token of a text behind each of its
// layers; and the check of what steers it, here and in completions.

import { SlmError } from '../core/error';
import type { Engine, Steering } from '../engine/engine';
import { logprobOf } from './logprobs';
import { chatParams } from './openai';
import { invalid } from './params';
import type { Queue } from './queue';
import type { ChatTemplate } from './template';
import type { Inspection, InspectRequest, RequestOptions, Steer } from './types';

export interface InspectContext {
  readonly engine: Engine;
  readonly queue: Queue;
  readonly model: string;
  readonly template: () => ChatTemplate;
}

const KNOWN = new Set(['text', 'messages', 'layer', 'top', 'sae', 'features', 'steer']);
const TOP = 5;
const MAX_TOP = 20;
const MAX_ASKED = 20;

export async function inspect(
  { engine, queue, model, template }: InspectContext,
  request: InspectRequest,
  { signal }: Pick<RequestOptions, 'signal'> = {},
): Promise<Inspection> {
  signal?.throwIfAborted();
  const facts = engine.facts.model;
  if (facts.n_embedding !== null)
    throw new SlmError(
      'unsupported',
      `Expected a model that generates text, found ${model}, which embeds it; load another one to look inside.`,
    );
  for (const [name, value] of Object.entries(request))
    if (value !== undefined && !KNOWN.has(name)) invalid('only parameters that slmweb knows', name);
  const { sae } = request;
  const layers =
    sae !== undefined && request.layer === undefined ? [] : layersOf(request.layer, facts.n_layer);
  const top = request.top ?? TOP;
  if (!Number.isInteger(top) || top < 1 || top > MAX_TOP)
    invalid(`top to be a whole number from 1 to ${MAX_TOP}`, top);
  const features = sae === undefined ? none(request.features) : { sae, top, also: asked(request, engine) };
  const steer = steering(request.steer, engine);
  const adapters = engine.adapters.choose(undefined);
  return queue.run(async () => {
    const ids = await tokensOf(request, engine, template);
    const wish = { ids, layers, top, features, adapters, steer };
    const { tokens, lens, features: found } = await engine.inspect(wish, signal);
    const text = new TextDecoder();
    return {
      model,
      tokens: tokens.map((bytes, i) => ({
        id: ids[i]!,
        token: text.decode(Uint8Array.from(bytes)),
        bytes,
        layers: layers.map((layer, l) => ({ layer, next: lens[l]![i]!.map(logprobOf) })),
        features: found === null ? null : found[i]!,
      })),
      usage: {
        prompt_tokens: ids.length,
        completion_tokens: 0,
        total_tokens: ids.length,
        prompt_tokens_details: { cached_tokens: 0 },
      },
    };
  }, signal);
}

async function tokensOf(
  { text, messages }: InspectRequest,
  engine: Engine,
  template: () => ChatTemplate,
): Promise<Int32Array> {
  if ((text === undefined) === (messages === undefined))
    invalid('either text or messages', { text, messages });
  if (messages !== undefined) {
    const read = chatParams({ messages }).messages;
    if (read.some(({ content }) => typeof content !== 'string'))
      invalid('messages of text alone to look inside', 'pictures');
    const continues = read.at(-1)?.role === 'assistant';
    const prompt = template().prompt(read, { continues, args: {} });
    const bos = !template().writesBos(prompt);
    return engine.tokenize(prompt.text, { special: true, bos, plain: prompt.plain });
  }
  if (typeof text !== 'string') invalid('text to be a text', text);
  // What a stranger wrote holds no control tokens.
  const ids = await engine.tokenize(text, { special: false, bos: true });
  return ids.length > 0 ? ids : invalid('a text of at least one character', text);
}

/** Rising, each once. */
function layersOf(given: InspectRequest['layer'], n_layer: number): number[] {
  const list = given === undefined ? Array.from({ length: n_layer }, (_, i) => i) : [given].flat();
  for (const layer of list)
    if (!Number.isInteger(layer) || layer < 0 || layer >= n_layer)
      invalid(`layers from 0 to ${n_layer - 1}`, layer);
  if (list.length === 0) invalid('at least one layer', given);
  return [...new Set(list)].sort((a, b) => a - b);
}

function none(features: InspectRequest['features']): null {
  return features === undefined ? null : invalid('sae beside features', features);
}

/** The features that are asked for by number. */
function asked({ sae, features = [] }: InspectRequest, { saes }: Engine): readonly number[] {
  const { features: n } = saes.get(sae!);
  if (!Array.isArray(features) || features.length > MAX_ASKED)
    invalid(`features to be a list of at most ${MAX_ASKED}`, features);
  for (const feature of features) featureOf(feature, n);
  return features;
}

function featureOf(feature: unknown, n: number): void {
  if (!Number.isInteger(feature) || (feature as number) < 0 || (feature as number) >= n)
    invalid(`a feature from 0 to ${n - 1}`, feature);
}

/** What a request adds to the residual, checked. */
export function steering(given: readonly Steer[] | undefined, { facts, saes }: Engine): Steering[] {
  if (given === undefined) return [];
  if (!Array.isArray(given)) invalid('steer to be a list of {layer, direction, strength}', given);
  const { n_layer, n_embd } = facts.model;
  return (given as readonly Steer[]).map((one) => {
    if (typeof one !== 'object' || one === null)
      invalid('steer to be a list of {layer, direction, strength}', one);
    const { strength } = one;
    if (typeof strength !== 'number' || !Number.isFinite(strength))
      invalid('the strength of a direction to be a number', strength);
    if ('sae' in one) {
      const { site, features } = saes.get(one.sae);
      if (site === 'heads')
        invalid(
          'an autoencoder of a residual or of a feed-forward network to steer by',
          'one of attention heads',
        );
      featureOf(one.feature, features);
      return { sae: one.sae, feature: one.feature, strength };
    }
    const { layer, direction } = one;
    if (!Number.isInteger(layer) || layer < 0 || layer >= n_layer)
      invalid(`a layer from 0 to ${n_layer - 1}`, layer);
    const numbers = Float32Array.from(direction ?? []);
    if (numbers.length !== n_embd || !numbers.every(Number.isFinite))
      invalid(`a direction of ${n_embd} numbers`, `${numbers.length}`);
    return { layer, direction: numbers, strength };
  });
}
