// What an answer outlines in a picture: sixteen codes <seg000> to <seg127> are places
// in the codebook of a VQ-VAE, whose small decoder makes them a mask for the box before
// them. It is PaliGemma's, which its makers published as vae-oid.npz and `slmweb convert
// --masks` put beside the encoder of pictures. Forty million products make a mask, so
// plain loops do; py/slmweb/vision/masks.py is the same. It knows numbers alone: where
// the weights lie and who draws is other people's business.

/** Side of a mask, in pixels. */
export const MASK_SIDE = 64;
/** Of a mask: 4 x 4, row by row. */
export const N_CODES = 16;
export const N_ENTRIES = 128;

const CODE = 512;
const WIDTH = 128;
/** Channels behind each transposed convolution, which doubles the side. */
const DOUBLED = [128, 64, 32, 16] as const;

/** By name: the modules of the decoder as PyTorch numbers them, and what their weights are like. */
export const SHAPES: ReadonlyMap<string, readonly number[]> = shapes();

export type MaskWeights = ReadonlyMap<string, Float32Array>;

/** Channels of a square, one behind the other: (n, side, side). */
interface Square {
  readonly values: Float32Array;
  readonly n: number;
  readonly side: number;
}

function shapes(): Map<string, readonly number[]> {
  const found = new Map<string, readonly number[]>([['codebook', [N_ENTRIES, CODE]]]);
  const add = (at: string, n_bias: number, ...shape: readonly number[]) => {
    found.set(`decoder.${at}.weight`, shape).set(`decoder.${at}.bias`, [n_bias]);
  };
  add('0', WIDTH, WIDTH, CODE, 1, 1);
  for (const block of [2, 3])
    for (const [at, side] of [
      [0, 3],
      [2, 3],
      [4, 1],
    ] as const)
      add(`${block}.net.${at}`, WIDTH, WIDTH, WIDTH, side, side);
  let n_in: number = WIDTH;
  for (const [i, n_out] of DOUBLED.entries()) {
    add(`${4 + 2 * i}`, n_out, n_in, n_out, 4, 4);
    n_in = n_out;
  }
  add('12', 1, 1, n_in, 1, 1);
  return found;
}

/** Whether they are those of one outline. */
export function areCodes(codes: readonly number[]): boolean {
  return (
    codes.length === N_CODES && codes.every((code) => Number.isInteger(code) && code >= 0 && code < N_ENTRIES)
  );
}

/** The mask of sixteen codes, (64, 64), from about -1 (outside) to 1 (inside). */
export function decodeMask(weights: MaskWeights, codes: readonly number[]): Float32Array<ArrayBuffer> {
  const codebook = weights.get('codebook')!;
  const code = new Float32Array(CODE * N_CODES);
  for (const [at, entry] of codes.entries())
    for (let c = 0; c < CODE; c++) code[c * N_CODES + at] = codebook[entry * CODE + c]!;
  let x = positive(convolved(weights, '0', { values: code, n: CODE, side: 4 }));
  for (const block of [2, 3]) {
    const inner = positive(convolved(weights, `${block}.net.0`, x));
    const y = convolved(weights, `${block}.net.4`, positive(convolved(weights, `${block}.net.2`, inner)));
    for (let i = 0; i < y.values.length; i++) y.values[i]! += x.values[i]!;
    x = y;
  }
  for (const i of DOUBLED.keys()) x = positive(doubled(weights, `${4 + 2 * i}`, x));
  return new Float32Array(convolved(weights, '12', x).values);
}

function positive(square: Square): Square {
  const { values } = square;
  for (let i = 0; i < values.length; i++) values[i] = Math.max(0, values[i]!);
  return square;
}

