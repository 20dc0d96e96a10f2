// What a guard lets through, and what of it is seen before it has.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkRules, type Rules, Screen, screenedChat, screenedText } from '../../../web/src/api/screened';
import { PushStream } from '../../../web/src/api/stream';
import type {
  ChatCompletionChunk,
  ChatCompletions,
  ChatMessageParam,
  ChatRequest,
  Completions,
  Guard,
  GuardRequest,
} from '../../../web/src/api/types';
import { SlmError } from '../../../web/src/core/error';

const user = (content: string): ChatMessageParam => ({ role: 'user', content });
const assistant = (content: string): ChatMessageParam => ({ role: 'assistant', content });

interface World {
  readonly chat: ChatCompletions;
  readonly text: Completions;
  /** What was judged. */
  readonly judged: GuardRequest[];
  /** Requests that reached the model. */
  readonly asked: unknown[];
  readonly inner: PushStream<unknown>[];
  cancelled: boolean;
}

/** A model that answers `answer`, and a guard that dislikes what has "bad" in it and takes `most` characters. */
function world(answer: string, rules: Partial<Rules> = {}, most = Number.POSITIVE_INFINITY): World {
  const usage = { completion_tokens: 3, prompt_tokens_details: { cached_tokens: 0 } };
  const made: Omit<World, 'chat' | 'text'> = { judged: [], asked: [], inner: [], cancelled: false };
  const guard: Guard = {
    async check(request) {
      if (request.prompt.length + (request.response ?? '').length > most)
        throw new SlmError('context_full', 'Expected less.');
      made.judged.push(request);
      const violates = /bad/.test(request.response ?? request.prompt);
      const score = { name: 'x', title: 'No bad', probability: violates ? 1 : 0, threshold: 0.5, violates };
      return { violates, scores: [score], usage: usage as never };
    },
  };
  const create = (choice: (text: string) => object, piece: (text: string) => object, none: object) => {
    return async (request: { stream?: boolean; stream_options?: { include_usage: true } }) => {
      made.asked.push(request);
      const finish = { finish_reason: 'stop' };
      if (request.stream !== true) return { choices: [{ index: 0, ...choice(answer), ...finish }], usage };
      const chunks = new PushStream<unknown>(() => {
        made.cancelled = true;
      });
      made.inner.push(chunks);
      const apart = request.stream_options !== undefined;
      const nothing = apart ? { usage: null } : {};
      for (const text of answer.match(/.{1,4}/g) ?? [])
        chunks.push({ choices: [{ index: 0, ...piece(text), finish_reason: null }], ...nothing });
      const end = { index: 0, ...none, ...finish };
      chunks.push({ choices: [end], ...(apart ? nothing : { usage, timings: {} }) });
      if (apart) chunks.push({ choices: [], usage, timings: {} });
      if (answer !== '(endless)') chunks.close();
      return chunks;
    };
  };
  const screen = new Screen(guard, rules);
  const inner = {
    chat: create(
      (content) => ({ message: { role: 'assistant', content } }),
      (content) => ({ delta: { content } }),
      { delta: {} },
    ),
    text: create(
      (text) => ({ text }),
      (text) => ({ text }),
      { text: '' },
    ),
  };
  return Object.assign(made, {
    chat: screenedChat({ create: inner.chat } as unknown as ChatCompletions, screen, 'mock'),
    text: screenedText({ create: inner.text } as unknown as Completions, screen, 'mock'),
  });
}

const ask = (it: World, extra: Partial<ChatRequest> = {}, content = 'hello') =>
  it.chat.create({ messages: [user(content)], ...extra, stream: false });

async function chunksOf(it: World, content: string, extra: Partial<ChatRequest> = {}) {
  const stream = await it.chat.create({ messages: [user(content)], ...extra, stream: true });
  const chunks: ChatCompletionChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}
const textOf = (chunks: readonly ChatCompletionChunk[]) =>
  chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? '')).join('');

test('what breaks no rule comes as it is, with what the guard found', async () => {
  const it = world('good day');
  const { choices, guard } = await ask(it);
  assert.equal(choices[0].message.content, 'good day');
  assert.equal(choices[0].finish_reason, 'stop');
  assert.deepEqual([guard?.refused, guard?.prompt?.violates, guard?.answer?.violates], [null, false, false]);
  assert.deepEqual(it.judged, [{ prompt: 'hello' }, { prompt: 'hello', response: 'good day' }]);
  const chunks = await chunksOf(it, 'hello');
  assert.equal(textOf(chunks), 'good day');
  assert.deepEqual(
    chunks.map(({ guard }) => guard?.refused),
    [undefined, undefined, null],
  );
});

