// From OpenAI's parameters to the core's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chatLogprobs, checkNames, completionLogprobs, echoes, sampling } from '../../../web/src/api/params';
import type { ChatParams, SamplingParams } from '../../../web/src/api/types';
import { Param } from '../../../web/src/generated/abi';

const read = (params: SamplingParams, defaults = {}) => {
  const { params: values, ...rest } = sampling(params, defaults, 100);
  return { ...rest, value: (param: Param) => new Map(values).get(param) };
};
const MESSAGES = { messages: [{ role: 'user', content: 'x' }] } as const;

test('given values come before those of the manifest', () => {
  const got = read({ temperature: 0 }, { temperature: 0.2, top_p: 0.9 });
  assert.equal(got.value(Param.TEMPERATURE), 0);
  assert.equal(got.value(Param.TOP_P), 0.9);
  assert.equal(got.value(Param.TOP_K), undefined);
});

test('without a seed every answer has its own', () => {
  const seeds = new Set(Array.from({ length: 4 }, () => read({}).value(Param.SEED)));
  assert.equal(seeds.size, 4);
  assert.equal(read({ seed: 7 }).value(Param.SEED), 7);
});

test('what is out of range is named', () => {
  const bad: SamplingParams[] = [
    { temperature: -1 },
    { temperature: Number.NaN },
    { top_p: 2 },
    { top_k: 1.5 },
    { seed: -1 },
    { max_tokens: -1 },
    { max_tokens: 0.5 },
    { repeat_penalty: 0 },
    { stop: [''] },
    { stop: 'é'.repeat(129) },
    { stop: Array.from({ length: 17 }, String) },
    { logit_bias: { 100: 1 } },
    { logit_bias: { x: 1 } },
    { logit_bias: [1, 2] as never },
    { logit_bias: { 1: Number.NaN } },
  ];
  for (const params of bad) assert.throws(() => read(params), { code: 'invalid_argument' });
});

test('stop takes a string, a list or nothing', () => {
  assert.deepEqual(read({ stop: 'END' }).stop, ['END']);
  assert.deepEqual(read({ stop: ['a', 'b'] }).stop, ['a', 'b']);
  assert.deepEqual(read({}).stop, []);
});

test('a bias of -100 forbids the token', () => {
  assert.deepEqual(read({ logit_bias: { 3: -100, 4: -99 } }).bias, [
    [3, Number.NEGATIVE_INFINITY],
    [4, -99],
  ]);
});

test('logprobs of both endpoints', () => {
  assert.equal(chatLogprobs({ ...MESSAGES }), null);
  assert.equal(chatLogprobs({ ...MESSAGES, logprobs: true }), 0);
  assert.equal(chatLogprobs({ ...MESSAGES, logprobs: true, top_logprobs: 5 }), 5);
  assert.throws(() => chatLogprobs({ ...MESSAGES, top_logprobs: 5 }), { code: 'invalid_argument' });
  assert.throws(() => chatLogprobs({ ...MESSAGES, logprobs: true, top_logprobs: 21 }), {
    code: 'invalid_argument',
  });
  assert.equal(completionLogprobs({ prompt: '' }), null);
  assert.equal(completionLogprobs({ prompt: '', logprobs: 0 }), 0);
});

test('an echo is whole and has no alternatives', () => {
  assert.equal(echoes({ prompt: '' }), false);
  assert.equal(echoes({ prompt: '', echo: true, logprobs: 0 }), true);
  for (const extra of [{ stream: true }, { logprobs: 2 }])
    assert.throws(() => echoes({ prompt: '', echo: true, ...extra }), { code: 'invalid_argument' });
});

test('a name with a typing error is refused, not left undone', () => {
  for (const extra of [{ temprature: 1 }, { prompt: 'x' }])
    assert.throws(() => checkNames({ ...MESSAGES, ...extra } as ChatParams), { code: 'invalid_argument' });
});
