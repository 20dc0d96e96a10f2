// The GPU's part in loading a model: opening the device, and having the programs
// that the model needs compiled while its weights come.

import type { Core } from '../core/core';
import type { Model } from '../core/model';
import { OPERATIONS } from '../generated/gpu';
import { GpuHost } from '../gpu/host';
import { expand } from '../gpu/shaders';
import type { Meter } from '../store/meter';

const FORM_ROUNDS = 5;
const FORM_PRODUCTS = 8;
const FORM_MS = 50;

export function openGpu(wish: { readonly software: boolean }): Promise<GpuHost> {
  return GpuHost.open({ operations: OPERATIONS, expand }, wish);
}

/** Times every form of the products and selects the fastest; returns its name. The core only encodes, so
 *  the clock runs until the device is done. */
export async function chooseForm(host: GpuHost, core: Core): Promise<string> {
  const { exports } = core;
  const forms = Array.from({ length: core.check(exports.slm_dot_count()) }, (_, i) => i);
  const times: number[] = [];
  host.collect = true;
  for (const form of forms) core.check(exports.slm_dot_bench(form, 1));
  host.collect = false;
  await host.compiled();
  for (const form of forms) {
    let best = Number.POSITIVE_INFINITY;
    // The first round warms up; on a device so slow that one takes long, more would tell nothing new.
    for (let round = 0; round < FORM_ROUNDS && best * round < FORM_MS; round++) {
      const start = performance.now();
      core.check(exports.slm_dot_bench(form, FORM_PRODUCTS));
      await host.done();
      best = Math.min(best, performance.now() - start);
    }
    times.push(best);
  }
  const fastest = times.indexOf(Math.min(...times));
  core.check(exports.slm_dot_select(fastest));
  return core.string(exports.slm_dot_name(fastest));
}

/** Names all pipelines of the model and its self-tests; resolves when they are compiled. */
export async function compile(
  host: GpuHost,
  model: Model,
  shape: { readonly n_ctx: number; readonly n_batch: number },
  meter: Meter,
): Promise<void> {
  host.collect = true;
  try {
    model.prepare(shape.n_ctx, shape.n_batch);
    for (let i = 0; i < model.checks().count; i++) model.startCheck(i);
  } finally {
    host.collect = false;
  }
  await host.compiled((done, total) => meter.pipelines(done, total));
}
