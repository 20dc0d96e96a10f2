// The GPU's part in loading a model: opening the device, and having the programs
// that the model needs compiled while its weights come.

import type { Model } from '../core/model';
import { OPERATIONS } from '../generated/gpu';
import { GpuHost } from '../gpu/host';
import { expand } from '../gpu/shaders';
import type { Meter } from '../store/meter';

export function openGpu(wish: { readonly software: boolean }): Promise<GpuHost> {
  return GpuHost.open({ operations: OPERATIONS, expand }, wish);
}

/** Names all pipelines of the model and its self-tests; resolves when they are compiled. */
export async function compile(
  host: GpuHost,
  model: Model,
  shape: { readonly n_ctx: number; readonly n_batch: number },
  meter: Meter,
): Promise<void> {
  const named = () => {
    model.prepare(shape.n_ctx, shape.n_batch);
    for (let i = 0; i < model.checks().count; i++) model.startCheck(i);
  };
  await host.compile(named, (done, total) => meter.pipelines(done, total));
}
