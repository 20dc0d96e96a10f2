// What each kind of encoder wants of a picture: how it is resized and cut, and the
// text that stands for it in a prompt. One entry a projector, as the processors of
// its makers do it; py/slmweb/vision/projectors.py has the same table. Pixels come
// in and what an encoder takes comes out: squares, or a picture in its shape; files,
// the core and chats are others' business.

import type { ManifestVision, ProjectorName } from '../api/types';
import { crop, type Filter, type Pixels, resize } from './resize';

/** 'high': the picture is shown larger, or parts of it are, beside the whole; 'low': smaller, where it can be. */
export type Detail = 'low' | 'high' | 'auto';

/** What concerns a picture of an encoder and its model. */
export interface Shape {
  /** Side of the square that the encoder takes, in pixels; 0 where a picture keeps its shape. */
  readonly image_size: number;
  readonly patch_size: number;
  /** Rows and columns of patches that make one position, where a picture keeps its shape. */
  readonly factor?: number;
  /** Positions that a square takes in the prompt. */
  readonly n_tokens: number;
  /** The text of the token that stands for it so many times. */
  readonly soft: string;
}

/** What the encoder takes at once: (height, width, 3), and the positions that it takes in the prompt. */
export interface View {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array;
  readonly n_tokens: number;
}

/** A picture as the encoder takes it. */
export interface Laid {
  /** In the order of the text. */
  readonly views: readonly View[];
  /** What stands in its place in the prompt; each view is a run of n_tokens `soft`. */
  readonly text: string;
}

interface Projector {
  readonly filter: Filter;
  /** What chat templates write where a picture is. */
  readonly placeholder: string;
  /** Tokens at whose positions a square may stand, the family's own first: vocabularies that leave it out have the
   *  next. Their embeddings are never read. */
  readonly soft: readonly string[];
  /** Of models that know no chat; null: the model's own. */
  readonly template: string | null;
  readonly lay: (pixels: Pixels, shape: Shape, detail: Detail) => Laid;
}

// A question with its pictures, the latest that there are, as PaliGemma was trained: it knows no
// conversations.
const QUESTION_ABOUT_PICTURES =
  "{%- set seen = namespace(pictures='', question='') -%}" +
  "{%- for message in messages if message.role == 'user' -%}" +
  "{%- set here = namespace(pictures='', question='') -%}" +
  '{%- if message.content is string -%}{%- set here.question = message.content -%}{%- else -%}' +
  '{%- for part in message.content -%}' +
  "{%- if part.type == 'text' -%}{%- set here.question = here.question + part.text -%}" +
  "{%- else -%}{%- set here.pictures = here.pictures + '<image>' -%}{%- endif -%}" +
  '{%- endfor -%}{%- endif -%}' +
  '{%- if here.pictures -%}{%- set seen.pictures = here.pictures -%}{%- endif -%}' +
  '{%- set seen.question = here.question -%}{%- endfor -%}' +
  "{{- seen.pictures + bos_token }}{{ seen.question }}{{ '\\n' -}}" +
  "{%- if messages[-1].role == 'assistant' -%}{{ messages[-1].content }}{%- endif -%}";

export const PROJECTORS: Readonly<Record<ProjectorName, Projector>> = {
  gemma3: {
    filter: 'bilinear',
    placeholder: '<start_of_image>',
    soft: ['<image_soft_token>', '<pad>'],
    template: null,
    lay(pixels, shape, detail) {
      const shown = `\n\n<start_of_image>${run(shape)}<end_of_image>\n\n`;
      const crops = detail === 'high' ? panAndScan(pixels) : [];
      const text =
        crops.length === 0
          ? shown
          : `Here is the original image ${shown} and here are some crops to help you see better ${crops.map(() => shown).join(' ')}`;
      return { views: [pixels, ...crops].map((part) => square(part, shape, this.filter)), text };
    },
  },
  gemma4v: {
    filter: 'bicubic',
    placeholder: '<|image|>',
    soft: ['<|image|>'],
    template: null,
    lay(pixels, { patch_size, factor = 1, soft }, detail) {
      const [columns, rows] = within(pixels, MOST_SQUARES[detail]);
      const side = patch_size * factor;
      const shown = resize(pixels, columns * side, rows * side, this.filter);
      const n_tokens = columns * rows;
      return { views: [view(shown, n_tokens)], text: `<|image>${soft.repeat(n_tokens)}<image|>` };
    },
  },
  paligemma: {
    filter: 'bicubic',
    placeholder: '<image>',
    soft: ['<image>'],
    template: QUESTION_ABOUT_PICTURES,
    lay(pixels, shape) {
      return { views: [square(pixels, shape, this.filter)], text: run(shape) };
    },
  },
  idefics3: {
    filter: 'lanczos',
    placeholder: '<image>',
    soft: ['<image>'],
    template: null,
    lay(pixels, shape, detail) {
      const { image_size: side } = shape;
      const fake = '<fake_token_around_image>';
      const seen = run(shape);
      const large = longest(pixels, LONGEST_SQUARES * side, this.filter);
      if (detail !== 'high')
        return {
          views: [square(large, shape, this.filter)],
          text: `${fake}<global-img>${seen}${fake}`,
        };
      const whole = filled(large, side, this.filter);
      const rows = whole.height / side;
      const columns = whole.width / side;
      const views: View[] = [];
      let text = '';
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          views.push(view(crop(whole, column * side, row * side, side, side), shape.n_tokens));
          text += `${fake}<row_${row + 1}_col_${column + 1}>${seen}`;
        }
        text += '\n';
      }
      views.push(square(whole, shape, this.filter));
      return { views, text: `${text}\n${fake}<global-img>${seen}${fake}` };
    },
  },
};

