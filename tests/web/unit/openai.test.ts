// From what OpenAI's clients send to our parameters.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chatParams, completionParams, usageApart } from '../../../web/src/api/openai';
import { checkNames } from '../../../web/src/api/params';
import type { ChatMessageParam, ChatRequest, CompletionRequest } from '../../../web/src/api/types';
import names from '../../goldens/openai_parameters.json';

const MESSAGES: ChatMessageParam[] = [{ role: 'user', content: 'x' }];
const read = (extra: object) => chatParams({ messages: MESSAGES, ...extra } as ChatRequest);
const content = (message: object) => chatParams({ messages: [message as ChatMessageParam] }).messages[0];
const refusal = (extra: object): string => {
  try {
    checkNames(read(extra));
    return '';
  } catch (error) {
    return (error as Error).message;
  }
};

test("null is absent, for every name of OpenAI's", () => {
  const nulls = (all: readonly string[], own: string) =>
    Object.fromEntries(all.filter((name) => name !== own).map((name) => [name, null]));
  const chat = read(nulls(names.chat, 'messages'));
  checkNames(chat);
  assert.deepEqual(chat, { messages: MESSAGES });
  const text = completionParams({ prompt: 'x', ...nulls(names.completion, 'prompt') } as CompletionRequest);
  checkNames(text);
  assert.deepEqual(text, { prompt: 'x' });
});

test("none of OpenAI's names is called a typing error", () => {
  for (const name of names.chat.filter((name) => name !== 'messages'))
    assert(!refusal({ [name]: {} }).includes('only parameters'), name);
  for (const name of names.completion.filter((name) => name !== 'prompt'))
    try {
      checkNames(completionParams({ prompt: 'x', [name]: {} } as CompletionRequest));
    } catch (error) {
      assert(!(error as Error).message.includes('only parameters'), name);
    }
});

test('what asks for nothing passes', () => {
  const harmless = {
    model: 'any',
    user: 'someone',
    metadata: { a: 'b' },
    service_tier: 'auto',
    store: false,
    n: 1,
    functions: [],
    function_call: 'auto',
    response_format: { type: 'text' },
    modalities: ['text'],
  };
  assert.deepEqual(read(harmless), { messages: MESSAGES });
});

test('what asks for more is refused by its name with the reason', () => {
  const asking = {
    n: 2,
    functions: [{ name: 'f' }],
    function_call: { name: 'f' },
    response_format: { type: 'json_schema' },
    modalities: ['text', 'audio'],
    audio: { voice: 'x' },
    store: true,
    reasoning_effort: 'low',
    web_search_options: {},
  };
  for (const [name, value] of Object.entries(asking)) {
    const message = refusal({ [name]: value });
    assert.match(message, new RegExp(`Expected no ${name} .*\\(.+\\), found `));
  }
});

test('max_completion_tokens is max_tokens', () => {
  assert.equal(read({ max_completion_tokens: 3 }).max_tokens, 3);
  assert.equal(read({ max_completion_tokens: 3, max_tokens: 3 }).max_tokens, 3);
  assert.equal('max_completion_tokens' in read({ max_completion_tokens: 3 }), false);
  assert.throws(() => read({ max_completion_tokens: 3, max_tokens: 4 }), { code: 'invalid_argument' });
});

test('messages in the words of the official client', () => {
  assert.deepEqual(content({ role: 'developer', content: 'x' }), { role: 'system', content: 'x' });
  const parts = [
    { type: 'text', text: 'a' },
    { type: 'text', text: 'b' },
  ];
  assert.deepEqual(content({ role: 'user', content: parts }), { role: 'user', content: 'a\nb' });
  const answer = { role: 'assistant', content: 'x', name: null, refusal: null, audio: null, tool_calls: [] };
  assert.deepEqual(content(answer), { role: 'assistant', content: 'x' });
});

test('calls of tools and their results are kept', () => {
  const call = { id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } };
  const calling = { role: 'assistant', content: null, tool_calls: [call] };
  assert.deepEqual(content(calling), { role: 'assistant', content: '', tool_calls: [call] });
  const result = { role: 'tool', content: '3', tool_call_id: 'a' };
  assert.deepEqual(content(result), result);
  for (const bad of [{}, [{}], [{ ...call, id: 1 }], [{ ...call, function: { name: 'f', arguments: {} } }]])
    assert.throws(() => content({ ...calling, tool_calls: bad }), { code: 'invalid_argument' });
});

const picture = (image_url: object) => ({ type: 'image_url', image_url });

test('pictures stay where they are among the words, which are joined only where they are alone', () => {
  const blob = new Blob(['x']);
  const parts = [
    { type: 'text', text: 'Look:' },
    picture({ url: 'data:image/png;base64,eA==', detail: null }),
    picture({ blob, detail: 'high' }),
    { type: 'text', text: 'What is it?' },
  ];
  assert.deepEqual(content({ role: 'user', content: parts })?.content, [
    { type: 'text', text: 'Look:' },
    picture({ url: 'data:image/png;base64,eA==' }),
    picture({ blob, detail: 'high' }),
    { type: 'text', text: 'What is it?' },
  ]);
  assert.equal(content({ role: 'user', content: [parts[0], parts[3]] })?.content, 'Look:\nWhat is it?');
});

test('messages that cannot be read say why', () => {
  const bad: [object, RegExp][] = [
    [{ role: 'user', content: [{ type: 'image_url', image_url: {} }] }, /one of url, blob and bitmap/],
    [{ role: 'user', content: [picture({ url: 'data:,x', detail: 'huge' })] }, /detail to be 'low'/],
    [{ role: 'user', content: [picture({ url: 'data:,x', blob: new Blob() })] }, /one of url, blob/],
    [{ role: 'user', content: [picture({ blob: 'no blob' })] }, /a picture such as/],
    [{ role: 'assistant', content: [picture({ url: 'data:,x' })] }, /messages of the user alone/],
    [{ role: 'user', content: [{ type: 'input_audio' }] }, /hears nothing/],
    [{ role: 'user', content: [{ type: 'text' }] }, /content parts such as/],
    [{ role: 'user', content: null }, /content to be text/],
    [{ role: 'function', content: 'x' }, /'tool'/],
    [{ role: 'robot', content: 'x' }, /system, developer, user, assistant or tool/],
  ];
  for (const [message, expected] of bad)
    assert.throws(
      () => content(message),
      (error) => expected.test((error as Error).message),
    );
});

test('usage comes apart only where a stream asks for it', () => {
  const asks = (stream: boolean, stream_options: object | null) =>
    usageApart({ messages: MESSAGES, stream, stream_options } as ChatRequest);
  assert.equal(asks(true, { include_usage: true }), true);
  assert.equal(asks(true, { include_usage: false, include_obfuscation: false }), false);
  assert.equal(asks(true, { include_usage: null }), false);
  assert.equal(asks(false, null), false);
  for (const [stream, options] of [
    [false, { include_usage: true }],
    [true, { usage: true }],
    [true, { include_usage: 'yes' }],
  ] as const)
    assert.throws(() => asks(stream, options), { code: 'invalid_argument' });
});

test('one prompt, also in a list', () => {
  assert.equal(completionParams({ prompt: ['x'] }).prompt, 'x');
  for (const prompt of [['a', 'b'], [1, 2], null])
    assert.throws(() => completionParams({ prompt } as unknown as CompletionRequest), {
      code: 'invalid_argument',
    });
});
