// A known answer is held to the bound, and to nothing that looks like a number.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KnownAnswer } from '../../../web/src/api/backend';
import { compare } from '../../../web/src/core/known_answer';

const ANSWER: KnownAnswer = {
  tokens: [1, 2],
  ids: [3, 0],
  logits: [8, 4],
  scale: 2,
  bound: 0.01,
  f16_bound: 0.02,
  arithmetic: 'exact',
};
/** As the answer has it; the others lie below. */
const RIGHT = [4, 3.9, -700, 8, 0];

const found = (change: Record<number, number> = {}, bound?: number) =>
  compare(
    ANSWER,
    Float32Array.from(RIGHT, (value, i) => change[i] ?? value),
    bound,
  );

test('the same logits have no error', () => {
  const { error, bound, passed } = found();
  assert.deepEqual({ error, bound, passed }, { error: 0, bound: 0.01, passed: true });
});

test('the greatest difference is measured in the scale, and named', () => {
  const near = found({ 0: 4.0078125, 3: 7.984375 });
  assert.equal(near.error, 0.0078125);
  assert.equal(near.passed, true);
  assert.deepEqual(near.worst, { id: 3, expected: 8, found: 7.984375 });
  const far = found({ 0: 4.03125 });
  assert.equal(far.error, 0.015625);
  assert.equal(far.passed, false);
  assert.deepEqual(far.worst, { id: 0, expected: 4, found: 4.03125 });
  const { bound, passed } = found({ 0: 4.03125 }, ANSWER.f16_bound);
  assert.deepEqual([bound, passed], [0.02, true]);
});

test('an id that is not listed may not lie above those that are', () => {
  assert.equal(found({ 1: 4 }).error, 0);
  const { error, passed, worst } = found({ 1: 5 });
  assert.equal(error, 0.5);
  assert.equal(passed, false);
  assert.deepEqual(worst, { id: 1, expected: 4, found: 5 });
});

test('what is no number fails wherever it is', () => {
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    for (const id of RIGHT.keys()) {
      const { error, passed, worst } = found({ [id]: value });
      assert.deepEqual([error, passed, worst.id], [Number.POSITIVE_INFINITY, false, id]);
    }
});

test('logits of another vocabulary fail', () => {
  const { error, passed } = compare(ANSWER, new Float32Array([4, 3.9]));
  assert.deepEqual([error, passed], [Number.POSITIVE_INFINITY, false]);
});
