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

test('small neighbours are read together, large tensors in pieces, the largest first', () => {
  const tensors = [
    tensor(0, 0, 100),
    tensor(0, 128, 100),
    tensor(0, 256, 2500),
    tensor(0, 2780, 10),
    tensor(1, 0, 50),
  ];
  const units = planUnits(tensors, 1000);
  assert.deepEqual(
    units.map(({ file, offset, size, pieces }) => [file, offset, size, pieces.map((p) => [p.tensor, p.at])]),
    [
      [0, 256, 1000, [[2, 0]]],
      [0, 1256, 1000, [[2, 1000]]],
      [
        0,
        2256,
        534,
        [
          [2, 2000],
          [3, 0],
        ],
      ],
      [
        0,
        0,
        228,
        [
          [0, 0],
          [1, 0],
        ],
      ],
      [1, 0, 50, [[4, 0]]],
    ],
  );
});

test('every byte of a tensor is in exactly one unit, whatever their order', () => {
  const tensors = Array.from({ length: 50 }, (_, i) =>
    tensor(i % 2, Math.floor(i / 2) * 700, 1 + ((i * 37) % 700)),
  );
  const units = planUnits([...tensors].reverse(), 256);
  const pieces = units.flatMap((unit) => unit.pieces.map((piece) => ({ unit, piece })));
  for (const { unit, piece } of pieces) {
    assert(piece.offset + piece.size <= unit.size && unit.size <= 256);
    const { file, offset } = [...tensors].reverse()[piece.tensor]!;
    assert.deepEqual([unit.file, unit.offset + piece.offset], [file, offset + piece.at]);
  }
  tensors.reverse().forEach(({ size }, index) => {
    const own = pieces.flatMap(({ piece }) => (piece.tensor === index ? [piece] : []));
    own.sort((a, b) => a.at - b.at);
    let at = 0;
    for (const piece of own) {
      assert.equal(piece.at, at);
      at += piece.size;
    }
    assert.equal(at, size);
  });
});

test('a gap is not read', () => {
  assert.equal(planUnits([tensor(0, 0, 10), tensor(0, 100_000, 10)], 1_000_000).length, 2);
});

test('staging memory is shared out', () => {
  const MIB = 1024 * 1024;
  assert.deepEqual([1, 2, 4, 8, 64].map(pieceBytesFor), [4 * MIB, 4 * MIB, 4 * MIB, 2 * MIB, 2 * MIB]);
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
