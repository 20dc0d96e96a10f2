// The pictures of a chat's messages: those parts of a request, checked; decoded and
// cut for the model that reads them, once for each that is still known by its bytes,
// whichever Blob or data: URL brings them; and what a template is told in their place.
// Encoding is the engine's.

import { SlmError } from '../core/error';
import { toHex } from '../store/manifest';
import { blobOf, decode, MOST_BYTES, type PictureSource } from '../vision/decode';
import { type Detail, type Laid, PROJECTORS } from '../vision/projectors';
import type { ContentPart, ImagePart } from './completions';
import { invalid } from './params';
import type { ShownMessage } from './tools/messages';
import type { ChatMessage, ManifestVision } from './types';

/** So many are kept decoded; a conversation seldom has more. */
const KEPT = 16;

export class MessagePictures {
  readonly #vision: ManifestVision | undefined;
  readonly #name: string;
  /** By what is in it, and by detail; the latest used last. */
  readonly #known = new Map<string | ImageBitmap, Map<string, Promise<Laid>>>();
  /** So that a Blob that comes with every request is read once. */
  readonly #hashes = new WeakMap<Blob, Promise<string>>();

  constructor(name: string, vision: ManifestVision | undefined) {
    this.#name = name;
    this.#vision = vision;
  }

  /** Those of the messages, in order; `soft` tells which token stands for them. Throws where the model has no eyes. */
  async of(messages: readonly ChatMessage[], soft: () => Promise<string>): Promise<Map<ImagePart, Laid>> {
    const parts = shownParts(messages, false);
    const found = new Map<ImagePart, Laid>();
    for (const part of parts) found.set(part, await this.#laid(part, soft));
    while (this.#known.size > Math.max(KEPT, parts.length))
      this.#known.delete(this.#known.keys().next().value!);
    return found;
  }

  async #laid(part: ImagePart, soft: () => Promise<string>): Promise<Laid> {
    const vision = this.#vision;
    if (vision === undefined)
      throw new SlmError(
        'unsupported',
        `Expected a model that sees pictures, found ${this.#name}, which reads text alone; send text, or load a model with an encoder for pictures.`,
      );
    const { detail = 'auto' } = part.image_url;
    const given = sourceOf(part);
    const source = typeof given === 'string' ? blobOf(given) : given;
    const key = source instanceof Blob ? await this.#hashOf(source) : source;
    const known = this.#known.get(key) ?? new Map<string, Promise<Laid>>();
    this.#known.delete(key);
    this.#known.set(key, known);
    let laid = known.get(detail);
    if (laid === undefined) {
      laid = this.#made(source, vision, detail, soft);
      laid.catch(() => known.delete(detail)); // so that a failure is not kept
      known.set(detail, laid);
    }
    return laid;
  }

  /** Of its bytes. One that is too large is not read: decoding says what is wrong with it. */
  #hashOf(blob: Blob): Promise<string> {
    let hash = this.#hashes.get(blob);
    if (hash === undefined) {
      hash = blob.size > MOST_BYTES ? Promise.resolve(`${blob.size}`) : hashed(blob);
      hash.catch(() => this.#hashes.delete(blob));
      this.#hashes.set(blob, hash);
    }
    return hash;
  }

  async #made(
    source: PictureSource,
    vision: ManifestVision,
    detail: Detail,
    soft: () => Promise<string>,
  ): Promise<Laid> {
    const pixels = await decode(source);
    return PROJECTORS[vision.projector].lay(pixels, { ...vision, soft: await soft() }, detail);
  }
}

async function hashed(blob: Blob): Promise<string> {
  let bytes: ArrayBuffer;
  try {
    bytes = await blob.arrayBuffer();
  } catch (cause) {
    throw new SlmError(
      'invalid_argument',
      'Expected a picture that can be read, found a file that was moved or changed since it was chosen; add it again.',
      { cause },
    );
  }
  return toHex(await crypto.subtle.digest('SHA-256', bytes));
}

export const isImage = (part: ContentPart): part is ImagePart => part.type === 'image_url';

function sourceOf({ image_url }: ImagePart): PictureSource {
  if ('url' in image_url) return image_url.url;
  return 'blob' in image_url ? image_url.blob : image_url.bitmap;
}

/** A part as OpenAI's clients write it, or with a Blob or an ImageBitmap in place of the address. */
export function imagePart(part: unknown): ImagePart {
  const { image_url } = part as { image_url?: unknown };
  const shape = "a picture such as {type: 'image_url', image_url: {url: 'data:image/png;base64,…'}}";
  const given = typeof image_url === 'string' ? { url: image_url } : image_url;
  if (typeof given !== 'object' || given === null) return invalid(shape, image_url);
  const { url, blob, bitmap, detail } = given as Record<string, unknown>;
  const sources = [url, blob, bitmap].filter((source) => source !== undefined && source !== null);
  if (sources.length !== 1) return invalid(`${shape} with one of url, blob and bitmap`, Object.keys(given));
  if (detail !== undefined && detail !== null && !['low', 'high', 'auto'].includes(detail as string))
    invalid("detail to be 'low', 'high' or 'auto'", detail);
  const chosen = typeof detail === 'string' ? { detail: detail as 'low' | 'high' | 'auto' } : {};
  if (typeof url === 'string') return { type: 'image_url', image_url: { url, ...chosen } };
  if (blob instanceof Blob) return { type: 'image_url', image_url: { blob, ...chosen } };
  if (typeof ImageBitmap !== 'undefined' && bitmap instanceof ImageBitmap)
    return { type: 'image_url', image_url: { bitmap, ...chosen } };
  return invalid(shape, typeof sources[0]);
}

/** The pictures that a template shows: all, or of the last message that has some, as a projector's own does. */
export function shownParts(messages: readonly ChatMessage[], latest: boolean): ImagePart[] {
  const each = messages.map(({ content }) => (typeof content === 'string' ? [] : content.filter(isImage)));
  return latest ? (each.findLast((parts) => parts.length > 0) ?? []) : each.flat();
}

/** What a template is told: a mark in place of each picture. */
export function marked(message: ChatMessage): ShownMessage {
  const { content } = message;
  if (typeof content === 'string') return message;
  return { ...message, content: content.map((part) => (isImage(part) ? { type: 'image' } : part)) };
}

/** What a message says in words. */
export function wordsOf(content: ChatMessage['content']): string {
  if (typeof content === 'string') return content;
  return content.flatMap((part) => (isImage(part) ? [] : [part.text])).join('\n');
}
