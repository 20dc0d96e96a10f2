// The memory rule on the vectors that py/slmweb/plan/memory.py is held to as well, and its words.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../../web/src/api/types';
import { describeError } from '../../../web/src/chat/errors';
import { SlmError } from '../../../web/src/core/error';
import { apart } from '../../../web/src/core/units';
import { findRoom } from '../../../web/src/store/device';
import { fit, type Limits, memoryOf as takenBy, whyShorter } from '../../../web/src/store/room';
import vectors from '../../goldens/memory_rule.json';

const memoryOf = (weights: number, contexts: readonly (readonly number[])[], n_ctx_default = 2048) => ({
  weights,
  n_ctx_default,
  contexts: contexts.map(([n_ctx, bytes]) => ({ n_ctx: n_ctx!, bytes: bytes! })),
});

for (const vector of vectors)
  test(vector.name, () => {
    const { wasm, gpu, blob, device_memory: deviceMemory } = vector;
    const limits = { wasm, deviceMemory, gpu, blob, taken: 0 };
    const found = fit(memoryOf(vector.weights, vector.contexts), vector.n_ctx, limits, vector.force);
    assert.deepEqual(found, {
      verdict: vector.verdict,
      n_ctx: vector.fits_n_ctx,
      needed: vector.needed,
      limit: vector.limit,
      available: vector.available,
      needs_gpu: vector.needs_gpu,
    });
  });

const CONTEXTS = [
  [512, 30e6],
  [1024, 60e6],
  [2048, 120e6],
];

function manifest(weights: number): Manifest {
  const memory = memoryOf(weights, CONTEXTS);
  return { title: 'Toy 1B', context_length: 2048, memory } as unknown as Manifest;
}

const LIMITS: Limits = { wasm: 4294901760, deviceMemory: 1, gpu: false, blob: 0, taken: 0 };

test('a shorter context is said with the numbers', () => {
  const room = findRoom(manifest(300e6), LIMITS, {});
  assert.equal(room.n_ctx, 1024);
  assert.match(
    whyShorter(room.notice!),
    /^The context is 1,024 tokens instead of 2,048 tokens, which would need 454 MB of memory: a page should take at most 429 MB of the 1 GB that this device reports\.$/,
  );
  assert.deepEqual(room.notice, {
    code: 'context_by_device',
    n_ctx: 1024,
    wanted: 2048,
    needed: 453554432,
    available: 429496729,
    device_memory: 1,
  });
  const wide = findRoom(manifest(300e6), { ...LIMITS, wasm: 400e6 }, {});
  assert.equal(wide.notice?.code, 'context_by_browser');
});

test('what another model of the page has is not given twice', () => {
  const beside = { ...LIMITS, taken: 100e6 };
  assert.equal(findRoom(manifest(200e6), LIMITS, {}).n_ctx, 2048);
  const { n_ctx, notice } = findRoom(manifest(200e6), beside, {});
  assert.deepEqual([n_ctx, notice?.available], [1024, 329496729]);
  assert.throws(() => findRoom(manifest(300e6), beside, {}), { code: 'too_large' });
});

test('the context never exceeds the model', () => {
  assert.deepEqual(findRoom(manifest(1e6), LIMITS, { n_ctx: 32768 }).n_ctx, 2048);
});

test('a refusal names both numbers, and whether a person may overrule it', () => {
  const attempt = (weights: number, limits: Limits, force: boolean, backend: 'auto' | 'cpu' = 'auto') => {
    try {
      return findRoom(manifest(weights), limits, { force, backend });
    } catch (error) {
      assert(error instanceof SlmError);
      return error;
    }
  };
  const estimate = attempt(500e6, { ...LIMITS, blob: 450e6 }, false) as SlmError;
  assert.equal(estimate.code, 'too_large');
  assert.match(estimate.message, /^Toy 1B needs 1\.0 GB of memory even with a context of 512 tokens/);
  assert.match(estimate.message, /no room to store it.*at most 429 MB of the 1 GB.*or try anyway\.$/);
  assert.deepEqual(estimate.details, {
    needed: 1013554432,
    available: 429496729,
    estimate: true,
    cpu_chosen: false,
  });

  const forced = attempt(500e6, LIMITS, true);
  assert(!(forced instanceof SlmError) && forced.n_ctx === 2048 && forced.notice === null);

  const hard = attempt(4.29e9, LIMITS, true) as SlmError;
  assert.match(
    hard.message,
    /this browser gives a page at most 4\.3 GB\. Choose a smaller model, or a browser with WebGPU\.$/,
  );
  assert.equal(hard.details && 'estimate' in hard.details && hard.details.estimate, false);

  const onCpu = attempt(4.29e9, LIMITS, true, 'cpu') as SlmError;
  assert.match(onCpu.message, /at most 4\.3 GB\. Choose a smaller model\.$/);
  assert(!describeError(onCpu, false).sentence.includes('WebGPU'));
  assert(describeError(hard, false).sentence.includes('WebGPU'));

  const onGpu = attempt(4.29e9, { ...LIMITS, deviceMemory: 8, gpu: true }, false);
  assert(!(onGpu instanceof SlmError) && onGpu.needs_gpu && onGpu.n_ctx === 2048 && onGpu.notice === null);
});

test('sizes that are compared never read the same', () => {
  assert.deepEqual(apart(1_720_000_000, 1_719_000_000), ['1,720,000,000 bytes', '1,719,000,000 bytes']);
  assert.deepEqual(apart(2e9, 1e9), ['2.0 GB', '1.0 GB']);
  assert.deepEqual(apart(2e9, 2e9), ['2.0 GB', '2.0 GB']);
});

test('an encoder of pictures counts as if it always worked', () => {
  const memory = { weights: 100, n_ctx_default: 8, contexts: [{ n_ctx: 8, bytes: 10 }] };
  const vision = {
    projector: 'gemma3',
    file: 1,
    image_size: 896,
    patch_size: 14,
    n_tokens: 256,
    whole_picture: true,
    whole_prompt: false,
    masks: false,
    packed_bytes: 20,
    encode_bytes: 3,
  } as const;
  assert.deepEqual(takenBy({ memory, vision }), { ...memory, weights: 123 });
  assert.equal(takenBy({ memory }), memory);
});