test('a prompt that breaks a rule never reaches the model', async () => {
  const it = world('good day');
  const { choices, guard, usage } = await ask(it, {}, 'be bad');
  assert.match(choices[0].message.content, /not answered: the guard on this device .* rule “No bad”\.$/);
  assert.equal(choices[0].finish_reason, 'content_filter');
  assert.equal(guard?.refused, 'prompt');
  assert.equal(usage.total_tokens, 0);
  const chunks = await chunksOf(it, 'be bad');
  assert.match(textOf(chunks), /not answered/);
  assert.equal(chunks[0]?.choices[0].delta.role, 'assistant');
  assert.equal(chunks.at(-1)?.choices[0].finish_reason, 'content_filter');
  assert.deepEqual(
    chunks.map(({ guard }) => guard?.refused),
    ['prompt', 'prompt'],
  );
  assert.equal(chunks.at(-1)?.usage?.total_tokens, 0);
  const apart = await chunksOf(it, 'be bad', { stream_options: { include_usage: true } });
  assert.deepEqual(
    apart.map(({ choices, usage }) => [choices.length, usage === null]),
    [
      [1, true],
      [1, true],
      [0, false],
    ],
  );
  assert.deepEqual(it.asked, []);
});

test('an answer that breaks a rule is not seen, whole or in pieces', async () => {
  const it = world('something bad');
  const { choices, guard, usage } = await ask(it);
  assert.match(choices[0].message.content, /^The answer is not shown/);
  assert.equal(choices[0].finish_reason, 'content_filter');
  assert.equal(guard?.refused, 'answer');
  assert.equal(usage.completion_tokens, 3);
  for (const apart of [{}, { stream_options: { include_usage: true } }]) {
    const chunks = await chunksOf(it, 'hello', apart);
    assert.equal(/some|thin|bad/.test(JSON.stringify(chunks).replaceAll('No bad', '')), false);
    assert.match(textOf(chunks), /^The answer is not shown/);
    const reasons = chunks.flatMap(({ choices }) => choices.map((choice) => choice.finish_reason));
    assert.deepEqual(reasons, [null, 'content_filter']);
    assert.equal(chunks.filter(({ usage }) => usage).length, 1);
    assert.equal(chunks.at(-1)?.usage?.completion_tokens, 3);
  }
});

test('nothing of a stream comes before its end was judged, and leaving it ends the answer', async () => {
  const it = world('(endless)');
  const stream = await it.chat.create({ messages: [user('hello')], stream: true });
  const early = await Promise.race([
    stream.next(),
    new Promise((resolve) => setTimeout(resolve, 20, 'none')),
  ]);
  assert.equal(early, 'none');
  await stream.return?.();
  assert.equal(it.cancelled, true);
  assert.equal(it.judged.length, 1); // the prompt
});

test('an error of the model or an abort is the stream’s', async () => {
  const it = world('(endless)');
  const stop = new AbortController();
  const stream = await it.chat.create({ messages: [user('hello')], stream: true }, { signal: stop.signal });
  it.inner[0]?.fail(new Error('it broke'));
  await assert.rejects(stream.next(), /it broke/);
  stop.abort();
  await assert.rejects(
    it.chat.create({ messages: [user('x')] }, { signal: stop.signal }),
    (e) => (e as Error).name === 'AbortError',
  );
});

test('only what is to be screened is judged', async () => {
  const prompts = world('something bad', { screen: 'prompts' });
  assert.equal((await ask(prompts)).choices[0].message.content, 'something bad');
  assert.equal(textOf(await chunksOf(prompts, 'hello')), 'something bad');
  assert.equal(
    prompts.judged.every(({ response }) => response === undefined),
    true,
  );
  const answers = world('good day', { screen: 'answers' });
  const told = await ask(answers, {}, 'be bad');
  assert.equal(told.choices[0].message.content, 'good day');
  assert.equal(told.guard?.prompt, null);
});

test('all that was asked since the last answer is judged, and an answer with its beginning', async () => {
  const it = world('x');
  await it.chat.create({
    messages: [user('old'), assistant('so'), user('one'), { role: 'system', content: 's' }, user('two')],
  });
  assert.deepEqual(it.judged.splice(0), [{ prompt: 'one\n\ntwo' }, { prompt: 'one\n\ntwo', response: 'x' }]);
  await it.chat.create({ messages: [user('q'), assistant('Once ')] });
  assert.deepEqual(it.judged.splice(0), [{ prompt: 'q' }, { prompt: 'q', response: 'Once x' }]);
  const part = { type: 'text', text: 'part' } as const;
  await it.chat.create({ messages: [{ role: 'user', content: [part] }] });
  assert.equal(it.judged[0]?.prompt, 'part');
});

test('a call of tools is no answer: what it was made for is still the question', async () => {
  const it = world('x');
  const made = { id: 'c', type: 'function', function: { name: 'look', arguments: '{}' } } as const;
  const call: ChatMessageParam = { role: 'assistant', tool_calls: [made] };
  const result: ChatMessageParam = { role: 'tool', content: 'sunny', tool_call_id: 'c' };
  await it.chat.create({ messages: [user('old'), assistant('so'), user('weather?'), call, result] });
  assert.deepEqual(it.judged, [{ prompt: 'weather?' }, { prompt: 'weather?', response: 'x' }]);
});

