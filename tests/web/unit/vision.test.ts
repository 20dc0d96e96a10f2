// Pictures before the encoder: the squares and texts that transformers' own processors
// make of the same pictures, and Pillow's filters to the last bit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Detail, PROJECTORS, type ProjectorName } from '../../../web/src/vision/projectors';
import { crop, type Pixels, resize } from '../../../web/src/vision/resize';
import squaresGolden from '../../goldens/squares.json';

interface Case {
  readonly projector: ProjectorName;
  readonly detail: Detail;
  readonly width: number;
  readonly height: number;
  readonly squares: readonly string[];
  readonly text: string | null;
}

const golden = squaresGolden as {
  readonly side: number;
  readonly n_tokens: number;
  readonly cases: readonly Case[];
};

/** As make_squares.py draws it. */
function drawn(width: number, height: number): Pixels {
  const rgb = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++)
        rgb[3 * (y * width + x) + c] =
          Math.floor((x * x * 3 + y * y * 5 + x * y * (7 + c) + 31 * c) / 4) % 256;
  return { width, height, rgb };
}

for (const { projector, detail, width, height, squares, text } of golden.cases)
  test(`${projector}, ${detail}: ${width}x${height}`, () => {
    const shape = { projector, image_size: golden.side, n_tokens: golden.n_tokens };
    const laid = PROJECTORS[projector].lay(drawn(width, height), shape, detail);
    assert.equal(laid.squares.length, squares.length);
    for (const [i, square] of laid.squares.entries()) {
      const right = Uint8Array.from(atob(squares[i]!), (unit) => unit.charCodeAt(0));
      assert.equal(square.length, right.length);
      const worst = right.reduce((most, value, k) => Math.max(most, Math.abs(value - square[k]!)), 0);
      assert.equal(worst, 0, `square ${i}`);
    }
    if (text !== null) assert.equal(laid.text, text);
    const seen = laid.text.split(PROJECTORS[projector].soft).length - 1;
    assert.equal(seen, squares.length * golden.n_tokens);
  });

test('a crop at the edge is as large as what is there', () => {
  const { width, height, rgb } = crop(drawn(10, 6), 7, 4, 5, 5);
  assert.deepEqual([width, height], [3, 2]);
  assert.deepEqual([...rgb.subarray(0, 3)], [...drawn(10, 6).rgb.subarray(3 * 47, 3 * 48)]);
});

test('a picture of its own size is left as it is', () => {
  const picture = drawn(9, 5);
  assert.equal(resize(picture, 9, 5, 'lanczos').rgb, picture.rgb);
});
