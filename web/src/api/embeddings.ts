// embeddings.create: texts in, a vector of length 1 for each out. The texts of a
// request are evaluated one after the other: a product of one text's tokens keeps
// every lane busy already, so that joining texts would gain next to nothing.

import { SlmError } from '../core/error';
import type { Engine } from '../engine/engine';
import { invalid } from './params';
import type { Queue } from './queue';
import type { EmbeddingList, EmbeddingRequest, Embeddings, RequestOptions } from './types';

export interface EmbeddingContext {
  readonly engine: Engine;
  readonly queue: Queue;
  readonly model: string;
}

type Input = string | readonly number[];
type Format = NonNullable<EmbeddingRequest['encoding_format']>;

const KNOWN = new Set(['input', 'dimensions', 'encoding_format', 'model', 'user']);

export class TextEmbeddings implements Embeddings {
  readonly #context: EmbeddingContext;

  constructor(context: EmbeddingContext) {
    this.#context = context;
  }

  create(
    request: EmbeddingRequest & { encoding_format: 'base64' },
    options?: Pick<RequestOptions, 'signal'>,
  ): Promise<EmbeddingList<string>>;
  create(
    request: EmbeddingRequest & { encoding_format?: 'float' | null },
    options?: Pick<RequestOptions, 'signal'>,
  ): Promise<EmbeddingList>;
  async create(
    request: EmbeddingRequest,
    { signal }: Pick<RequestOptions, 'signal'> = {},
  ): Promise<EmbeddingList | EmbeddingList<string>> {
    signal?.throwIfAborted();
    const { engine, queue, model } = this.#context;
    const { n_embedding, n_vocab } = engine.facts.model;
    if (n_embedding === null)
      throw new SlmError(
        'unsupported',
        `Expected a model that embeds texts, found ${model}, which generates them; load an embedding model.`,
      );
    for (const [name, value] of Object.entries(request))
      if (value !== undefined && !KNOWN.has(name)) invalid('only parameters that slmweb knows', name);
    const inputs = inputsOf(request.input, n_vocab);
    const dimensions = dimensionsOf(request.dimensions ?? n_embedding, n_embedding);
    const format = formatOf(request.encoding_format ?? 'float');
    const adapters = engine.adapters.choose(undefined);
    let tokens = 0;
    const vectors: Float32Array<ArrayBuffer>[] = [];
    await queue.run(async () => {
      for (const input of inputs) {
        signal?.throwIfAborted();
        // What a stranger wrote holds no control tokens.
        const ids =
          typeof input === 'string'
            ? await engine.tokenize(input, { special: false, bos: true })
            : Int32Array.from(input);
        tokens += ids.length;
        vectors.push(await engine.embed(ids, dimensions, adapters));
      }
    }, signal);
    const head = { object: 'list', model, usage: { prompt_tokens: tokens, total_tokens: tokens } } as const;
    return format === 'base64'
      ? { ...head, data: vectors.map((vector, index) => entry(index, base64(vector))) }
      : { ...head, data: vectors.map((vector, index) => entry(index, Array.from(vector))) };
  }
}

const entry = <Numbers>(index: number, embedding: Numbers) =>
  ({ object: 'embedding', index, embedding }) as const;

function inputsOf(given: unknown, n_vocab: number): readonly Input[] {
  const single = typeof given === 'string' || (Array.isArray(given) && typeof given[0] === 'number');
  const list: unknown = single ? [given] : given;
  if (!Array.isArray(list) || list.length === 0)
    return invalid('input to be a text, or a list of at least one', given);
  const isToken = (id: unknown) => Number.isInteger(id) && (id as number) >= 0 && (id as number) < n_vocab;
  for (const input of list) {
    const usable = Array.isArray(input) ? input.every(isToken) : typeof input === 'string';
    if (!usable || input.length === 0)
      invalid(`texts of at least one character, or tokens from 0 to ${n_vocab - 1}`, input);
  }
  return list as Input[];
}

function dimensionsOf(given: number, n_embedding: number): number {
  return Number.isInteger(given) && given >= 1 && given <= n_embedding
    ? given
    : invalid(`dimensions to be a whole number from 1 to ${n_embedding}`, given);
}

function formatOf(given: unknown): Format {
  return given === 'float' || given === 'base64'
    ? given
    : invalid("encoding_format to be 'float' or 'base64'", given);
}

function base64(vector: Float32Array<ArrayBuffer>): string {
  let text = '';
  for (const byte of new Uint8Array(vector.buffer)) text += String.fromCharCode(byte);
  return btoa(text);
}
