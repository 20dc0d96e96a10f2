// The decoder of masks against PyTorch's convolutions: tests/goldens/tiny_masks.py draws
// the same weights, and wrote what they make of two outlines.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { areCodes, decodeMask, MASK_SIDE, placeMask, SHAPES } from '../../../web/src/vision/masks';
import golden from '../../goldens/masks.json';

/** As tiny_masks.py's: integers that any language counts alike. */
function noise(name: string, n: number, gain: number): Float32Array {
  let seed = 2166136261;
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 16777619) >>> 0;
  return Float32Array.from({ length: n }, (_, i) => {
    let h = (Math.imul(i, 2654435761) + seed) >>> 0;
    for (const shift of [16, 13]) h = Math.imul(h ^ (h >>> shift), 2246822519) >>> 0;
    return ((h >>> 8) / 2 ** 23 - 1) * gain;
  });
}

function weights(): Map<string, Float32Array> {
  const found = new Map<string, Float32Array>();
  for (const [name, shape] of SHAPES) {
    const n = shape.reduce((product, side) => product * side, 1);
    const doubles = shape[2] === 4;
    const n_in = doubles ? 4 * shape[0]! : n / shape[0]!;
    const gain = name === 'codebook' ? 1 : shape.length === 1 ? 0.25 : Math.sqrt(6 / n_in);
    found.set(name, noise(name.replace(/^decoder\./, ''), n, gain));
  }
  return found;
}

test('a mask is what PyTorch makes of its codes', () => {
  const drawn = weights();
  for (const { codes, values } of golden.masks) {
    const mask = decodeMask(drawn, codes);
    assert.equal(mask.length, MASK_SIDE ** 2);
    assert.equal(values.length > 500 && Math.max(...values) - Math.min(...values) > 1, true);
    const most = Math.max(...values.map((value, i) => Math.abs(value - mask[7 * i]!)));
    assert.equal(most < 2e-5, true, `off by ${most}`);
  }
});

test('codes are sixteen places in the codebook', () => {
  const codes = golden.masks[0]!.codes;
  assert.equal(areCodes(codes), true);
  for (const other of [
    codes.slice(1),
    [...codes.slice(1), 128],
    [...codes.slice(1), -1],
    [...codes.slice(1), 0.5],
  ])
    assert.equal(areCodes(other), false);
});

test('a mask lies in its box, and its edges where those of the box are', () => {
  const half = Float32Array.from({ length: MASK_SIDE ** 2 }, (_, i) =>
    i % MASK_SIDE < MASK_SIDE / 2 ? 1 : -1,
  );
  const box = { left: 0.25, top: 0.5, right: 0.75, bottom: 1 };
  const { left, top, width, height, values } = placeMask(half, box, 400, 300);
  assert.deepEqual([left, top, width, height], [100, 150, 200, 150]);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) assert.equal(values[y * width + x]! > 0, x < 100);
  const nothing = placeMask(half, { left: 0.5, top: 0.5, right: 0.5009765625, bottom: 0.6 }, 10, 10);
  assert.equal(nothing.width * nothing.height, 0);
});
