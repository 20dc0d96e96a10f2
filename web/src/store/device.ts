// What this device can give a model: the numbers for the rule in room.ts, and its
// verdict as codes and figures. Nothing is fetched and nothing is kept.

import type { Backend } from '../api/backend';
import type { ContextNotice } from '../api/notices';
import type { Manifest } from '../api/types';
import { SlmError } from '../core/error';
import { LEAST_RESERVED, MOST_BYTES, reserveMemory } from '../core/reserve';
import { findAdapter } from '../gpu/device';
import { fit, type Limits, linearBytes, shorterNotice, whyRefused } from './room';

export interface Wish {
  /** Context length in tokens; by default the manifest's. */
  readonly n_ctx?: number | undefined;
  /** Open it although the estimate of the device's memory says no. */
  readonly force?: boolean | undefined;
  /** Where it is to compute; 'auto' by default. */
  readonly backend?: 'auto' | Backend | undefined;
}

/** With what a model can be opened here. */
export interface Room {
  readonly n_ctx: number;
  /** Bytes of memory that it is expected to take. */
  readonly needed: number;
  /** When the context is shorter than it was to be. */
  readonly notice: ContextNotice | null;
  /** It is more than the CPU could have here. */
  readonly needs_gpu: boolean;
}

/** What the rule has to know of a model. */
export type Needs = Pick<Manifest, 'title' | 'memory' | 'context_length' | 'size'>;

/** Finds room for a model, or throws too_large with the numbers. */
export function findRoom(manifest: Omit<Needs, 'size'>, limits: Limits, { n_ctx, force }: Wish): Room {
  const { memory, title } = manifest;
  const wanted = Math.min(n_ctx ?? memory.n_ctx_default, manifest.context_length);
  const found = fit(memory, wanted, limits, force);
  const { needed, available, needs_gpu } = found;
  if (found.verdict === 'refused')
    throw new SlmError('too_large', whyRefused(title, limits, found), {
      details: { needed, available: available!, estimate: found.limit === 'device' },
    });
  const notice = found.verdict === 'shorter' ? shorterNotice(memory, wanted, limits, found) : null;
  return { n_ctx: found.n_ctx, needed, notice, needs_gpu };
}

/** The limits here. `stored`: the files are on this device already, else they may have to stay in
 *  memory. */
export async function measure(
  manifest: Pick<Needs, 'memory' | 'size'>,
  storage: 'opfs' | 'memory',
  stored: boolean,
  { backend = 'auto' }: Wish,
): Promise<Limits> {
  const { deviceMemory = null } = navigator as Navigator & { readonly deviceMemory?: number };
  const kept = stored || (storage === 'opfs' && (await canStore(manifest.size)));
  const gpu = isLarge(manifest) && backend !== 'cpu' && (await hasGpu(backend));
  return { wasm: wasmLimit(manifest), deviceMemory, gpu, blob: kept ? 0 : manifest.size };
}

/** Whether it matters what there is beyond the least. */
const isLarge = ({ memory }: Pick<Needs, 'memory'>) =>
  linearBytes(memory, memory.n_ctx_default) > LEAST_RESERVED;

/** The reservation of addresses lives until it is collected. */
function wasmLimit(manifest: Pick<Needs, 'memory'>): number {
  if (!globalThis.crossOriginIsolated || !isLarge(manifest)) return MOST_BYTES;
  return reserveMemory()?.maximum ?? LEAST_RESERVED;
}

/** One that is emulated has the processor's memory and no other. */
async function hasGpu(backend: 'auto' | Backend): Promise<boolean> {
  return findAdapter({ software: backend === 'webgpu' }).then(
    () => true,
    () => false,
  );
}

async function canStore(size: number): Promise<boolean> {
  try {
    await navigator.storage.getDirectory();
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined || usage === undefined || size <= quota - usage;
  } catch {
    return false; // private windows and old engines: the store says so in its own words
  }
}