/** The same side; zeros are around the square. */
function convolved(weights: MaskWeights, at: string, { values, n, side }: Square): Square {
  const weight = weights.get(`decoder.${at}.weight`)!;
  const bias = weights.get(`decoder.${at}.bias`)!;
  const reach = Math.sqrt(weight.length / bias.length / n);
  const half = reach >> 1;
  const out = new Float32Array(bias.length * side * side);
  for (let o = 0, w = 0; o < bias.length; o++) {
    const plane = out.subarray(o * side * side, (o + 1) * side * side).fill(bias[o]!);
    for (let i = 0; i < n; i++) {
      const from = i * side * side;
      for (let dy = -half; dy <= half; dy++) {
        for (let dx = -half; dx <= half; dx++, w++) {
          const factor = weight[w]!;
          const right = Math.min(side, side - dx);
          for (let y = Math.max(0, -dy); y < Math.min(side, side - dy); y++) {
            const row = from + (y + dy) * side + dx;
            for (let x = Math.max(0, -dx); x < right; x++) plane[y * side + x]! += factor * values[row + x]!;
          }
        }
      }
    }
  }
  return { values: out, n: bias.length, side };
}

/** Twice the side: a pixel adds to the 4 x 4 around its place; what falls outside is cut off. */
function doubled(weights: MaskWeights, at: string, { values, n, side }: Square): Square {
  const weight = weights.get(`decoder.${at}.weight`)!;
  const bias = weights.get(`decoder.${at}.bias`)!;
  const wide = 2 * side;
  const out = new Float32Array(bias.length * wide * wide);
  for (let o = 0; o < bias.length; o++) {
    const plane = out.subarray(o * wide * wide, (o + 1) * wide * wide).fill(bias[o]!);
    for (let i = 0; i < n; i++) {
      const from = i * side * side;
      let w = 16 * (i * bias.length + o);
      for (let dy = -1; dy < 3; dy++) {
        for (let dx = -1; dx < 3; dx++, w++) {
          const factor = weight[w]!;
          const [left, right] = within(dx, side);
          const [top, bottom] = within(dy, side);
          for (let y = top; y < bottom; y++) {
            const row = (2 * y + dy) * wide + dx;
            for (let x = left; x < right; x++) plane[row + 2 * x]! += factor * values[from + y * side + x]!;
          }
        }
      }
    }
  }
  return { values: out, n: bias.length, side: wide };
}

/** Those places x of which 2 * x + d lies in a square of twice the side. */
function within(d: number, side: number): readonly [begin: number, end: number] {
  return [d < 0 ? 1 : 0, d > 1 ? side - 1 : side];
}

/** A mask as it lies in a picture: (height, width) from (left, top) on. Above 0 is inside. */
export interface PlacedMask {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly values: Float32Array;
}

/** The mask of a box, whose sides are shares of a picture's, enlarged bilinearly to its pixels. */
export function placeMask(
  mask: Float32Array,
  box: { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number },
  width: number,
  height: number,
): PlacedMask {
  const columns = sampled(box.left, box.right, width);
  const rows = sampled(box.top, box.bottom, height);
  const values = new Float32Array(rows.at.length * columns.at.length);
  let i = 0;
  for (const y of rows.at) {
    const above = Math.min(Math.floor(y), MASK_SIDE - 2);
    for (const x of columns.at) {
      const before = Math.min(Math.floor(x), MASK_SIDE - 2);
      const corner = above * MASK_SIDE + before;
      const upper = mix(mask[corner]!, mask[corner + 1]!, x - before);
      const lower = mix(mask[corner + MASK_SIDE]!, mask[corner + MASK_SIDE + 1]!, x - before);
      values[i++] = mix(upper, lower, y - above);
    }
  }
  return {
    left: columns.first,
    top: rows.first,
    width: columns.at.length,
    height: rows.at.length,
    values,
  };
}

const mix = (a: number, b: number, share: number): number => a + (b - a) * share;

/** Those of `n` pixels whose middles lie between two shares, and where in the mask they are. */
function sampled(start: number, end: number, n: number): { readonly first: number; readonly at: number[] } {
  const first = Math.ceil(start * n - 0.5);
  const step = MASK_SIDE / ((end - start) * n);
  const at = Array.from({ length: Math.max(0, Math.ceil(end * n - 0.5) - first) }, (_, i) =>
    Math.min(MASK_SIDE - 1, Math.max(0, (first + i + 0.5 - start * n) * step - 0.5)),
  );
  return { first, at };
}
