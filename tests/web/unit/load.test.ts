// How tensors are cut into units of work, and what the meter makes of bytes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LoadProgress } from '../../../web/src/api/types';
import type { TensorFacts } from '../../../web/src/core/model';
import { Meter } from '../../../web/src/store/meter';
import { pieceBytesFor, planUnits } from '../../../web/src/worker/load';

function tensor(file: number, offset: number, size: number): TensorFacts {
  return { name: `${file}:${offset}`, file, type: 'F32', shape: [size], offset, size, granule: 4 };
}

test('small neighbours are read together, large tensors alone, the largest first', () => {
  const tensors = [
    tensor(0, 0, 100),
    tensor(0, 128, 100),
    tensor(0, 256, 5000),
    tensor(0, 5280, 10),
    tensor(1, 0, 50),
  ];
  const units = planUnits(tensors, 1000);
  assert.deepEqual(
    units.map(({ file, offset, size, tensors }) => [file, offset, size, tensors.map(({ index }) => index)]),
    [
      [0, 256, 5000, [2]],
      [0, 0, 228, [0, 1]],
      [1, 0, 50, [4]],
      [0, 5280, 10, [3]],
    ],
  );
});

test('every tensor is in exactly one unit, whatever their order', () => {
  const tensors = Array.from({ length: 50 }, (_, i) =>
    tensor(i % 2, Math.floor(i / 2) * 700, 1 + ((i * 37) % 700)),
  );
  const units = planUnits([...tensors].reverse(), 2000);
  const seen = units.flatMap((unit) => unit.tensors.map(({ index }) => index)).sort((a, b) => a - b);
  assert.deepEqual(seen, [...tensors.keys()]);
  for (const unit of units)
    for (const { offset, size } of unit.tensors)
      assert(offset >= unit.offset && offset + size <= unit.offset + unit.size);
});

test('a gap is not read', () => {
  assert.equal(planUnits([tensor(0, 0, 10), tensor(0, 100_000, 10)], 1_000_000).length, 2);
});

test('staging memory is shared out', () => {
  const MIB = 1024 * 1024;
  assert.deepEqual([1, 2, 4, 8, 64].map(pieceBytesFor), [8 * MIB, 8 * MIB, 4 * MIB, 2 * MIB, 2 * MIB]);
});

test('the rate is that of the last seconds, and what was there before is no speed', () => {
  const reports: LoadProgress[] = [];
  let now = 0;
  const meter = new Meter(
    (report) => reports.push(report),
    () => now,
  );
  meter.start('download', 500, 3500);
  assert.deepEqual(reports.at(-1), {
    phase: 'download',
    loaded: 500,
    total: 3500,
    rate: null,
    remaining: null,
  });
  for (let i = 0; i < 10; i++) {
    now += 1000;
    meter.add(i < 5 ? 100 : 400);
  }
  assert.equal(reports.at(-1)?.loaded, 3000);
  assert.equal(reports.at(-1)?.rate, 400);
  assert.equal(reports.at(-1)?.remaining, 1.25);
});

test('reports are few, but the last one always comes', () => {
  const reports: LoadProgress[] = [];
  const meter = new Meter(
    (report) => reports.push(report),
    () => 0,
  );
  meter.start('load', 0, 1000);
  for (let i = 0; i < 1000; i++) meter.add(1);
  assert.deepEqual(
    reports.map(({ loaded }) => loaded),
    [0, 1000],
  );
});
