// What the page that looks inside decides about features without a browser.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { InspectedToken } from '../../../web/src/api/types';
import { freeName } from '../../../web/src/inspect/choose_sae';
import { greatest, usualOf } from '../../../web/src/inspect/reader';
import { search } from '../../../web/src/inspect/search';
import { round } from '../../../web/src/inspect/steering';

const LABELS = [
  { feature: 2, label: 'a concatenated list' },
  { feature: 7, label: 'Cats and dogs' },
  { feature: 40, label: 'cats, of the wild' },
];

test('labels are found by all their words, those first where words begin so', () => {
  const found = (wanted: string) => search(LABELS, wanted, 50).map(({ feature }) => feature);
  assert.deepEqual(found('cat'), [7, 40, 2]);
  assert.deepEqual(found('CAT wild'), [40]);
  assert.deepEqual(found('horse'), []);
});

test('a number is a feature, whether it has a label or not', () => {
  assert.deepEqual(search(LABELS, '7', 50), [LABELS[1]]);
  assert.deepEqual(search(LABELS, '8', 50), [{ feature: 8, label: null }]);
  assert.deepEqual(search(LABELS, '50', 50), []);
  assert.deepEqual(search([], '007', 50), [{ feature: 7, label: null }]);
  const both = [{ feature: 1, label: '2 is even' }];
  assert.deepEqual(
    search(both, '2', 50).map(({ feature }) => feature),
    [2, 1],
  );
});

test('the first token sets no scale where there are others', () => {
  assert.equal(greatest([1500, 3, 0, 9]), 9);
  assert.equal(greatest([1500]), 1500);
  assert.equal(greatest([1500, 0]), 0);
  const token = (activation: number): InspectedToken => ({
    ...{ id: 1, token: 'a', bytes: [97], layers: [] },
    features: activation === 0 ? [] : [{ feature: 1, activation, label: null }],
  });
  assert.equal(usualOf([token(1500), token(2), token(8), token(3)]), 3);
  assert.equal(usualOf([token(4)]), 4);
  assert.equal(usualOf([token(4), token(0)]), 0);
});

test('a strength begins with a number of one digit', () => {
  for (const [value, expected] of [
    [98.6, 100],
    [0.034, 0.03],
    [1, 1],
    [151, 200],
    [7.4, 7],
  ] as const)
    assert(Math.abs(round(value) - expected) < 1e-9, `${value}`);
});

test('a file gets a name that no other one has', () => {
  assert.equal(freeName('layer12.GGUF', []), 'layer12');
  assert.equal(freeName('a.sae.gguf', ['a.sae', 'a.sae 2']), 'a.sae 3');
  assert.equal(freeName('.gguf', []), 'file');
  assert(freeName(`${'x'.repeat(200)}.gguf`, []).length <= 100);
});
