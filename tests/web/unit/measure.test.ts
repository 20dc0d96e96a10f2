// The page's measurements: of a device, on Dawn where it is there, and of a model, by
// what is asked of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { measureModel } from '../../../web/src/api/measure';
import type { CompletionParams, Slm } from '../../../web/src/api/types';
import { findAdapter, openDevice } from '../../../web/src/gpu/device';
import { measureCopy, measureDevice } from '../../../web/src/gpu/measure';
import { NO_DEVICE, openDawn } from '../../gpu/open';

/** A clock by which every run takes `ms`. */
function clock(ms: number): () => number {
  let at = 0;
  return () => {
    at += ms;
    return at;
  };
}

const gpu = await openDawn();

test('what a device has done over the time that it took', { skip: gpu === null && NO_DEVICE }, async () => {
  // Small, so that an emulated device is soon through.
  const found = await findAdapter({ gpu: gpu!, software: true });
  const device = await openDevice(found, { maxBinding: 128 << 20 });
  const broken: string[] = [];
  device.addEventListener('uncapturederror', ({ error }) => broken.push(error.message));
  // Of 128 MiB each is read and written; of the arithmetic an invocation has 128 steps of 64 operations.
  assert.equal(await measureCopy(device, { now: clock(200) }), (2 * (128 << 20)) / 0.2);
  const flops = 1024 * 256 * 128 * 64;
  assert.deepEqual(await measureDevice(device, { now: clock(800) }), {
    copy_bytes_per_second: (2 * (128 << 20)) / 0.8,
    flops_per_second: flops / 0.8,
  });
  const abort = new AbortController();
  abort.abort(new Error('enough'));
  await assert.rejects(measureDevice(device, { signal: abort.signal }), /enough/);
  assert.deepEqual(broken, []);
  device.destroy();
});

test('a model reads another text each time, and medians count', async () => {
  const asked: CompletionParams[] = [];
  const speeds = [1, 40, 10, 20]; // of the warm-up, which does not count, and of three runs
  const slm = {
    tokenize: () => Promise.resolve([100, 101, 102, 103]),
    detokenize: (ids: readonly number[]) => Promise.resolve(ids.join(' ')),
    completions: {
      create: (params: CompletionParams) => {
        const speed = speeds[asked.push(params) - 1]!;
        const timings = { prefill_tokens_per_second: 10 * speed, decode_tokens_per_second: speed };
        return Promise.resolve({ timings });
      },
    },
  } as unknown as Slm;
  const rates = await measureModel(slm, { prompt: 6, generate: 3 });
  assert.deepEqual(rates, {
    prefill_tokens: 6,
    prefill_tokens_per_second: 200,
    decode_tokens: 3,
    decode_tokens_per_second: 20,
  });
  const [, ...runs] = asked;
  assert.deepEqual(
    runs.map(({ prompt }) => prompt),
    ['101 102 103 100 101 102', '102 103 100 101 102 103', '103 100 101 102 103 100'],
  );
  assert(runs.every(({ max_tokens, ignore_eog }) => max_tokens === 3 && ignore_eog === true));
});
