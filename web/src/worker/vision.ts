// The encoder that is in memory and the pictures that it has encoded, by the ids
// that the page knows them by; and the decoder of masks in its file, which the core
// leaves out. Loading it and encoding wait for no answer: the
// engine asks for both in the turn of the request that needs them.

import { SlmError } from '../core/error';
import type { Model } from '../core/model';
import type { Session } from '../core/session';
import { type Picture, type RgbPicture, Vision, type VisionFacts } from '../core/vision';
import { decodeMask, type MaskWeights, SHAPES } from '../vision/masks';
import { readLater } from './load';
import type { PlacedPictures } from './protocol';
import { LoadedFiles } from './side_files';

const MASKS = 'masks.';

export class LoadedVision {
  readonly #model: Model;
  readonly #prove: (vision: Vision) => Promise<void>;
  readonly #pictures = new Map<number, Picture>();
  #vision: { readonly vision: Vision; readonly facts: VisionFacts; readonly file: Blob } | null = null;
  #masks: Promise<MaskWeights> | null = null;

  /** `prove` throws where the device computes what an encoder needs otherwise than it should. */
  constructor(model: Model, prove: (vision: Vision) => Promise<void>) {
    this.#model = model;
    this.#prove = prove;
  }

  /** A prompt with pictures is evaluated whole. */
  get wholePrompt(): boolean {
    return this.#vision?.facts.whole_prompt ?? false;
  }

  /** A picture is evaluated whole. */
  get wholePicture(): boolean {
    return this.#vision?.facts.whole_picture ?? true;
  }

  get tokens(): number {
    return this.#vision?.facts.n_tokens ?? 0;
  }

  async load(file: Blob, tick: () => Promise<void>): Promise<VisionFacts> {
    this.#vision ??= await this.#load(file, tick);
    return this.#vision.facts;
  }

  async #load(file: Blob, tick: () => Promise<void>) {
    const files = new LoadedFiles<VisionFacts, Vision>(this.#model, (of) => new Vision(of), 'an encoder');
    await files.load(0, file, tick);
    const { part, facts } = files.get(0);
    try {
      await this.#prove(part);
    } catch (error) {
      files.free(0);
      throw error;
    }
    return { vision: part, facts, file };
  }

  async encode(id: number, given: RgbPicture): Promise<void> {
    const { vision, facts } = this.#loaded();
    const { image_size: side } = facts;
    const { width, height, rgb } = given;
    // Sides come from what a manifest says; the core knows what its encoder takes.
    if ((side !== 0 && (width !== side || height !== side)) || rgb.length !== 3 * width * height)
      throw new SlmError(
        'bad_manifest',
        `Expected ${side === 0 ? 'whole pictures' : `squares of ${side} by ${side} pixels`} for this encoder, found ${rgb.length} bytes of ${width} by ${height}; pack the model again.`,
      );
    const picture = vision.encode(given);
    this.#pictures.set(id, picture);
    await this.#model.core.settle();
  }

  /** What sixteen codes outline, (64, 64). */
  async mask(codes: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    this.#masks ??= this.#readMasks();
    try {
      return decodeMask(await this.#masks, codes);
    } catch (error) {
      this.#masks = null; // so that a failure is not kept
      throw error;
    }
  }

  async #readMasks(): Promise<MaskWeights> {
    const { vision, file } = this.#loaded();
    const there = new Map(vision.describe().tensors.map((tensor) => [tensor.name, tensor]));
    const weights = new Map<string, Float32Array>();
    for (const [name, shape] of SHAPES) {
      const tensor = there.get(`${MASKS}${name}`);
      const found =
        tensor === undefined ? 'none' : `${[...tensor.shape].reverse().join(' x ')} of ${tensor.type}`;
      const wanted = `${shape.join(' x ')} of F32`;
      if (tensor === undefined || found !== wanted)
        throw new SlmError(
          'bad_file',
          `Expected ${MASKS}${name} of ${wanted} beside the encoder of pictures, found ${found}; convert the model again with --masks.`,
        );
      const bytes = await readLater(file, tensor.offset, tensor.offset + tensor.size);
      weights.set(name, new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4));
    }
    return weights;
  }

  #loaded() {
    if (this.#vision !== null) return this.#vision;
    throw new SlmError('wrong_state', 'Expected the encoder of pictures to be loaded, found that it is not.');
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
