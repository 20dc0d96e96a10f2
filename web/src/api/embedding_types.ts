// The shapes of embeddings.create, which are OpenAI's; types only.

import type { RequestOptions } from './types';

export interface EmbeddingRequest {
  /** A text or several; or their tokens. A model may want words in front of a text that say what it is
   *  embedded for: see its model card. */
  readonly input: string | readonly string[] | readonly number[] | readonly (readonly number[])[];
  /** The first so many numbers alone, scaled to length 1 again: for models that were trained for it. */
  readonly dimensions?: number | null;
  /** 'float', the default: an array of numbers. 'base64': their little-endian float32 bytes. */
  readonly encoding_format?: 'float' | 'base64' | null;
  /** Ignored: the loaded model embeds. */
  readonly model?: string;
  readonly user?: string | null;
}

export interface Embedding<Numbers = number[]> {
  readonly object: 'embedding';
  readonly index: number;
  /** Of length 1, so that the product of two is their cosine. */
  readonly embedding: Numbers;
}

export interface EmbeddingList<Numbers = number[]> {
  readonly object: 'list';
  /** In the order of the inputs. */
  readonly data: readonly Embedding<Numbers>[];
  readonly model: string;
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
}

export interface Embeddings {
  create(
    request: EmbeddingRequest & { readonly encoding_format: 'base64' },
    options?: Pick<RequestOptions, 'signal'>,
  ): Promise<EmbeddingList<string>>;
  create(
    request: EmbeddingRequest & { readonly encoding_format?: 'float' | null },
    options?: Pick<RequestOptions, 'signal'>,
  ): Promise<EmbeddingList>;
}
