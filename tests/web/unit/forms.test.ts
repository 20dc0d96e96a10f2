// Which form of the products is used: the one that takes the least time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Core } from '../../../web/src/core/core';
import type { GpuHost } from '../../../web/src/gpu/host';
import { timeForms } from '../../../web/src/worker/forms';

/** A device that takes `ms[i]` for a round of form i, of which one rounds. */
function device(ms: readonly number[], rounding = -1) {
  const rounds = ms.map(() => 0);
  let selected = -1;
  let at = 0;
  let took = 0;
  performance.now = () => at;
  const exports = {
    slm_dot_count: () => ms.length,
    slm_dot_name: (i: number) => i,
    slm_dot_rounds: (i: number) => (i === rounding ? 1 : 0),
    slm_dot_bench: (i: number, n: number) => {
      if (n > 1) rounds[i]! += 1; // of one only the pipelines are named
      took = ms[i]!;
      return 0;
    },
    slm_dot_select: (i: number) => {
      selected = i;
      return 0;
    },
  };
  const settle = () => {
    at += took;
    return Promise.resolve();
  };
  const core = { exports, settle, check: (n: number) => n, string: (i: number) => `form ${i}` };
  const host = { compile: (encode: () => void) => Promise.resolve(encode()) };
  return {
    rounds,
    time: () => timeForms(host as unknown as GpuHost, core as unknown as Core),
    selected: () => selected,
  };
}

test('the fastest form is selected, and a slow one is not timed for long', async () => {
  const { time, rounds, selected } = device([300, 4, 20]);
  const forms = await time();
  assert.deepEqual(
    forms.map(({ index, ms }) => [index, ms]),
    [
      [1, 4],
      [2, 20],
      [0, 300],
    ],
  );
  assert.equal(selected(), 1);
  assert.deepEqual(rounds, [1, 5, 3]);
});

test('what rounds has to be a quarter faster', async () => {
  for (const [ms, first] of [
    [9, 0],
    [7, 1],
  ] as const) {
    const { time, selected } = device([10, ms], 1);
    await time();
    assert.equal(selected(), first);
  }
});
