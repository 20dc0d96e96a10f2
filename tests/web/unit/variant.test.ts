// Each missing feature costs one step, and the reason says which.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Probe } from '../../../web/src/engine/probe';
import { chooseVariant } from '../../../web/src/engine/variant';

const FULL: Probe = {
  wasm: true,
  simd: true,
  relaxedSimd: true,
  threads: true,
  crossOriginIsolated: true,
  cores: 4,
};

test('everything there', () => {
  const { variant, threads, reason, notices } = chooseVariant(FULL);
  assert.equal(variant, 'relaxed-mt');
  assert.equal(threads, 4);
  assert.equal(reason, 'Runs with relaxed SIMD on 4 threads of 4 logical processors.');
  assert.deepEqual(notices, [{ code: 'relaxed_simd' }, { code: 'threads', threads: 4, cores: 4 }]);
});

test('no relaxed SIMD', () => {
  const choice = chooseVariant({ ...FULL, relaxedSimd: false });
  assert.equal(choice.variant, 'simd-mt');
  assert.match(choice.reason, /without its relaxed instructions/);
  assert.equal(choice.notices[0]?.code, 'plain_simd');
});

test('no isolation', () => {
  const choice = chooseVariant({ ...FULL, crossOriginIsolated: false, threads: false });
  assert.equal(choice.variant, 'relaxed');
  assert.equal(choice.threads, 1);
  assert.match(choice.reason, /not cross-origin isolated/);
  assert.deepEqual(choice.notices.at(-1), { code: 'not_isolated' });
});

test('no threads in an isolated page', () => {
  const choice = chooseVariant({ ...FULL, threads: false });
  assert.equal(choice.variant, 'relaxed');
  assert.match(choice.reason, /no WebAssembly threads/);
  assert.deepEqual(choice.notices.at(-1), { code: 'no_threads' });
});

test('neither', () => {
  const choice = chooseVariant({ ...FULL, relaxedSimd: false, threads: false, crossOriginIsolated: false });
  assert.equal(choice.variant, 'simd');
});

test('one processor needs no shared memory', () => {
  assert.equal(chooseVariant({ ...FULL, cores: 1 }).variant, 'relaxed');
  const one = chooseVariant(FULL, { threads: 1 });
  assert.equal(one.variant, 'relaxed');
  assert.deepEqual(one.notices.at(-1), { code: 'one_thread' });
});

test('threads by default and by wish', () => {
  const counts = [1, 2, 3, 4, 6, 8, 12, 16, 64].map((cores) => chooseVariant({ ...FULL, cores }).threads);
  assert.deepEqual(counts, [1, 2, 3, 4, 4, 4, 6, 8, 8]);
  assert.equal(chooseVariant({ ...FULL, cores: 16 }, { threads: 12 }).threads, 12);
  assert.equal(chooseVariant(FULL, { threads: 12 }).threads, 4); // no more than there are processors
  assert.equal(chooseVariant({ ...FULL, cores: 1 }, { threads: 2, variant: 'relaxed-mt' }).threads, 1);
  for (const threads of [0, -1, 1.5, 65, Number.NaN])
    assert.throws(() => chooseVariant(FULL, { threads }), { code: 'invalid_argument' });
});

test('a browser that cannot run it is told what can', () => {
  assert.throws(() => chooseVariant({ ...FULL, wasm: false }), { code: 'unsupported' });
  assert.throws(
    () => chooseVariant({ ...FULL, simd: false }),
    (error) => /WebAssembly SIMD.*use Chrome/.test((error as Error).message),
  );
});

test('a forced variant runs or fails, and nothing else', () => {
  const asked = chooseVariant(FULL, { variant: 'simd' });
  assert.equal(asked.threads, 1);
  assert.deepEqual(asked.notices, [{ code: 'variant_asked', variant: 'simd' }]);
  assert.equal(chooseVariant(FULL, { variant: 'simd-mt', threads: 2 }).threads, 2);
  assert.throws(() => chooseVariant({ ...FULL, relaxedSimd: false }, { variant: 'relaxed' }), {
    code: 'unsupported',
  });
  assert.throws(() => chooseVariant({ ...FULL, crossOriginIsolated: false }, { variant: 'simd-mt' }), {
    code: 'unsupported',
  });
  assert.throws(() => chooseVariant(FULL, { variant: 'scalar' as 'simd' }), { code: 'invalid_argument' });
});
