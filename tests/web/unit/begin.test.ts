// What a page does about a model before anybody has said anything.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginning, type Line } from '../../../web/src/chat/begin';
import type { ModelEntry } from '../../../web/src/seal/protocol';

const HOME: Line = { metered: false, saveData: false };

function entry(facts: Partial<ModelEntry>): ModelEntry {
  return {
    name: 'one',
    title: 'One',
    version: null,
    architecture: 'llama',
    parameters: 0,
    size: 98e6,
    memory: null,
    license: null,
    license_url: null,
    source: null,
    good_for: null,
    kept: 0,
    stored: false,
    arrived: 0,
    halted: false,
    update: null,
    previous: null,
    refused: null,
    ...facts,
  };
}

function begins(models: readonly Partial<ModelEntry>[], line: Partial<Line> = {}): string {
  const found = beginning(models.map(entry), { ...HOME, ...line });
  if (found === null) return 'choose';
  return found.kind === 'ask' ? `ask ${found.reason}` : `${found.kind} ${found.entry.name}`;
}

test('a small download begins, a large one asks', () => {
  assert.equal(begins([{ size: 150e6 }]), 'open one');
  assert.equal(begins([{ size: 151e6 }]), 'ask large');
});

test('a guard that is not here counts, also where the model is', () => {
  const begun = (model: Partial<ModelEntry>, guard: Partial<ModelEntry>) => {
    const found = beginning([entry({ size: 98e6, ...model })], HOME, entry({ size: 98e6, ...guard }));
    return found?.kind === 'ask' ? `ask ${found.reason}` : found?.kind;
  };
  assert.equal(begun({}, {}), 'ask large');
  assert.equal(begun({}, { stored: true }), 'open');
  assert.equal(begun({ stored: true }, {}), 'open');
  assert.equal(begun({ stored: true }, { size: 1.7e9 }), 'ask large');
  assert.equal(begun({ stored: true }, { size: 1.7e9, stored: true }), 'open');
});

test('a line that may cost money asks for any size', () => {
  assert.equal(begins([{ size: 1e6 }], { metered: true }), 'ask metered');
  assert.equal(begins([{ size: 1e6 }], { saveData: true }), 'ask saveData');
  assert.equal(begins([{ size: 98e6, arrived: 50e6 }], { metered: true }), 'ask metered');
});

test('what is on the device opens on any line', () => {
  const line = { metered: true, saveData: true };
  assert.equal(begins([{}, { name: 'two', stored: true, size: 2e9 }], line), 'open two');
});

test('what is half here goes on, among several too, unless it was stopped', () => {
  assert.equal(begins([{ size: 253e6, arrived: 1 }]), 'open one');
  assert.equal(begins([{}, { name: 'two', arrived: 1 }]), 'open two');
  assert.equal(begins([{ arrived: 1, halted: true }]), 'halted one');
  assert.equal(begins([{}, { name: 'two', arrived: 1, halted: true }]), 'halted two');
});

test('what was removed, or stopped before it began, is not fetched, and is one among several', () => {
  assert.equal(begins([{ halted: true }]), 'halted one');
  assert.equal(begins([{}, { name: 'two', halted: true }]), 'choose');
});

test('several models, or none, are a choice', () => {
  assert.equal(begins([{}, { name: 'two' }]), 'choose');
  assert.equal(begins([]), 'choose');
});
