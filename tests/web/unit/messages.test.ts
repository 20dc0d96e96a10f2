// What the shell takes from the frame: these shapes and no other.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFrameMessage } from '../../../web/src/seal/messages';
import { NO_PREFERENCES } from '../../../web/src/seal/preferences';

const MODELS = new Set(['smol', 'gemma']);

const OPEN = {
  type: 'open',
  id: 2,
  model: 'smol',
  verify: false,
  n_ctx: null,
  backend: 'auto',
  force: false,
};

const GOOD = [
  { type: 'ready' },
  { type: 'drawn' },
  { type: 'paper', pixels: 9874, sheets: [9, 10, 14] },
  { type: 'list', id: 1 },
  OPEN,
  { ...OPEN, n_ctx: 8192, backend: 'webgpu', force: true },
  { ...OPEN, backend: 'cpu', verify: true },
  { type: 'remove', id: 3, model: 'gemma' },
  { type: 'update', id: 5, model: 'smol' },
  { type: 'go-back', id: 6, model: 'smol' },
  { type: 'forget', id: 7, model: 'gemma' },
  { type: 'wasm', id: 4, variant: 'relaxed-mt' },
  { type: 'cancel', id: 2 },
  { type: 'unsaved', something: true },
  { type: 'keep', preferences: { ...NO_PREFERENCES, model: 'smol', theme: 'dark' } },
];

test('the vocabulary', () => {
  for (const message of GOOD) assert.equal(readFrameMessage(message, MODELS), message);
});

test('one more field is refused, whatever it says', () => {
  for (const message of GOOD) assert.equal(readFrameMessage({ ...message, text: 'a secret' }, MODELS), null);
});

test('one field less is refused', () => {
  for (const message of GOOD)
    for (const field of Object.keys(message)) {
      const less = Object.fromEntries(Object.entries(message).filter(([key]) => key !== field));
      assert.equal(readFrameMessage(less, MODELS), null);
    }
});

test('values outside the lists are refused', () => {
  const bad = [
    null,
    'ready',
    7,
    [],
    {},
    { type: 'fetch', id: 1 },
    { type: 'constructor' },
    { type: '__proto__', id: 1 },
    { type: ['ready'] },
    { ...OPEN, model: '../secret' },
    { ...OPEN, model: 'other' },
    { ...OPEN, model: { toString: () => 'smol' } },
    { ...OPEN, n_ctx: 0 },
    { ...OPEN, n_ctx: '2048' },
    { ...OPEN, backend: 'a secret' },
    { ...OPEN, backend: null },
    { ...OPEN, backend: ['cpu'] },
    { ...OPEN, force: 1 },
    { ...OPEN, verify: 'yes' },
    { type: 'wasm', id: 4, variant: 'relaxed?q=secret' },
    { type: 'paper', pixels: 0, sheets: [1, 1, 1] },
    { type: 'paper', pixels: 1.5, sheets: [1, 1, 1] },
    { type: 'paper', pixels: 2 ** 23, sheets: [1, 1, 1] },
    { type: 'paper', pixels: '9', sheets: [1, 1, 1] },
    { type: 'paper', pixels: 9 },
    { type: 'paper', pixels: 9, sheets: [1, 1] },
    { type: 'paper', pixels: 9, sheets: [1, 0, 1] },
    { type: 'paper', pixels: 9, sheets: [1, 1, 'x'] },
    { type: 'paper', pixels: 9, sheets: '111' },
    { type: 'list', id: 0 },
    { type: 'list', id: 1.5 },
    { type: 'list', id: 1e9 },
    { type: 'list', id: '1' },
    { type: 'unsaved', something: 'a secret' },
    { type: 'unsaved', something: 1 },
    { type: 'keep', preferences: { ...NO_PREFERENCES, theme: 'a secret' } },
    { type: 'keep', preferences: { ...NO_PREFERENCES, model: 'other' } },
    { type: 'keep', preferences: { ...NO_PREFERENCES, text: 'a secret' } },
    { type: 'keep', preferences: null },
  ];
  for (const message of bad) assert.equal(readFrameMessage(message, MODELS), null, JSON.stringify(message));
});
