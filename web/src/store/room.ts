// The rule by which a page opens a model, shortens its context or refuses, before
// a byte of it is fetched: pure numbers, the device's are measured in device.ts.
// py/slmweb/plan/memory.py is the same rule for devices that are not at hand;
// tests/goldens/memory_rule.json holds the two together.

import type { ContextNotice } from '../api/notices';
import type { ContextMemory, Manifest } from '../api/types';
import { apart } from '../core/units';

/** Staging buffers, the tokenizer, the threads' stacks and the allocator's own. */
export const WORKING_BYTES = 32 * 1024 ** 2;
/** What a tab may take of the memory that a browser reports, which is coarse. The rest is for the
 *  system, the browser and other pages: a phone ends the tab that takes too much. */
export const DEVICE_SHARE = 0.4;
/** Browsers that report so many GiB mean: so much or more. */
const MOST_REPORTED = 8;
const GIB = 1024 ** 3;

export type Memory = Manifest['memory'];

export interface Limits {
  /** Bytes that linear memory can have. */
  readonly wasm: number;
  /** GiB, as navigator.deviceMemory reports them; null where it does not. */
  readonly deviceMemory: number | null;
  /** There is a GPU that may be used: its buffers are no linear memory, and its own limits are tried when
   *  the model is opened. */
  readonly gpu: boolean;
  /** Bytes that the download takes beside, when nothing is stored. */
  readonly blob: number;
  /** Bytes that another model of the page has, which stays open. */
  readonly taken: number;
}

export interface Fit {
  readonly verdict: 'fits' | 'shorter' | 'refused';
  readonly n_ctx: number;
  readonly needed: number;
  /** The limit that decided: nobody can change 'wasm', a person may overrule 'device', an estimate. */
  readonly limit: 'wasm' | 'device' | null;
  readonly available: number | null;
  /** More than linear memory can have: the GPU opens it, the CPU cannot. */
  readonly needs_gpu: boolean;
}

/** That of the model, and of its encoder of pictures as if it always worked: nobody knows when one comes. */
export function memoryOf({ memory, vision }: Pick<Manifest, 'memory' | 'vision'>): Memory {
  if (vision === undefined) return memory;
  return { ...memory, weights: memory.weights + vision.packed_bytes + vision.encode_bytes };
}

/** The longest context up to `n_ctx` with which a model can be opened. `force` leaves out the
 *  estimate. */
export function fit(memory: Memory, n_ctx: number, limits: Limits, force = false): Fit {
  const { wasm, blob, gpu } = limits;
  const available = force ? null : estimate(limits);
  const shorter = memory.contexts.map((context) => context.n_ctx).filter((n) => n < n_ctx);
  let wanted: Fit | null = null;
  let found: Fit | null = null;
  for (const length of [n_ctx, ...shorter.sort((a, b) => b - a)]) {
    const linear = linearBytes(memory, length);
    const needed = linear + blob;
    const refused = { verdict: 'refused', n_ctx: length, needs_gpu: false } as const;
    const opened = { n_ctx: length, needed, needs_gpu: linear > wasm };
    if (linear > wasm && !gpu) found = { ...refused, needed: linear, limit: 'wasm', available: wasm };
    else if (available !== null && needed > available)
      found = { ...refused, needed, limit: 'device', available };
    else if (wanted === null) return { verdict: 'fits', ...opened, limit: null, available: null };
    else return { verdict: 'shorter', ...opened, limit: wanted.limit, available: wanted.available };
    wanted ??= found;
  }
  return found!;
}

/** What a page should take of this device; null where nothing says how much it has. */
function estimate({ deviceMemory, gpu, taken }: Limits): number | null {
  if (deviceMemory === null || (gpu && deviceMemory >= MOST_REPORTED)) return null;
  return Math.max(0, Math.floor(DEVICE_SHARE * deviceMemory * GIB) - taken);
}

/** Linear memory that an engine takes with a context of `n_ctx` tokens. */
export function linearBytes({ weights, contexts }: Memory, n_ctx: number): number {
  return weights + bytesAt(contexts, n_ctx) + WORKING_BYTES;
}

/** Those of the next longer listed context, or by the last one's share beyond the list. */
function bytesAt(contexts: readonly ContextMemory[], n_ctx: number): number {
  const listed = [...contexts].sort((a, b) => a.n_ctx - b.n_ctx);
  const last = listed.at(-1);
  if (last === undefined) return 0;
  return (
    listed.find((context) => context.n_ctx >= n_ctx)?.bytes ?? Math.ceil((last.bytes * n_ctx) / last.n_ctx)
  );
}

const tokens = (n: number) => `${n.toLocaleString()} tokens`;

/** Why a context is shorter than `wanted`. */
export function shorterNotice(memory: Memory, wanted: number, limits: Limits, found: Fit): ContextNotice {
  const byDevice = found.limit === 'device';
  const needed = linearBytes(memory, wanted) + (byDevice ? limits.blob : 0);
  const figures = { n_ctx: found.n_ctx, wanted, needed, available: found.available! };
  return byDevice
    ? { code: 'context_by_device', ...figures, device_memory: limits.deviceMemory! }
    : { code: 'context_by_browser', ...figures };
}

/** The same in one sentence. */
export function whyShorter(notice: ContextNotice): string {
  const [needs, available] = apart(notice.needed, notice.available);
  const reported = notice.code === 'context_by_device' ? notice.device_memory : null;
  return (
    `The context is ${tokens(notice.n_ctx)} instead of ${tokens(notice.wanted)}, which would need ` +
    `${needs} of memory: ${mayTake(reported, available)}.`
  );
}

/** Why a model is not opened, and what to do. `cpuChosen`: nobody looked for a GPU. */
export function whyRefused(title: string, limits: Limits, found: Fit, cpuChosen: boolean): string {
  const blob = found.limit === 'device' && limits.blob > 0 ? ' (there is no room to store it)' : '';
  const advice =
    found.limit === 'wasm'
      ? `Choose a smaller model${cpuChosen ? '' : ', or a browser with WebGPU'}.`
      : 'More could close the tab. Choose a smaller model, or try anyway.';
  const [needs, available] = apart(found.needed, found.available!);
  return (
    `${title} needs ${needs} of memory even with a context of ${tokens(found.n_ctx)}${blob}, ` +
    `and ${mayTake(found.limit === 'device' ? limits.deviceMemory : null, available)}. ${advice}`
  );
}

/** `reported`: GiB that the device reports, where that decided. */
function mayTake(reported: number | null, available: string): string {
  return reported === null
    ? `this browser gives a page at most ${available}`
    : `a page should take at most ${available} of the ${reported} GB that this device reports`;
}
