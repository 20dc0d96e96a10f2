// A download on a line that fails, on a clock that only the test moves.

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { LoadProgress, ManifestFile } from '../../../web/src/api/types';
import { SlmError } from '../../../web/src/core/error';
import { type DownloadOptions, download } from '../../../web/src/store/download';
import { toHex } from '../../../web/src/store/manifest';
import { Meter } from '../../../web/src/store/meter';
import { MemorySink } from '../../../web/src/store/sink';

const BYTES = new Uint8Array(1000).fill(7);
const LOST_WITHIN_MS = 3000;
const LONGEST_PAUSE_MS = 5000;

/** One request for a chunk, as the test answers it. */
interface Asked {
  readonly range: string | null;
  readonly answer: (response: Response) => void;
  /** Lets these bytes come, and then nothing. */
  readonly stall: (bytes: Uint8Array<ArrayBuffer>) => void;
  readonly fail: () => void;
}

interface Run {
  readonly asked: Asked[];
  readonly network: EventTarget;
  readonly reports: LoadProgress[];
  readonly done: Promise<unknown>;
  /** Moves the clock. */
  readonly pass: (ms: number) => Promise<void>;
}

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
  await new Promise((resolve) => setImmediate(resolve));
}

declare function setImmediate(callback: (value: unknown) => void): void;

async function run(body: (run: Run) => Promise<void>): Promise<void> {
  const sha256 = toHex(await crypto.subtle.digest('SHA-256', BYTES));
  const chunk = { sha256, size: BYTES.length };
  const file: ManifestFile = { name: 'a.gguf', size: BYTES.length, sha256, chunks: [chunk] };
  const realFetch = globalThis.fetch;
  const realNow = performance.now;
  mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  performance.now = () => now;
  const asked: Asked[] = [];
  globalThis.fetch = (_, init) =>
    new Promise((resolve, reject) => {
      const signal = init?.signal;
      signal?.addEventListener('abort', () => reject(signal.reason));
      const range = new Headers(init?.headers).get('Range');
      const stall = (bytes: Uint8Array<ArrayBuffer>) => {
        const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
          start(stream) {
            stream.enqueue(bytes);
            signal?.addEventListener('abort', () => stream.error(signal.reason));
          },
        });
        resolve(new Response(body));
      };
      asked.push({ range, answer: resolve, stall, fail: () => reject(new TypeError('Failed to fetch')) });
    });
  const network = new EventTarget();
  const reports: LoadProgress[] = [];
  const options: DownloadOptions = {
    baseUrl: 'https://site.test/',
    signal: new AbortController().signal,
    meter: new Meter((report) => reports.push(report)),
    cache: 'no-store',
    retryMs: 500,
    network,
  };
  try {
    const done = download([new MemorySink(file)], options).catch((error: unknown) => error);
    await settle();
    const pass = async (ms: number) => {
      now += ms;
      mock.timers.tick(ms);
      await settle();
    };
    await body({ asked, network, reports, done, pass });
  } finally {
    globalThis.fetch = realFetch;
    performance.now = realNow;
    mock.timers.reset();
  }
}

const rest = (from: number) =>
  new Response(BYTES.slice(from), { status: 206, headers: { 'Content-Range': `bytes ${from}-999/1000` } });

test('a download of which nothing comes any more is lost, without rate and time left', () =>
  run(async ({ asked, reports, pass, done, network }) => {
    asked[0]!.stall(BYTES.slice(0, 400));
    await settle();
    await pass(100);
    assert.equal(reports.at(-1)!.phase, 'download');
    assert(reports.at(-1)!.rate !== null);
    await pass(LOST_WITHIN_MS);
    const { phase, loaded, total, rate, remaining } = reports.at(-1)!;
    assert.deepEqual([phase, loaded, total, rate, remaining], ['lost', 400, 1000, null, null]);
    network.dispatchEvent(new Event('online'));
    await settle();
    asked.at(-1)!.answer(rest(400));
    assert.equal(await done, undefined);
    assert.equal(reports.at(-1)!.phase, 'download');
  }));

test('a line that is there again ends every pause and every silent connection at once', () =>
  run(async ({ asked, network, pass, done }) => {
    const online = async () => {
      network.dispatchEvent(new Event('online'));
      await settle();
    };
    asked[0]!.fail();
    await settle();
    assert.equal(asked.length, 1); // it pauses
    await online();
    assert.equal(asked.length, 2);
    asked[1]!.stall(BYTES.slice(0, 400));
    await settle();
    await online(); // it has just heard of this one
    assert.equal(asked.length, 2);
    await pass(2000);
    await online();
    assert.equal(asked.length, 3);
    assert.equal(asked[2]!.range, 'bytes=400-');
    asked[2]!.answer(rest(400));
    assert.equal(await done, undefined);
  }));

test('pauses are short and bounded, and the end names no answer', () =>
  run(async ({ asked, pass, done }) => {
    const pauses: number[] = [];
    let error: unknown;
    done.then((found) => {
      error = found;
    });
    while (error === undefined) {
      const before = asked.length;
      asked[before - 1]!.fail();
      await settle();
      let pause = 0;
      for (; asked.length === before && error === undefined; pause += 100) await pass(100);
      if (error === undefined) pauses.push(pause);
    }
    assert(pauses.length >= 6);
    assert(Math.max(...pauses) <= LONGEST_PAUSE_MS + 100);
    assert(error instanceof SlmError);
    assert.deepEqual([error.code, error.details], ['network', { http_status: null }]);
  }));
