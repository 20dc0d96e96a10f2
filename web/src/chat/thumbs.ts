// Pictures on the page, drawn on canvases: nothing gets an address, so that a picture
// is gone with the conversation that had it. It knows bytes and boxes, not models.

import { MOST_PIXELS } from '../vision/decode';
import { placeMask } from '../vision/masks';
import { h } from './dom';

/** A picture in a conversation is drawn with so many pixels a side at most. */
const DRAWN_PIXELS = 1024;

/** A part of a picture, in shares of its sides, and what it is. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly label: string;
}

/** A box and, once it is known, the mask of what is in it: above 0 is inside. */
export interface MaskedBox extends Box {
  readonly mask: Float32Array | null;
}

/** In turn, of masks; told apart by whoever sees few colours, too (Okabe and Ito 2008). */
const SHADES = [
  [86, 180, 233],
  [230, 159, 0],
  [0, 158, 115],
  [204, 121, 167],
  [240, 228, 66],
  [213, 94, 0],
] as const;
const AROUND = [-1, 0, 1].flatMap((dy) => [-1, 0, 1].map((dx) => [dx, dy] as const));

let drawing: Promise<void> = Promise.resolve();

/** A picture as it is shown; `label` is for those who do not see it. */
export function pictureCanvas(
  picture: Blob,
  label: string,
  boxes: readonly MaskedBox[] = [],
  /** Whether it is still to be seen, asked when its turn comes. */
  wanted: () => boolean = () => true,
): HTMLCanvasElement {
  const canvas = h('canvas', { class: 'picture', role: 'img', 'aria-label': label, width: 1, height: 1 });
  // One at a time: a photograph takes tens of megabytes until it is drawn.
  drawing = drawing.then(() => (wanted() ? draw(canvas, picture, boxes) : undefined));
  return canvas;
}

/** Whether the browser can show it, and the model be shown it. */
export async function isPicture(file: Blob): Promise<boolean> {
  try {
    const bitmap = await createImageBitmap(file);
    const fits = bitmap.width * bitmap.height <= MOST_PIXELS;
    bitmap.close();
    return fits;
  } catch {
    return false;
  }
}

async function draw(canvas: HTMLCanvasElement, picture: Blob, boxes: readonly MaskedBox[]): Promise<void> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(picture, { imageOrientation: 'from-image' });
  } catch {
    return; // one from a file that only says that it is a picture: its label stands for it
  }
  const scale = Math.min(1, DRAWN_PIXELS / Math.max(bitmap.width, bitmap.height));
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  const context = canvas.getContext('2d')!;
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  for (const [i, box] of boxes.entries()) if (box.mask !== null) shade(context, box, box.mask, i);
  for (const [i, box] of boxes.entries()) frame(context, box, i);
}

/** Half of a colour over what is inside, and the same light within dark around it. */
function shade(context: CanvasRenderingContext2D, box: Box, mask: Float32Array, index: number): void {
  const placed = placeMask(mask, box, context.canvas.width, context.canvas.height);
  const { left, top, width, height, values } = placed;
  if (width === 0 || height === 0) return;
  const image = new ImageData(width, height);
  const reach = Math.max(1, Math.round(lineOf(context) / 2));
  const inside = (x: number, y: number) =>
    x >= 0 && x < width && y >= 0 && y < height && values[y * width + x]! > 0;
  const [red, green, blue] = SHADES[index % SHADES.length]!;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 4) {
      const here = inside(x, y);
      const border = AROUND.some(([dx, dy]) => inside(x + dx * reach, y + dy * reach) !== here);
      if (border) image.data.set(here ? [255, 255, 255, 255] : [0, 0, 0, 255], at);
      else if (here) image.data.set([red, green, blue, 128], at);
    }
  }
  const layer = new OffscreenCanvas(width, height);
  layer.getContext('2d')!.putImageData(image, 0, 0);
  context.drawImage(layer, left, top);
}

/** Thickness of a line, in pixels of the canvas. */
function lineOf({ canvas: { width, height } }: CanvasRenderingContext2D): number {
  return Math.max(2, Math.max(width, height) / 320);
}

/** Light within dark, so that it is seen on any picture. */
function frame(context: CanvasRenderingContext2D, box: Box, index: number): void {
  const { width, height } = context.canvas;
  const line = lineOf(context);
  const [x, y] = [box.left * width, box.top * height];
  const [w, tall] = [(box.right - box.left) * width, (box.bottom - box.top) * height];
  for (const [thickness, colour] of [
    [2 * line, '#000'],
    [line, '#fff'],
  ] as const) {
    context.lineWidth = thickness;
    context.strokeStyle = colour;
    context.strokeRect(x, y, w, tall);
  }
  const size = Math.max(12, 7 * line);
  const words = `${index + 1} ${box.label}`.trim();
  context.font = `600 ${size}px system-ui, sans-serif`;
  const wide = context.measureText(words).width + size;
  const left = Math.max(0, Math.min(x, width - wide));
  const top = Math.max(0, y - 1.5 * size);
  context.fillStyle = '#000';
  context.fillRect(left, top, wide, 1.5 * size);
  context.fillStyle = '#fff';
  context.textBaseline = 'middle';
  context.fillText(words, left + size / 2, top + 0.75 * size);
}
