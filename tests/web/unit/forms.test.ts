// Which form of the products is used: the one that takes the least time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Core } from '../../../web/src/core/core';
import type { Model } from '../../../web/src/core/model';
import { GpuFailure } from '../../../web/src/gpu/failure';
import type { GpuHost } from '../../../web/src/gpu/host';
import { formsInTurn, provenForm, timeForms } from '../../../web/src/worker/forms';

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
  const host = { compile: (encode: () => void) => Promise.resolve(encode()) } as unknown as GpuHost;
  const of = core as unknown as Core;
  return {
    rounds,
    time: () => timeForms(host, of),
    inTurn: (earlier?: string) => formsInTurn(host, of, earlier),
    /** A model whose kernels are right with some of the forms. */
    model: (right: readonly number[]) => {
      const check = () => Promise.resolve({ name: 'product', error: right.includes(selected) ? 0 : 1 });
      return { core: of, checks: () => ({ count: 1, bound: 0.1 }), check } as unknown as Model;
    },
    selected: () => selected,
  };
}

/** Loads as the worker does; `taken`: forms that compile. */
async function prove(
  on: ReturnType<typeof device>,
  earlier: string,
  right: readonly number[],
  taken = right,
) {
  const forms = on.inTurn(earlier);
  const first = (await forms.next()).value!;
  const compile = async () => {
    if (!taken.includes(on.selected())) throw GpuFailure.of('it does not compile');
  };
  const begun = compile();
  begun.catch(() => undefined);
  return (await provenForm(on.model(right), first, forms, begun, compile)).form.name;
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

test('what served at an earlier start is used, and nothing is timed', async () => {
  const on = device([300, 4, 20]);
  assert.equal(await prove(on, 'form 2', [0, 1, 2]), 'form 2');
  assert.deepEqual(on.rounds, [0, 0, 0]);
  assert.equal(on.selected(), 2);
});

test('a name that there is not means that all are timed', async () => {
  for (const earlier of ['form 3', '', 'toString']) {
    const on = device([300, 4, 20]);
    assert.equal(await prove(on, earlier, [0, 1, 2]), 'form 1');
    assert.deepEqual(on.rounds, [1, 5, 3]);
  }
});

test('what served earlier and is wrong now, or does not compile, is tried once; then all are timed', async () => {
  for (const taken of [
    [0, 1, 2],
    [0, 1],
  ]) {
    const on = device([300, 20, 4]);
    assert.equal(await prove(on, 'form 2', [0, 1], taken), 'form 1');
    assert.deepEqual(on.rounds, [1, 3, 5]);
    assert.equal(on.selected(), 1);
  }
});

test('when no form is right, it fails with the last reason', async () => {
  await assert.rejects(prove(device([300, 4, 20]), 'form 2', []), GpuFailure);
  await assert.rejects(prove(device([300, 4, 20]), '', [], [0, 1, 2]), {
    notice: { code: 'gpu_wrong', check: 'kernels', error: 1, bound: 0.1 },
  });
});
