// What is checked before a model is used: the kernels one by one, then the whole
// model against the known answer of its manifest. It says what it found as figures
// and sentences; what follows from a failure is main.ts's.

import type { Check, KnownAnswer } from '../api/backend';
import { SlmError } from '../core/error';
import { compare } from '../core/known_answer';
import type { Model } from '../core/model';
import { Session } from '../core/session';
import { formatBytes } from '../core/units';
import { GpuFailure } from '../gpu/failure';
import type { GpuHost } from '../gpu/host';

/** Products, embedding, attention and drawing, as the model needs them on a GPU, or what its encoder of pictures
 *  needs; the first that is wrong ends it. */
export async function checkKernels(model: Model, of: Pick<Model, 'checks'> = model): Promise<Check> {
  const { count, bound } = of.checks();
  let worst = { name: '', error: 0 };
  for (let i = 0; i < count; i++) {
    const { name, error } = await model.check(i);
    if (!(error <= worst.error)) worst = { name, error };
    if (!(error <= bound)) break;
  }
  const passed = worst.error <= bound;
  const detail = passed
    ? `${count} kernels compute what they should; ${worst.name} is furthest off.`
    : `The kernel ${worst.name} computes something else than it should.`;
  return { name: 'kernels', state: passed ? 'passed' : 'failed', error: worst.error, bound, detail };
}

/** Whether the weights on the device are those that were sent there. */
export async function checkWeights(host: GpuHost): Promise<Check> {
  const { bytes, wrong } = await host.prove();
  const state = wrong === 0 ? 'passed' : 'failed';
  const detail =
    wrong === 0
      ? `${formatBytes(bytes)} on the device are those that were sent there.`
      : `${wrong} buffers on the device hold something else than was sent there.`;
  return { name: 'weights', state, error: null, bound: null, detail };
}

/** What activations rounded to bytes may make of a known answer, as far as a few tokens tell anything of them:
 *  0.10 to 0.15 on the CPU, where every product of every token rounds; what is wrong, not coarse, is off by 1. */
const ROUNDED_BOUND = 0.5;
const NOTHING = new Int32Array();

/** In an exact session, whose error is small, and on a GPU also in `session`, which will be used, and which rounds
 *  there what it keeps in its cache, and activations where the form of the products does. That one is empty again
 *  after it. Of several answers the check that is furthest off, or the first that failed. */
export async function checkAnswer(
  model: Model,
  session: Session | null,
  answers: readonly KnownAnswer[],
  rounds = false,
): Promise<Check> {
  if (answers.length === 0)
    return absent('known_answer', 'The manifest has no known answer; pack the model again to have one.');
  const length = Math.max(...answers.map(({ tokens }) => tokens.length));
  const all = [0, model.describe().n_layer] as const;
  const [, end] = answers.at(-1)!.layers ?? all;
  if (end !== all[1])
    throw new SlmError(
      'bad_manifest',
      `Expected known answers of all ${all[1]} layers, found them of ${end}; pack the model again.`,
    );
  const exact = new Session(model, length, length);
  try {
    exact.exact(true);
    await exact.settle();
    let worst: Check | null = null;
    for (const answer of answers) {
      model.consistOf(answer.layers ?? all);
      const check = await checkOne(exact, session, answer, rounds);
      if (check.state === 'failed') return check;
      if (worst === null || check.error! > worst.error!) worst = check;
    }
    return worst!;
  } finally {
    model.consistOf(all);
    exact.free();
  }
}

async function checkOne(
  exact: Session,
  session: Session | null,
  answer: KnownAnswer,
  rounds: boolean,
): Promise<Check> {
  exact.reuse(NOTHING);
  const check = await heldTo(answer, exact, answer.bound);
  if (check.state === 'failed' || session === null || answer.tokens.length > session.n_ctx) return check;
  const used = await heldTo(answer, session, rounds ? ROUNDED_BOUND : answer.f16_bound);
  session.reuse(NOTHING);
  return used.state === 'failed' ? used : check;
}

/** All but the last token at once and that one alone, so that both kinds of kernels take part; a text that is
 *  embedded comes whole. */
async function heldTo(answer: KnownAnswer, session: Session, most: number): Promise<Check> {
  const { tokens, layers } = answer;
  const last = session.embeds ? 0 : tokens.length - 1;
  for (let at = 0; at < last; at += session.n_batch) {
    session.eval(tokens.slice(at, Math.min(last, at + session.n_batch)), 'nothing');
    await session.settle();
  }
  session.eval(tokens.slice(last), session.embeds ? 'embedding' : 'logits');
  await session.settle();
  const { error, bound, passed, worst } = compare(answer, session.logits(), most);
  const of = layers === undefined ? '' : `, of the layers ${layers[0]} to ${layers[1] - 1}`;
  const detail = passed
    ? `The logits of ${answer.ids.length} tokens are those of the manifest${of}.`
    : `The logit of token ${worst.id} is ${worst.found.toFixed(3)}, where the manifest says ${worst.expected.toFixed(3)}${of}.`;
  return { name: 'known_answer', state: passed ? 'passed' : 'failed', error, bound, detail };
}

/** Throws for a check that a GPU has failed. */
export function mustPass(check: Check): Check {
  const { name, state, error, bound, detail } = check;
  if (state === 'failed') throw new GpuFailure({ code: 'gpu_wrong', check: name, error, bound }, detail);
  return check;
}

const absent = (name: Check['name'], detail: string): Check => ({
  name,
  state: 'absent',
  error: null,
  bound: null,
  detail,
});
