// The order of requests and the life of a stream.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Queue } from '../../../web/src/api/queue';
import { PushStream } from '../../../web/src/api/stream';

function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

test('one at a time, in order', async () => {
  const queue = new Queue();
  const log: string[] = [];
  const first = gate();
  const runs = ['a', 'b', 'c'].map((name) =>
    queue.run(async () => {
      log.push(`${name} begins`);
      if (name === 'a') await first.opened;
      log.push(`${name} ends`);
    }),
  );
  assert.equal(queue.waiting, 3); // none has begun yet
  first.open();
  await Promise.all(runs);
  assert.deepEqual(log, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
  assert.equal(queue.waiting, 0);
  assert.equal(queue.running, false);
});

test('a failure is the one request’s own', async () => {
  const queue = new Queue();
  const failed = queue.run(() => Promise.reject(new Error('no')));
  const next = queue.run(async () => 'yes');
  await assert.rejects(failed, { message: 'no' });
  assert.equal(await next, 'yes');
});

test('a waiting request leaves at once when aborted', async () => {
  const queue = new Queue();
  const first = gate();
  const controller = new AbortController();
  let ran = false;
  const running = queue.run(() => first.opened);
  const waiting = queue.run(async () => {
    ran = true;
  }, controller.signal);
  controller.abort(new Error('enough'));
  await assert.rejects(waiting, { message: 'enough' });
  first.open();
  await running;
  await queue.run(async () => {});
  assert.equal(ran, false);
  assert.equal(queue.waiting, 0);
});

test('who aborts what runs is told at once, and the next waits for its end', async () => {
  const queue = new Queue();
  const first = gate();
  const controller = new AbortController();
  const running = queue.run(() => first.opened, controller.signal);
  await Promise.resolve(); // it has begun
  controller.abort(new Error('enough'));
  await assert.rejects(running, { message: 'enough' });
  const next = queue.run(async () => 'next');
  await Promise.resolve();
  assert.equal(queue.running, true);
  assert.equal(queue.waiting, 1);
  first.open();
  assert.equal(await next, 'next');
  assert.equal(queue.running, false);
});

test('an aborted signal never enters', async () => {
  const queue = new Queue();
  await assert.rejects(
    queue.run(async () => 1, AbortSignal.abort(new Error('before'))),
    { message: 'before' },
  );
  assert.equal(queue.waiting, 0);
});

async function read<T>(stream: PushStream<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const value of stream) values.push(value);
  return values;
}

test('values come in order, whoever is first', async () => {
  const stream = new PushStream<number>(() => {});
  stream.push(1);
  const reading = read(stream);
  stream.push(2);
  stream.close();
  assert.deepEqual(await reading, [1, 2]);
  assert.deepEqual(await read(stream), []);
});

test('an error comes after what was already there, and once', async () => {
  const stream = new PushStream<number>(() => {});
  stream.push(1);
  stream.fail(new Error('broken'));
  assert.deepEqual(await stream.next(), { done: false, value: 1 });
  await assert.rejects(stream.next(), { message: 'broken' });
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

test('what is dropped is not read any more', async () => {
  const stream = new PushStream<number>(() => {});
  stream.push(1);
  stream.drop();
  stream.fail(new Error('enough'));
  await assert.rejects(stream.next(), { message: 'enough' });
});

test('an error reaches a reader that waits', async () => {
  const stream = new PushStream<number>(() => {});
  const waiting = stream.next();
  stream.fail(new Error('broken'));
  await assert.rejects(waiting, { message: 'broken' });
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

test('leaving the loop cancels, a finished stream does not', async () => {
  let cancelled = 0;
  const stream = new PushStream<number>(() => {
    cancelled += 1;
  });
  stream.push(1);
  for await (const _ of stream) break;
  assert.equal(cancelled, 1);
  const whole = new PushStream<number>(() => {
    cancelled += 1;
  });
  whole.close();
  assert.deepEqual(await read(whole), []);
  await whole.return();
  assert.equal(cancelled, 1);
});
