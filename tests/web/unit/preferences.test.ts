// What the shell keeps for the frame: values of its lists, and no text at all.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FORMS } from '../../../web/src/generated/gpu';
import { GRIDS, NO_PREFERENCES, onGrid, readPreferences } from '../../../web/src/seal/preferences';

const MODELS = new Set(['smol', 'gemma']);

test('what is of the lists is taken as it is', () => {
  const good = [
    NO_PREFERENCES,
    { ...NO_PREFERENCES, theme: 'dark', n_ctx: 8192, threads: 8, backend: 'cpu', drop_oldest: true },
    { ...NO_PREFERENCES, backend: 'webgpu' },
    ...FORMS.map((matvec) => ({ ...NO_PREFERENCES, matvec })),
    { ...NO_PREFERENCES, model: 'smol', temperature: 0.75, top_p: 0.05, top_k: 0, max_tokens: 32768 },
  ];
  for (const one of good) assert.equal(readPreferences(one, MODELS), one);
});

test('every point of every grid is a value, and nothing between two points is', () => {
  for (const [name, { min, max, step }] of Object.entries(GRIDS)) {
    for (let i = Math.round(min / step); i <= Math.round(max / step); i++) {
      const value = onGrid(name as keyof typeof GRIDS, i * step);
      assert(readPreferences({ ...NO_PREFERENCES, [name]: value }, MODELS), `${name} ${value}`);
      const between = value + step / 3;
      assert.equal(readPreferences({ ...NO_PREFERENCES, [name]: between }, MODELS), null);
    }
  }
});

test('anything else is no choice', () => {
  const { theme: _, ...less } = NO_PREFERENCES;
  const bad = [
    null,
    'dark',
    [],
    {},
    less,
    { ...NO_PREFERENCES, note: 'a secret' },
    { ...NO_PREFERENCES, theme: 'a secret' },
    { ...NO_PREFERENCES, theme: ['dark'] },
    { ...NO_PREFERENCES, n_ctx: 2049 },
    { ...NO_PREFERENCES, n_ctx: '2048' },
    { ...NO_PREFERENCES, threads: 0 },
    { ...NO_PREFERENCES, threads: 9 },
    { ...NO_PREFERENCES, backend: 'auto' },
    { ...NO_PREFERENCES, backend: 'cuda' },
    { ...NO_PREFERENCES, matvec: 'a secret' },
    { ...NO_PREFERENCES, matvec: 0 },
    { ...NO_PREFERENCES, matvec: ['sweep'] },
    { ...NO_PREFERENCES, drop_oldest: 1 },
    { ...NO_PREFERENCES, model: 'other' },
    { ...NO_PREFERENCES, temperature: 0.123456789 },
    { ...NO_PREFERENCES, temperature: 2.05 },
    { ...NO_PREFERENCES, temperature: Number.NaN },
    { ...NO_PREFERENCES, temperature: Number.POSITIVE_INFINITY },
    { ...NO_PREFERENCES, temperature: '0.5' },
    { ...NO_PREFERENCES, max_tokens: 33 },
    { ...NO_PREFERENCES, top_k: { valueOf: () => 7 } },
  ];
  for (const one of bad) assert.equal(readPreferences(one, MODELS), null, JSON.stringify(one));
});
