// What is left out of a conversation that is too long.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dropOldest } from '../../../web/src/api/overflow';
import type { ChatMessage } from '../../../web/src/api/types';

/** Ten tokens a message. */
const count = async (messages: readonly ChatMessage[]) => 10 * messages.length;

function conversation(turns: number, system = true): ChatMessage[] {
  const head: ChatMessage[] = system ? [{ role: 'system', content: 'S' }] : [];
  const all = Array.from({ length: turns }, (_, i): ChatMessage[] => [
    { role: 'user', content: `u${i}` },
    { role: 'assistant', content: `a${i}` },
  ]).flat();
  return [...head, ...all.slice(0, -1)]; // the last turn waits for its answer
}

const contents = (messages: readonly ChatMessage[]) => messages.map(({ content }) => content).join(' ');

test('what fits stays as it is', async () => {
  const messages = conversation(3);
  assert.deepEqual(await dropOldest(messages, 60, 80, count), { messages, dropped: 0 });
});

test('the oldest turns go, whole; the system prompt stays', async () => {
  const { messages, dropped } = await dropOldest(conversation(6), 90, 100, count);
  // 120 tokens, 30 too many: two steps of 25 make 50, which are three turns of 20.
  assert.equal(contents(messages), 'S u3 a3 u4 a4 u5');
  assert.equal(dropped, 6);
});

test('the next turns leave out the same ones, so that the cached prefix survives', async () => {
  const heads: string[] = [];
  for (const turns of [10, 11, 12, 13, 14, 15, 16]) {
    const { messages } = await dropOldest(conversation(turns, false), 160, 200, count);
    heads.push(String(messages[0]!.content));
  }
  assert.deepEqual(heads, ['u3', 'u3', 'u5', 'u5', 'u8', 'u8', 'u8']);
});

test('the last turn always stays, even when it is too long by itself', async () => {
  const { messages, dropped } = await dropOldest(conversation(4), 5, 20, count);
  assert.equal(contents(messages), 'S u3');
  assert.equal(dropped, 6);
});

test('a single turn is left alone', async () => {
  const messages = conversation(1);
  assert.deepEqual(await dropOldest(messages, 5, 20, count), { messages, dropped: 0 });
});
