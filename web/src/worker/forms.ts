// The forms of the GPU's products: on one device one is twice as fast as another, on
// the next it does not even compile. So each is timed, and the fastest that proves
// itself is used.

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
  /** Of the benchmark. */
  readonly ms: number;
  /** Activations to bytes. */
  readonly rounds: boolean;
}

/** Those that this device takes, the fastest first; it is selected. */
export async function timeForms(host: GpuHost, core: Core): Promise<Form[]> {
  const { exports } = core;
  const forms: Form[] = [];
  let why: unknown;
  for (let index = 0; index < core.check(exports.slm_dot_count()); index++) {
    try {
      await host.compile(() => core.check(exports.slm_dot_bench(index, 1)));
      forms.push({
        index,
        name: core.string(exports.slm_dot_name(index)),
        ms: await time(core, index),
        rounds: exports.slm_dot_rounds(index) === 1,
      });
    } catch (error) {
      why = mayTryAnother(error);
    }
  }
  if (forms.length === 0) throw why;
  forms.sort((a, b) => costOf(a) - costOf(b));
  select(core, forms[0]!);
  return forms;
}

/** The first form that computes what it should. `compile` has what it needs compiled; for the first one
 *  that has begun already. */
export async function provenForm(
  model: Model,
  forms: readonly Form[],
  begun: Promise<void>,
  compile: () => Promise<void>,
): Promise<{ readonly form: Form; readonly check: Check }> {
  let why: unknown;
  for (const [i, form] of forms.entries()) {
    try {
      select(model.core, form);
      await (i === 0 ? begun : compile());
      return { form, check: mustPass(await checkKernels(model)) };
    } catch (error) {
      why = mayTryAnother(error);
    }
  }
  throw why;
}

const costOf = ({ ms, rounds }: Form) => (rounds ? WORTH_ROUNDING * ms : ms);

function select(core: Core, { index }: Form): void {
  core.check(core.exports.slm_dot_select(index));
}

/** The best of a few rounds, of which the first warms up. On a device so slow that one takes long, more
 *  would tell nothing new. */
async function time(core: Core, index: number): Promise<number> {
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