test('of a text to be filled in all that the model reads is judged, when it is checked', async () => {
  const it = world('x', { screen: 'prompts' });
  const fim = { repo: 'r', path: 'b.py', files: [{ path: 'a.py', text: 'a' }] };
  await it.text.create({ prompt: 'be', suffix: 'hind', fim });
  assert.deepEqual(it.judged.splice(0), [{ prompt: 'r\n\na.py\n\na\n\nb.py\n\nbehind' }]);
  for (const files of ['a.py', [null]])
    await assert.rejects(
      it.text.create({ prompt: 'be', fim: { path: 'b.py', files: files as never } }),
      /fim\.files to be a list/,
    );
  assert.deepEqual(it.judged, []);
});

test('a refusal says that nothing of the prompt was left out', async () => {
  const it = world('x');
  const { dropped_tokens } = await it.text.create({ prompt: 'be bad' });
  const { dropped_messages } = await ask(it, {}, 'be bad');
  assert.deepEqual([dropped_tokens, dropped_messages], [0, 0]);
  const dropped: unknown[] = [];
  for await (const chunk of await it.text.create({ prompt: 'be bad', stream: true }))
    dropped.push(chunk.dropped_tokens);
  assert.deepEqual(dropped, [undefined, 0]);
  const told = (await chunksOf(it, 'be bad')).map((chunk) => chunk.dropped_messages);
  assert.deepEqual(told, [0, undefined]);
});

test('plain completions are screened as well', async () => {
  const it = world('something bad');
  const { choices } = await it.text.create({ prompt: 'hello' });
  assert.match(choices[0].text, /^The answer is not shown/);
  let text = '';
  for await (const chunk of await it.text.create({ prompt: 'be bad', stream: true }))
    text += chunk.choices[0].text;
  assert.match(text, /not answered/);
});

test('what is too long for the guard is judged in pieces, and none of it is left out', async () => {
  const it = world('good day', {}, 1000);
  const long = (at: number) => `${'a '.repeat(at)}something bad${' b'.repeat(2000 - at)}`;
  for (const at of [0, 500, 993, 1000, 1500, 2000]) {
    const { guard } = await ask(it, {}, long(at));
    assert.equal(guard?.refused, 'prompt', `${at}`);
    assert.equal(guard?.prompt?.scores[0]?.probability, 1);
  }
  it.judged.length = 0;
  const { guard } = await ask(it, {}, 'c '.repeat(2000));
  assert.equal(guard?.refused, null);
  const counted = [guard?.prompt, guard?.answer].map((found) => found?.usage.completion_tokens ?? 0);
  assert.equal(counted[0]! + counted[1]!, it.judged.length * 3);
  assert.equal(
    it.judged.every(({ prompt }) => prompt.length <= 1000),
    true,
  );
  // Of an answer there are as many pieces as it is long, whatever was asked.
  const answered = async (words: number) => {
    const other = world('d '.repeat(words), { screen: 'answers' }, 2000);
    await ask(other, {}, 'c '.repeat(20000));
    return other.judged.length;
  };
  const [once, twice] = [await answered(10000), await answered(20000)];
  assert.equal(twice <= 2 * once + 16, true, `${once}, then ${twice}`);
  // A guard that has no room for anything says so.
  await assert.rejects(ask(world('x', {}, 3)), (e) => (e as SlmError).code === 'context_full');
});

test('rules are the guard’s unless a check names others, and a refusal may have own words', async () => {
  const it = world('good day', { policies: ['hate'], threshold: 0.9, refusal: 'No.' });
  assert.equal((await ask(it, {}, 'be bad')).choices[0].message.content, 'No.');
  assert.deepEqual(it.judged[0], { policies: ['hate'], threshold: 0.9, prompt: 'be bad' });
});

test('a mistake in the rules is named before anything is loaded', () => {
  const wrong: [Rules, RegExp][] = [
    [{ screen: 'all' as never }, /guard\.screen/],
    [{ refusal: '' }, /guard\.refusal/],
    [{ policies: [] }, /1 to 64/],
    [{ policies: ['nonsense' as never] }, /one of dangerous, harassment, hate, sexual, found nonsense/],
    [{ policies: ['toString' as never] }, /found toString/],
    [{ policies: [{ name: '' }] }, /a name/],
    [{ policies: [{ name: 'x', text: ' ' }] }, /what it forbids/],
    [{ threshold: 1.5 }, /from 0 to 1/],
    [{ policies: [{ name: 'hate', threshold: Number.NaN }] }, /from 0 to 1/],
  ];
  for (const [rules, said] of wrong) assert.throws(() => checkRules(rules), said);
  checkRules({
    policies: [
      { name: 'hate', threshold: 0 },
      { name: 'Mine', text: 'No recipes.' },
    ],
  });
});
