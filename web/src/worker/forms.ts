// The forms of the GPU's products: on one device one is twice as fast as another, on
// the next it does not even compile. So each is timed, and the fastest that proves
// itself is used; what served at an earlier start has to prove itself alone.

import type { Check } from '../api/backend';
import type { Core } from '../core/core';
import type { Model } from '../core/model';
import { GpuFailure } from '../gpu/failure';
import type { GpuHost } from '../gpu/host';
import { checkKernels, mustPass } from './checks';

const ROUNDS = 5;
const PRODUCTS = 8;
const ENOUGH_MS = 50;
/** As much faster has to be what rounds. */
const WORTH_ROUNDING = 1.25;

export interface Form {
  readonly index: number;
  readonly name: string;
  /** Activations to bytes. */
  readonly rounds: boolean;
}

export interface TimedForm extends Form {
  /** Of the benchmark. */
  readonly ms: number;
}

/** Forms in the order in which to try them, each selected before it comes: first the one that served `earlier`, if
 *  there is one of that name, without timing any. */
export async function* formsInTurn(
  host: GpuHost,
  core: Core,
  earlier: string | undefined,
): AsyncGenerator<Form, undefined> {
  const known = allForms(core).find(({ name }) => name === earlier);
  if (known !== undefined) {
    select(core, known);
    yield known;
  }
  for (const form of await timeForms(host, core)) {
    if (form.index === known?.index) continue; // it has been tried
    select(core, form);
    yield form;
  }
}

/** Those that this device takes, the fastest first; it is selected. */
export async function timeForms(host: GpuHost, core: Core): Promise<TimedForm[]> {
  const forms: TimedForm[] = [];
  let why: unknown;
  for (const form of allForms(core)) {
    try {
      await host.compile(() => core.check(core.exports.slm_dot_bench(form.index, 1)));
      forms.push({ ...form, ms: await time(core, form) });
    } catch (error) {
      why = mayTryAnother(error);
    }
  }
  if (forms.length === 0) throw why;
  forms.sort((a, b) => costOf(a) - costOf(b));
  select(core, forms[0]!);
  return forms;
}

/** The first form that computes what it should. `compile` has what it needs compiled; for the `first` one that has
 *  begun already. */
export async function provenForm(
  model: Model,
  first: Form,
  others: AsyncIterator<Form, undefined>,
  begun: Promise<void>,
  compile: () => Promise<void>,
): Promise<{ readonly form: Form; readonly check: Check }> {
  let why: unknown;
  for (let form: Form | undefined = first; form !== undefined; form = (await others.next()).value) {
    try {
      await (form === first ? begun : compile());
      return { form, check: mustPass(await checkKernels(model)) };
    } catch (error) {
      why = mayTryAnother(error);
    }
  }
  throw why;
}

const costOf = ({ ms, rounds }: TimedForm) => (rounds ? WORTH_ROUNDING * ms : ms);

function allForms(core: Core): Form[] {
  const { exports } = core;
  return Array.from({ length: core.check(exports.slm_dot_count()) }, (_, index) => ({
    index,
    name: core.string(exports.slm_dot_name(index)),
    rounds: exports.slm_dot_rounds(index) === 1,
  }));
}

function select(core: Core, { index }: Form): void {
  core.check(core.exports.slm_dot_select(index));
}

/** The best of a few rounds, of which the first warms up. On a device so slow that one takes long, more
 *  would tell nothing new. */
async function time(core: Core, { index }: Form): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS && (round === 0 || best * round < ENOUGH_MS); round++) {
    const start = performance.now();
    core.check(core.exports.slm_dot_bench(index, PRODUCTS));
    await core.settle();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

/** The error, unless the device itself is gone or full. */
function mayTryAnother(error: unknown): GpuFailure {
  if (error instanceof GpuFailure && ['gpu_failed', 'gpu_wrong'].includes(error.notice.code)) return error;
  throw error;
}
