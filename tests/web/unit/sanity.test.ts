// What is told of a GPU's tokens while it is in doubt.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlmError } from '../../../web/src/core/error';
import type { Model } from '../../../web/src/core/model';
import type { Session } from '../../../web/src/core/session';
import { GpuFailure, type GpuFault } from '../../../web/src/gpu/failure';
import type { TokenReport } from '../../../web/src/worker/protocol';
import { Sanity } from '../../../web/src/worker/sanity';

const PAD = 0;
const OTHER_PAD = 1;
/** One space, which the beginning of a text leaves out. */
const SPACE = 2;
const WORD = 9;

const TEXTS = new Map([
  [PAD, ''],
  [OTHER_PAD, ''],
  [SPACE, ' '],
  [WORD, 'word'],
]);

const model = {
  detokenize: (ids: readonly number[]) =>
    new TextEncoder().encode(
      ids
        .map((id) => TEXTS.get(id))
        .join('')
        .replace(/^ /, ''),
    ),
} as unknown as Model;

function sanity(prove: (() => Promise<void>) | null, failure?: SlmError): Sanity {
  const sample = () => {
    if (failure !== undefined) throw failure;
    return WORD;
  };
  return new Sanity(model, { sample } as unknown as Session, prove);
}

const wrong = (notice: GpuFault) => () => Promise.reject(new GpuFailure(notice));
const WRONG: GpuFault = { code: 'gpu_wrong', check: 'known_answer', error: 1, bound: 0 };
const noticeOf = ({ notice }: GpuFailure) => notice;

/** The tokens that are told after each of those that come. */
async function toldAfter(sane: Sanity, tokens: readonly number[]): Promise<number[][]> {
  const told: number[][] = [];
  for (const token of tokens) {
    const reports = await sane.vetted({ token } as TokenReport);
    told.push(reports.map((report) => report.token));
  }
  return told;
}

const repeat = (token: number, n: number) => Array.from({ length: n }, () => token);

test('logits that are no numbers are the GPU’s fault, or the file’s', () => {
  const logits = () => Float32Array.of(1, Number.NaN, -2);
  const sane = (prove: (() => Promise<void>) | null) =>
    new Sanity(model, { logits } as unknown as Session, prove);
  assert.deepEqual(sane(null).logits([2, 0]), [-2, 1]);
  assert.throws(() => sane(null).logits([0, 1]), { code: 'bad_file' });
  assert.throws(
    () => sane(() => Promise.resolve()).logits([0, 1]),
    (error) => noticeOf(error as GpuFailure).code === 'gpu_senseless',
  );
});

test('a run without text waits until another token comes', async () => {
  const sane = sanity(wrong(WRONG));
  assert.deepEqual(await toldAfter(sane, [WORD, PAD, PAD, WORD, PAD, OTHER_PAD, WORD]), [
    [WORD],
    [],
    [],
    [PAD, PAD, WORD],
    [],
    [PAD],
    [OTHER_PAD, WORD],
  ]);
  assert.deepEqual(await toldAfter(sane, [PAD]), [[]]);
  assert.deepEqual(
    sane.held().map(({ token }) => token),
    [PAD],
  );
  assert.deepEqual(sane.held(), []);
});

test('eight of them are told when the device proves itself, and then nothing waits any more', async () => {
  let proofs = 0;
  const sane = sanity(async () => {
    proofs += 1;
  });
  const told = await toldAfter(sane, repeat(PAD, 20));
  assert.deepEqual(told.slice(0, 7).flat(), []);
  assert.deepEqual(told[7], repeat(PAD, 8));
  assert.deepEqual(
    told.slice(8),
    repeat(PAD, 12).map((token) => [token]),
  );
  assert.equal(proofs, 1);
});

test('none of them is told when it does not', async () => {
  const sane = sanity(wrong(WRONG));
  assert.deepEqual((await toldAfter(sane, repeat(PAD, 7))).flat(), []);
  await assert.rejects(toldAfter(sane, [PAD]), (error: GpuFailure) => {
    assert.deepEqual(noticeOf(error), { code: 'gpu_senseless', repeated: 8 });
    return true;
  });
});

test('a device that is lost meanwhile is lost', async () => {
  const lost: GpuFault = { code: 'gpu_lost', losses: 1 };
  await assert.rejects(toldAfter(sanity(wrong(lost)), repeat(PAD, 8)), (error: GpuFailure) => {
    assert.deepEqual(noticeOf(error), lost);
    return true;
  });
});

test('a space is text, and on the CPU everything is told at once', async () => {
  assert.deepEqual((await toldAfter(sanity(wrong(WRONG)), repeat(SPACE, 9))).flat(), repeat(SPACE, 9));
  assert.deepEqual((await toldAfter(sanity(null), repeat(PAD, 9))).flat(), repeat(PAD, 9));
});

test("what is no number is the fault of a GPU, and what is forbidden is nobody's", () => {
  const bad = new SlmError('bad_file', 'no numbers');
  assert.throws(
    () => sanity(wrong(WRONG), bad).sample(),
    (error: GpuFailure) => noticeOf(error).code === 'gpu_senseless',
  );
  assert.throws(() => sanity(null, bad).sample(), bad);
  const forbidden = new SlmError('invalid_argument', 'forbidden');
  assert.throws(() => sanity(wrong(WRONG), forbidden).sample(), forbidden);
});
