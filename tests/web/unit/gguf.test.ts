// A plain GGUF file on a line that falls silent, on a clock that only the test moves.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { SlmError } from '../../../web/src/core/error';
import type { Describer } from '../../../web/src/store/describe';
import { receive } from '../../../web/src/store/gguf';
import { MemoryIncoming } from '../../../web/src/store/incoming';
import { Meter } from '../../../web/src/store/meter';

const URL_OF = 'https://elsewhere.test/model.gguf';
const BYTES = new Uint8Array(1000).fill(7);
BYTES.set(new TextEncoder().encode('GGUF'));
const STALL_MS = 30_000;

interface Asked {
  readonly range: string | null;
  readonly answer: (response: Response) => void;
  readonly signal: AbortSignal;
}

declare function setImmediate(callback: (value: unknown) => void): void;

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** The first bytes of an answer, and then nothing. */
function stalled({ signal }: Asked, n: number): Response {
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(stream) {
      if (n > 0) stream.enqueue(BYTES.slice(0, n));
      signal.addEventListener('abort', () => stream.error(signal.reason));
    },
  });
  return new Response(body, { headers: { ETag: '"1"', 'Content-Length': '1000' } });
}

const rest = (from: number) =>
  new Response(BYTES.slice(from), {
    status: 206,
    headers: { ETag: '"1"', 'Content-Length': `${1000 - from}` },
  });

interface Run {
  readonly asked: Asked[];
  readonly network: EventTarget;
  readonly incoming: MemoryIncoming;
  readonly stop: AbortController;
  readonly done: Promise<unknown>;
  /** Moves the clock. */
  readonly pass: (ms: number) => Promise<void>;
}

async function run(body: (run: Run) => Promise<void>): Promise<void> {
  const realFetch = globalThis.fetch;
  mock.timers.enable({ apis: ['setTimeout'] });
  const asked: Asked[] = [];
  globalThis.fetch = (_, init) =>
    new Promise((resolve, reject) => {
      const signal = init!.signal!;
      signal.addEventListener('abort', () => reject(signal.reason));
      asked.push({ range: new Headers(init?.headers).get('Range'), answer: resolve, signal });
    });
  const describer = { described: 0, facts: null, head: () => false } as unknown as Describer;
  const incoming = new MemoryIncoming();
  const stop = new AbortController();
  const network = new EventTarget();
  const nothing = async () => {};
  try {
    const done = receive([URL_OF], [incoming], {
      signal: stop.signal,
      meter: new Meter(() => {}),
      retryMs: 500,
      network,
      describer,
      requireRoom: nothing,
      requireMemory: nothing,
    }).catch((error: unknown) => error);
    await settle();
    const pass = async (ms: number) => {
      mock.timers.tick(ms);
      await settle();
    };
    await body({ asked, network, incoming, stop, done, pass });
  } finally {
    globalThis.fetch = realFetch;
    mock.timers.reset();
  }
}

test('a connection that falls silent is made again, and goes on where it was', () =>
  run(async ({ asked, pass, done, incoming }) => {
    asked[0]!.answer(stalled(asked[0]!, 400));
    await settle();
    await pass(STALL_MS - 1000);
    assert.equal(asked.length, 1);
    await pass(1000);
    await pass(500);
    assert.equal(asked.length, 2);
    // The last byte comes again, so that there is always one to ask for.
    assert.equal(asked[1]!.range, 'bytes=399-');
    asked[1]!.answer(rest(399));
    assert.equal(await done, undefined);
    assert.deepEqual(await incoming.read(0, 1000), BYTES);
  }));

test('a server that never answers is named as one, and not as one that nobody may read', () =>
  run(async ({ asked, pass, done }) => {
    let error: unknown;
    done.then((found) => {
      error = found;
    });
    for (let i = 0; i < 20 && error === undefined; i++) {
      await pass(STALL_MS);
      await pass(5000);
    }
    assert(error instanceof SlmError);
    assert.equal(error.code, 'network');
    assert.match(error.message, /no byte for 30 s/);
    assert.deepEqual(error.details, { http_status: null });
    assert(asked.every(({ signal }) => signal.aborted));
  }));

test('a pause ends when the line is back, and at once when it is given up', () =>
  run(async ({ asked, network, pass, done, stop }) => {
    asked[0]!.answer(stalled(asked[0]!, 400));
    await settle();
    await pass(STALL_MS);
    network.dispatchEvent(new Event('online'));
    await settle();
    assert.equal(asked.length, 2);
    await pass(STALL_MS);
    stop.abort(new Error('given up'));
    assert.equal(String(await done), 'Error: given up');
  }));
