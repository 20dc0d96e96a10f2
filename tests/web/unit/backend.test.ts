// Where a model is to compute, from the wish and what the browser has.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseBackend, reasonOf, sentence } from '../../../web/src/engine/backend';
import type { findAdapter } from '../../../web/src/gpu/device';
import { GpuFailure } from '../../../web/src/gpu/failure';

const INFO = { vendor: 'acme', architecture: 'x1', device: '', description: '' };

function finding(software: boolean): typeof findAdapter {
  return (wish = {}) => {
    if (software && wish.software !== true)
      return Promise.reject(new GpuFailure({ code: 'gpu_software', device: 'acme x1' }));
    return Promise.resolve({ adapter: {} as GPUAdapter, info: INFO });
  };
}
const none: typeof findAdapter = () => Promise.reject(new GpuFailure({ code: 'gpu_missing' }));
const broken: typeof findAdapter = () => Promise.reject(new Error('out of order'));

test('a GPU is used where there is one', async () => {
  const used = { gpu: { software: false }, device: 'acme x1' };
  assert.deepEqual(await chooseBackend({}, finding(false)), used);
  assert.deepEqual(await chooseBackend({ backend: 'auto' }, finding(false)), used);
});

test('an emulated one only when it is asked for', async () => {
  const { gpu } = await chooseBackend({}, finding(true));
  assert.equal(gpu, null);
  const asked = await chooseBackend({ backend: 'webgpu' }, finding(true));
  assert.deepEqual(asked, { gpu: { software: true }, device: 'acme x1' });
});

test('none, or a broken one, leaves it to the CPU', async () => {
  for (const backend of ['auto', 'webgpu'] as const) {
    const missing = await chooseBackend({ backend }, none);
    assert.deepEqual(missing, { gpu: null, notice: { code: 'gpu_missing' } });
    const failed = await chooseBackend({ backend }, broken);
    assert.deepEqual(failed, { gpu: null, notice: { code: 'gpu_failed', error: 'out of order' } });
  }
});

test('a variant runs or fails', async () => {
  const strict = await chooseBackend({ variant: 'webgpu' }, finding(true));
  assert.deepEqual(strict, { gpu: { software: true }, device: 'acme x1' });
  await assert.rejects(chooseBackend({ variant: 'webgpu' }, none), { code: 'unsupported' });
  for (const wish of [{ variant: 'simd' }, { backend: 'cpu' }] as const)
    assert.deepEqual(await chooseBackend(wish, broken), { gpu: null, notice: { code: 'cpu_asked' } });
  await assert.rejects(chooseBackend({ backend: 'npu' as 'cpu' }, none), { code: 'invalid_argument' });
});

test('what happened is said in sentences', () => {
  const lost = { code: 'gpu_given_up', losses: 2 } as const;
  assert.equal(
    reasonOf([lost], 'cpu'),
    'The GPU was lost 2 times, too often to try it again. The CPU computes.',
  );
  assert.equal(
    sentence({ code: 'gpu_wrong', check: 'kernels', error: 0.25, bound: 1e-5 }),
    "The GPU failed the check 'kernels': its error is 0.250, and at most 0.0000100 is right.",
  );
  assert.equal(sentence({ code: 'gpu_failed', error: 'no.\n' }), 'The GPU did not work: no.');
});
