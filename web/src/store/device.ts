// What this device can give a model: the numbers for the rule in room.ts, and its
// verdict as codes and figures. Nothing is fetched and nothing is kept.

import type { Backend } from '../api/backend';
import type { ContextNotice } from '../api/notices';
import type { Manifest } from '../api/types';
import { SlmError } from '../core/error';
import { LEAST_RESERVED, MOST_BYTES, reserveMemory } from '../core/reserve';
import { findAdapter } from '../gpu/device';
import { fit, type Limits, linearBytes, memoryOf, shorterNotice, whyRefused } from './room';

export interface Wish {
  /** Context length in tokens; by default the manifest's. */
  readonly n_ctx?: number | undefined;
  /** Open it although the estimate of the device's memory says no. */
  readonly force?: boolean | undefined;
  /** Where it is to compute; 'auto' by default. */
  readonly backend?: 'auto' | Backend | undefined;
  /** Bytes that another model of the page has, which stays open; none by default. */
  readonly taken?: number | undefined;
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
export type Needs = Pick<Manifest, 'title' | 'memory' | 'context_length' | 'size' | 'vision'>;

/** Finds room for a model, or throws too_large with the numbers. */
export function findRoom(manifest: Omit<Needs, 'size'>, limits: Limits, wish: Wish): Room {
  const { title } = manifest;
  const memory = memoryOf(manifest);
  const wanted = wantedContext(manifest, wish);
  const found = fit(memory, wanted, limits, wish.force);
  const { needed, available, needs_gpu } = found;
  if (found.verdict === 'refused') {
    const cpu_chosen = wish.backend === 'cpu';
    throw new SlmError('too_large', whyRefused(title, limits, found, cpu_chosen), {
      details: { needed, available: available!, estimate: found.limit === 'device', cpu_chosen },
    });
  }
  const notice = found.verdict === 'shorter' ? shorterNotice(memory, wanted, limits, found) : null;
  return { n_ctx: found.n_ctx, needed, notice, needs_gpu };
}

const wantedContext = (
  { memory, context_length }: Pick<Needs, 'memory' | 'context_length'>,
  { n_ctx }: Wish,
) => Math.min(n_ctx ?? memory.n_ctx_default, context_length);

/** The limits here. `stored`: the files are on this device already, else they may have to stay in
 *  memory. */
export async function measure(
  manifest: Omit<Needs, 'title'>,
  storage: 'opfs' | 'memory',
  stored: boolean,
  wish: Wish,
): Promise<Limits> {
  const { backend = 'auto', taken = 0 } = wish;
  const { deviceMemory = null } = navigator as Navigator & { readonly deviceMemory?: number };
  const kept = stored || (storage === 'opfs' && (await canStore(manifest.size)));
  // Whether it matters what there is beyond the least.
  const isLarge = linearBytes(memoryOf(manifest), wantedContext(manifest, wish)) > LEAST_RESERVED;
  const gpu = isLarge && backend !== 'cpu' && (await hasGpu(backend));
  const blob = kept ? 0 : manifest.size;
  return { wasm: isLarge ? wasmLimit() : MOST_BYTES, deviceMemory, gpu, blob, taken };
}

/** The reservation of addresses lives until it is collected. */
function wasmLimit(): number {
  if (!globalThis.crossOriginIsolated) return MOST_BYTES;
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
