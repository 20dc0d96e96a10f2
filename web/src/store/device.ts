// What this device can give a model: the numbers for the rule in room.ts, and its
// verdict as codes and figures. Nothing is fetched and nothing is kept.

import type { ContextNotice } from '../api/notices';
import type { Manifest } from '../api/types';
import { SlmError } from '../core/error';
import { LEAST_RESERVED, MOST_BYTES, reserveMemory } from '../core/reserve';
import { fit, type Limits, linearBytes, shorterNotice, whyRefused } from './room';

export interface Wish {
  /** Context length in tokens; by default the manifest's. */
  readonly n_ctx?: number | undefined;
  /** Open it although the estimate of the device's memory says no. */
  readonly force?: boolean | undefined;
}

/** With what a model can be opened here. */
export interface Room {
  readonly n_ctx: number;
  /** Bytes of memory that it is expected to take. */
  readonly needed: number;
  /** When the context is shorter than it was to be. */
  readonly notice: ContextNotice | null;
}

/** What the rule has to know of a model. */
export type Needs = Pick<Manifest, 'title' | 'memory' | 'context_length' | 'size'>;

/** Finds room for a model, or throws too_large with the numbers. */
export function findRoom(manifest: Omit<Needs, 'size'>, limits: Limits, { n_ctx, force }: Wish): Room {
  const { memory, title } = manifest;
  const wanted = Math.min(n_ctx ?? memory.n_ctx_default, manifest.context_length);
  const found = fit(memory, wanted, limits, force);
  const { needed, available } = found;
  if (found.verdict === 'refused')
    throw new SlmError('too_large', whyRefused(title, limits, found), {
      details: { needed, available: available!, estimate: found.limit === 'device' },
    });
  const notice = found.verdict === 'shorter' ? shorterNotice(memory, wanted, limits, found) : null;
  return { n_ctx: found.n_ctx, needed, notice };
}

/** The limits here. `stored`: the files are on this device already, else they may have to stay in
 *  memory. */
export async function measure(
  manifest: Pick<Needs, 'memory' | 'size'>,
  storage: 'opfs' | 'memory',
  stored: boolean,
): Promise<Limits> {
  const { deviceMemory = null } = navigator as Navigator & { readonly deviceMemory?: number };
  const kept = stored || (storage === 'opfs' && (await canStore(manifest.size)));
  return { wasm: wasmLimit(manifest), deviceMemory, blob: kept ? 0 : manifest.size };
}

/** Asks for addresses only when it matters: the reservation lives until it is collected. */
function wasmLimit({ memory }: Pick<Needs, 'memory'>): number {
  if (!globalThis.crossOriginIsolated || linearBytes(memory, memory.n_ctx_default) <= LEAST_RESERVED)
    return MOST_BYTES;
  return reserveMemory()?.maximum ?? LEAST_RESERVED;
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