/** Tokens of one evaluation in a session of `n_ctx` positions that is to have pictures: `n_batch` at least, and each
 *  picture whole that has to be. */
export function batchFor(
  {
    n_tokens,
    whole_picture,
    whole_prompt,
  }: Pick<ManifestVision, 'n_tokens' | 'whole_picture' | 'whole_prompt'>,
  n_ctx: number,
  n_batch: number,
): number {
  if (whole_prompt) return n_ctx;
  return whole_picture ? Math.max(n_batch, Math.min(n_tokens, n_ctx)) : n_batch;
}

export function isProjector(name: unknown): name is ProjectorName {
  return typeof name === 'string' && Object.hasOwn(PROJECTORS, name);
}

const run = ({ soft, n_tokens }: Shape): string => soft.repeat(n_tokens);

function square(pixels: Pixels, { image_size, n_tokens }: Shape, filter: Filter): View {
  return view(resize(pixels, image_size, image_size, filter), n_tokens);
}

function view({ width, height, rgb }: Pixels, n_tokens: number): View {
  return { width, height, rgb: new Uint8Array(rgb.buffer, rgb.byteOffset, rgb.length), n_tokens };
}

// ---- Gemma 3 ----

const CROP_RATIO = 1.2;
const LEAST_CROP = 256;
const MOST_CROPS = 4;

/** The crops of a picture that is long; none of one that is nearly square, or too small. */
function panAndScan(pixels: Pixels): Pixels[] {
  const { width, height } = pixels;
  const [long, short] = width >= height ? [width, height] : [height, width];
  if (long / short < CROP_RATIO) return [];
  const wanted = Math.min(Math.floor(long / LEAST_CROP), Math.floor(long / short + 0.5));
  const n = Math.min(MOST_CROPS, Math.max(2, wanted));
  const step = Math.ceil(long / n);
  if (Math.min(step, short) < LEAST_CROP) return [];
  return Array.from({ length: n }, (_, i) =>
    width >= height ? crop(pixels, i * step, 0, step, height) : crop(pixels, 0, i * step, width, step),
  );
}

// ---- Gemma 4 ----

/** Of its choices 70, 140, 280, 560 and 1120; the last takes a page's memory. */
const MOST_SQUARES: Readonly<Record<Detail, number>> = { low: 70, auto: 280, high: 560 };

/** Columns and rows of the largest grid in about the picture's shape that has at most `n` squares. */
function within({ width, height }: Pixels, n: number): [columns: number, rows: number] {
  const scale = Math.sqrt(n / (width * height));
  const [columns, rows] = [Math.floor(scale * width), Math.floor(scale * height)];
  if (rows === 0) return [Math.min(Math.floor(width / height), n), 1];
  return columns === 0 ? [1, Math.min(Math.floor(height / width), n)] : [columns, rows];
}

// ---- Idefics 3 and SmolVLM ----

/** The long side of a picture is made so many squares long. */
const LONGEST_SQUARES = 4;
const MOST_PIXELS = 4096;

/** The picture with a long side of `side`, the short one even. */
function longest(pixels: Pixels, side: number, filter: Filter): Pixels {
  const ratio = pixels.width / pixels.height;
  const even = (n: number) => Math.max(1, n + (n % 2));
  let [width, height] =
    pixels.width >= pixels.height
      ? [side, even(Math.trunc(side / ratio))]
      : [even(Math.trunc(side * ratio)), side];
  const bounded = width / height;
  if (width >= height && width > MOST_PIXELS)
    [width, height] = [MOST_PIXELS, Math.max(1, Math.trunc(MOST_PIXELS / bounded))];
  else if (height > width && height > MOST_PIXELS)
    [width, height] = [Math.max(1, Math.trunc(MOST_PIXELS * bounded)), MOST_PIXELS];
  return resize(pixels, width, height, filter);
}

/** The picture with sides that are whole numbers of squares. */
function filled(pixels: Pixels, side: number, filter: Filter): Pixels {
  const up = (n: number) => Math.ceil(n / side) * side;
  const ratio = pixels.width / pixels.height;
  if (pixels.width >= pixels.height) {
    const width = up(pixels.width);
    return resize(pixels, width, up(Math.trunc(width / ratio)), filter);
  }
  const height = up(pixels.height);
  return resize(pixels, up(Math.trunc(height * ratio)), height, filter);
}
