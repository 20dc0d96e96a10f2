// The encoder that is in memory and the pictures that it has encoded, by the ids
// that the page knows them by. Loading it and encoding wait for no answer: the
// engine asks for both in the turn of the request that needs them.

import { SlmError } from '../core/error';
import type { Model } from '../core/model';
import type { Session } from '../core/session';
import { type Picture, Vision, type VisionFacts } from '../core/vision';
import { feedUnits, planUnits, readHeaders } from './load';
import type { PlacedPictures } from './protocol';

const PIECE_BYTES = 4 * 1024 * 1024;

export class LoadedVision {
  readonly #model: Model;
  readonly #pictures = new Map<number, Picture>();
  #vision: { readonly vision: Vision; readonly facts: VisionFacts } | null = null;

  constructor(model: Model) {
    this.#model = model;
  }

  /** A prompt with pictures is evaluated whole. */
  get wholePrompt(): boolean {
    return this.#vision?.facts.whole_prompt ?? false;
  }

  get tokens(): number {
    return this.#vision?.facts.n_tokens ?? 0;
  }

  async load(file: Blob, tick: () => Promise<void>): Promise<VisionFacts> {
    if (this.#vision !== null) return this.#vision.facts;
    const { core } = this.#model;
    const vision = new Vision(this.#model);
    const buffers: number[] = [];
    try {
      readHeaders(vision, [file]);
      const { tensors, ...facts } = vision.describe();
      // One buffer for the cursor that threads would share, one for the bytes.
      for (const n of [4, PIECE_BYTES]) buffers.push(core.alloc(n));
      const [cursor, staging] = buffers as [number, number];
      core.bytes(cursor, 4).fill(0);
      const units = planUnits(tensors, PIECE_BYTES);
      for await (const _ of feedUnits(vision, [file], units, cursor, staging)) {
        await core.settle();
        await tick();
      }
      vision.ready();
      await core.settle();
      this.#vision = { vision, facts };
      return facts;
    } catch (error) {
      vision.free();
      throw error;
    } finally {
      for (const buffer of buffers) core.free(buffer);
    }
  }

  async encode(id: number, rgb: Uint8Array): Promise<void> {
    if (this.#vision === null)
      throw new SlmError(
        'wrong_state',
        'Expected the encoder of pictures to be loaded, found that it is not.',
      );
    const picture = this.#vision.vision.encode(rgb);
    this.#pictures.set(id, picture);
    await this.#model.core.settle();
  }

  #get(id: number): Picture {
    const picture = this.#pictures.get(id);
    if (picture !== undefined) return picture;
    throw new SlmError(
      'invalid_argument',
      'Expected a picture that is encoded, found one that was removed; send it again.',
    );
  }

  /** The pictures of the session's prompts to come. Where no picture has ever been, there is none to be forgotten. */
  show(session: Session, pictures: PlacedPictures): void {
    if (this.#vision !== null) session.pictures(pictures.map(([picture, at]) => [this.#get(picture), at]));
  }

  free(id: number): void {
    this.#pictures.get(id)?.free();
    this.#pictures.delete(id);
  }
}
