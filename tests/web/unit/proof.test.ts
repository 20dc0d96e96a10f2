// What a checksum must notice of weights on their way to a device: any word, and any
// that changes places, at the distances and with the differences that weights have.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checksum } from '../../../web/src/gpu/proof';

const N = 1 << 16;
/** Floats of few bits, as scales are. */
const words = Uint32Array.from(
  { length: N },
  (_, i) => 0x3f800000 + ((Math.imul(i + 1, 0x9e3779b1) >>> 20) << 20),
);
const SUM = checksum(words, 0);

const changed = (change: (copy: Uint32Array) => void): number => {
  const copy = words.slice();
  change(copy);
  return checksum(copy, 0);
};

test('pieces add up, and what was never written adds nothing', () => {
  assert.equal((checksum(words.subarray(0, 100), 0) + checksum(words.subarray(100), 100)) | 0, SUM);
  assert.equal(checksum(new Uint32Array(100), 7), 0);
});

test('a bit that is another is noticed', () => {
  for (let bit = 0; bit < 32; bit++)
    assert.notEqual(
      changed((copy) => {
        copy[1000 + bit]! ^= 1 << bit;
      }),
      SUM,
    );
});

test('words that change places are noticed, also when only their sign differs', () => {
  for (let distance = 1; distance < N; distance *= 2)
    assert.notEqual(
      changed((copy) => {
        copy[distance] = copy[0]! ^ 0x80000000;
      }),
      changed((copy) => {
        copy[distance] = copy[0]!;
        copy[0]! ^= 0x80000000;
      }),
      `${distance}`,
    );
});

test('blocks that move are noticed', () => {
  for (let size = 64; size < N; size *= 2) {
    const shifted = changed((copy) => copy.copyWithin(size, 0));
    const swapped = changed((copy) => {
      copy.copyWithin(0, size, 2 * size);
      copy.set(words.subarray(0, size), size);
    });
    assert.notEqual(shifted, SUM, `${size}`);
    assert.notEqual(swapped, SUM, `${size}`);
  }
});
