// The pictures of one engine: the encoder, which is loaded when the first picture
// comes, and what it has made of those that came, so that a conversation's pictures
// are encoded once. Two with the same pixels are one. It knows pixels and
// the worker's ids; prompts and how a picture is cut are other people's business.

import type { ManifestVision, ModelSource } from '../api/types';
import { SlmError } from '../core/error';
import type { RgbPicture, VisionFacts } from '../core/vision';
import { checkFacts } from './side_files';

/** What the engine does for them. */
export interface PictureWorker {
  load(file: Blob): Promise<VisionFacts>;
  /** Resolves to the worker's id of what the encoder makes of a picture. */
  encode(picture: RgbPicture): Promise<number>;
  free(id: number): void;
}

/** Pixels in a prompt, from position `at` on. */
export interface Placed extends RgbPicture {
  readonly at: number;
}

interface Entry {
  readonly picture: RgbPicture;
  readonly id: number;
}

/** So many stay encoded; a picture in large parts has up to 17. */
const KEPT = 40;

export class EnginePictures {
  readonly #worker: PictureWorker;
  /** What the manifest says of the encoder, and its file. */
  readonly #stated: { readonly vision: ManifestVision; readonly file: Blob } | null;
  #loading: Promise<void> | null = null;
  /** The latest used last. */
  #entries: Entry[] = [];

  constructor(worker: PictureWorker, { manifest, files }: Pick<ModelSource, 'manifest' | 'files'>) {
    this.#worker = worker;
    const { vision } = manifest;
    this.#stated = vision === undefined ? null : { vision, file: files[vision.file]! };
  }

  /** The worker's ids, in the order of the prompt; encodes what is not yet. */
  async ready(
    placed: readonly Placed[],
    signal: AbortSignal | undefined,
  ): Promise<[id: number, at: number][]> {
    const ids: [number, number][] = [];
    const entries = this.#entries; // those of the workers that are asked
    for (const picture of placed) {
      signal?.throwIfAborted();
      ids.push([await this.#encoded(picture, entries), picture.at]);
    }
    // Those of this prompt are the latest, so that none of them goes.
    const most = Math.max(KEPT, placed.length);
    for (const { id } of entries.splice(0, Math.max(0, entries.length - most))) this.#worker.free(id);
    return ids;
  }

  /** Other workers take over, which have encoded none yet. */
  restart(): void {
    this.#loading = null;
    this.#entries = [];
  }

  async #encoded(picture: RgbPicture, entries: Entry[]): Promise<number> {
    await this.loaded();
    const found = entries.findIndex((entry) => same(entry.picture, picture));
    const [known] = found < 0 ? [] : entries.splice(found, 1);
    // Of workers that are gone; whoever asked asks those that took over.
    if (entries !== this.#entries)
      throw new SlmError('wrong_state', 'Expected the workers that were asked, found others; ask again.');
    const entry = known ?? { picture, id: await this.#worker.encode(picture) };
    entries.push(entry);
    return entry.id;
  }

  /** The encoder is in memory. */
  async loaded(): Promise<void> {
    if (this.#stated === null)
      throw new SlmError(
        'unsupported',
        'Expected a model that sees pictures, found one without an encoder for them; use another model.',
      );
    this.#loading ??= this.#load(this.#stated);
    const loading = this.#loading;
    try {
      await loading;
    } catch (error) {
      // A failure is not kept, so that another attempt can succeed.
      if (this.#loading === loading) this.#loading = null;
      throw error;
    }
  }

  /** How prompts are laid out has followed the manifest. */
  async #load({ vision, file }: { readonly vision: ManifestVision; readonly file: Blob }): Promise<void> {
    const facts = await this.#worker.load(file);
    const { projector, image_size, patch_size, n_tokens, whole_prompt } = facts;
    const found = {
      ...{ projector, image_size, patch_size, n_tokens, whole_prompt },
      ...(image_size === 0 ? { factor: facts.factor } : {}),
    };
    checkFacts<typeof found>('the encoder of pictures', vision, found);
  }
}

function same(a: RgbPicture, b: RgbPicture): boolean {
  if (a.width !== b.width || a.rgb.length !== b.rgb.length) return false;
  return a.rgb === b.rgb || a.rgb.every((value, i) => value === b.rgb[i]);
}
