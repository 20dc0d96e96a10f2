// Resizes pictures of 8-bit RGB exactly as Pillow does, because what models learned
// from was resized by it: a separable filter that widens where it shrinks, weights
// of 22 fractional bits, each pass rounded to 8 bits. What browsers do is not
// specified and differs between them. It knows numbers, not what they show.

/** Rows of red, green and blue, 0 to 255 each: (height, width, 3). */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly rgb: Uint8Array | Uint8ClampedArray;
}

export type Filter = 'bilinear' | 'bicubic' | 'lanczos';

interface Kernel {
  /** Half its width, in pixels. */
  readonly support: number;
  readonly at: (x: number) => number;
}

const KERNELS: Readonly<Record<Filter, Kernel>> = {
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  // Keys' cubic with a = -1/2.
  bicubic: {
    support: 2,
    at: (signed) => {
      const x = Math.abs(signed);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
    },
  },
  lanczos: { support: 3, at: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

/** 8 bits of a value and 2 of headroom leave so many of a 32-bit sum. */
const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

/** The same picture with other sides. */
export function resize(pixels: Pixels, width: number, height: number, filter: Filter): Pixels {
  const kernel = KERNELS[filter];
  const wide = pixels.width === width ? pixels : across(pixels, taps(pixels.width, width, kernel));
  return wide.height === height ? wide : down(wide, taps(wide.height, height, kernel));
}

/** The part of a picture that begins at (left, top) and ends with the picture at the latest. */
export function crop(pixels: Pixels, left: number, top: number, width: number, height: number): Pixels {
  const right = Math.min(left + width, pixels.width);
  const bottom = Math.min(top + height, pixels.height);
  const rgb = new Uint8Array(3 * (right - left) * (bottom - top));
  for (let y = top, at = 0; y < bottom; y++) {
    const row = pixels.rgb.subarray(3 * (y * pixels.width + left), 3 * (y * pixels.width + right));
    rgb.set(row, at);
    at += row.length;
  }
  return { width: right - left, height: bottom - top, rgb };
}

/** What each new pixel of a line is made of: `count` old ones from `first` on, by their weights. */
interface Taps {
  readonly n: number;
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** (n, stride), in units of 2^-22. */
  readonly weights: Int32Array;
  readonly stride: number;
}

function taps(from: number, to: number, { support, at }: Kernel): Taps {
  const scale = from / to;
  const widening = Math.max(scale, 1);
  const reach = support * widening;
  const stride = 2 * Math.ceil(reach) + 1;
  const first = new Int32Array(to);
  const count = new Int32Array(to);
  const weights = new Int32Array(to * stride);
  for (let i = 0; i < to; i++) {
    const center = (i + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(center - reach + 0.5));
    const end = Math.min(from, Math.trunc(center + reach + 0.5));
    const exact = Array.from({ length: end - begin }, (_, j) => at((begin + j - center + 0.5) / widening));
    const sum = exact.reduce((total, weight) => total + weight, 0);
    first[i] = begin;
    count[i] = end - begin;
    for (const [j, weight] of exact.entries()) {
      const scaled = (weight / sum) * 2 ** FRACTION_BITS;
      weights[i * stride + j] = Math.trunc(scaled + Math.sign(scaled) / 2);
    }
  }
  return { n: to, first, count, weights, stride };
}

function across({ width, height, rgb }: Pixels, { n, first, count, weights, stride }: Taps): Pixels {
  const out = new Uint8ClampedArray(3 * n * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < n; x++, at += 3) {
      let from = 3 * (y * width + first[x]!);
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      for (let k = x * stride, end = k + count[x]!; k < end; k++, from += 3) {
        const weight = weights[k]!;
        red = (red + Math.imul(rgb[from]!, weight)) | 0;
        green = (green + Math.imul(rgb[from + 1]!, weight)) | 0;
        blue = (blue + Math.imul(rgb[from + 2]!, weight)) | 0;
      }
      out[at] = red >> FRACTION_BITS;
      out[at + 1] = green >> FRACTION_BITS;
      out[at + 2] = blue >> FRACTION_BITS;
    }
  }
  return { width: n, height, rgb: out };
}

function down({ width, rgb }: Pixels, { n, first, count, weights, stride }: Taps): Pixels {
  const row = 3 * width;
  const out = new Uint8ClampedArray(row * n);
  const sums = new Int32Array(row);
  for (let y = 0; y < n; y++) {
    sums.fill(HALF);
    for (let j = 0; j < count[y]!; j++) {
      const weight = weights[y * stride + j]!;
      const from = (first[y]! + j) * row;
      for (let x = 0; x < row; x++) sums[x] = (sums[x]! + Math.imul(rgb[from + x]!, weight)) | 0;
    }
    for (let x = 0; x < row; x++) out[y * row + x] = sums[x]! >> FRACTION_BITS;
  }
  return { width, height: n, rgb: out };
}

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
