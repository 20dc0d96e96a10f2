// From what a message holds to pixels: the browser decodes, turns the picture the way
// its camera was held and leaves colour profiles alone, as the processors of models
// do; what is transparent lies on white. Nothing is fetched: an address is refused.

import { fromBase64, fromLatin1 } from '../core/base64';
import { SlmError } from '../core/error';
import type { Pixels } from './resize';

export type PictureSource = string | Blob | ImageBitmap;

/** Browsers' canvases hold not much more; a camera's pictures have 12 to 50 million pixels. */
export const MOST_PIXELS = 64_000_000;
/** Of the file. */
export const MOST_BYTES = 64_000_000;

/** Throws an SlmError that says what the picture should have been. */
export async function decode(source: PictureSource): Promise<Pixels> {
  if (typeof source === 'string') return decode(blobOf(source));
  if (typeof ImageBitmap !== 'undefined' && source instanceof ImageBitmap) return drawn(source);
  if (!(source instanceof Blob))
    throw new SlmError(
      'invalid_argument',
      `Expected a picture as a data: URL, a Blob or an ImageBitmap, found ${typeof source}.`,
    );
  if (source.size > MOST_BYTES) throw tooLarge(source.size);
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(source, {
      imageOrientation: 'from-image',
      colorSpaceConversion: 'none',
    });
  } catch (error) {
    throw new SlmError(
      'invalid_argument',
      `Expected a picture that this browser can decode, found ${source.type || 'bytes of no known kind'}; use JPEG, PNG or WebP.`,
      { cause: error },
    );
  }
  try {
    return drawn(bitmap);
  } finally {
    bitmap.close();
  }
}

function tooLarge(bytes: number): SlmError {
  return new SlmError(
    'invalid_argument',
    `Expected a picture of at most ${MOST_BYTES / 1e6} MB, found one of ${Math.ceil(bytes / 1e6)} MB; make it smaller.`,
  );
}

/** What a data: URL holds. Throws an SlmError for another address, and for one that is damaged or too large. */
export function blobOf(url: string): Blob {
  const found = /^data:([^,]*?)(;base64)?,/i.exec(url);
  if (found === null)
    throw new SlmError(
      'invalid_argument',
      `Expected a picture as a data: URL, a Blob or an ImageBitmap, found the address ${url.slice(0, 80)}; nothing is fetched for a message: fetch it yourself and hand over its Blob.`,
    );
  const [head, type = '', base64] = found;
  // Base64 is a third longer; what is too large is not even decoded.
  if (url.length > 1.4 * MOST_BYTES) throw tooLarge(url.length / 1.4);
  try {
    const text = decodeURIComponent(url.slice(head.length));
    return new Blob([base64 === undefined ? fromLatin1(text) : fromBase64(text)], { type });
  } catch (error) {
    throw new SlmError('invalid_argument', 'Expected a data: URL of base64, found one that is damaged.', {
      cause: error,
    });
  }
}

function drawn(bitmap: ImageBitmap): Pixels {
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS || width === 0 || height === 0)
    throw new SlmError(
      'invalid_argument',
      `Expected a picture of 1 to ${MOST_PIXELS / 1e6} million pixels, found ${width} by ${height}; make it smaller.`,
    );
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (context === null)
    throw new SlmError(
      'out_of_memory',
      `Expected room to draw a picture of ${width} by ${height} pixels, found none; make it smaller.`,
    );
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    rgb[to] = data[from]!;
    rgb[to + 1] = data[from + 1]!;
    rgb[to + 2] = data[from + 2]!;
  }
  return { width, height, rgb };
}
