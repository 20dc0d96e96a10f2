// Chooses the variant of the core and the number of threads from what the
// browser can do, and says why: in one sentence, and as codes for who has other
// words. Each missing feature costs one step; a browser without WebAssembly SIMD ends in an error, because a scalar
// core would be too slow to be worth its download.

import type { VariantNotice } from '../api/notices';
import type { Variant } from '../api/types';
import { SlmError } from '../core/error';
import { VARIANTS } from '../generated/abi';
import type { Probe } from './probe';

export interface Choice {
  readonly variant: Variant;
  readonly threads: number;
  readonly reason: string;
  readonly notices: readonly VariantNotice[];
}

/** On the GPU the processor only encodes: the variant is one, and so is the thread. */
export const GPU_CHOICE: Choice = {
  variant: 'webgpu',
  threads: 1,
  reason: 'One thread hands the work to the GPU.',
  notices: [],
};

export interface Wish {
  readonly variant?: Variant | undefined;
  readonly threads?: number | undefined;
}

const MAX_THREADS = 64;

const SIMD = {
  relaxed_simd: 'relaxed SIMD',
  plain_simd: 'SIMD without its relaxed instructions, which this browser lacks (slower)',
} as const;

export function chooseVariant(probe: Probe, wish: Wish = {}): Choice {
  if (!probe.wasm)
    throw new SlmError(
      'unsupported',
      'Expected a browser with WebAssembly, found none (it may be switched off); use a current Chrome, Edge, Firefox or Safari.',
    );
  if (!probe.simd)
    throw new SlmError(
      'unsupported',
      'Expected a browser with WebAssembly SIMD, found one without it; use Chrome or Edge 91, Firefox 89, Safari 16.4 or later.',
    );
  if (
    wish.threads !== undefined &&
    !(Number.isInteger(wish.threads) && wish.threads >= 1 && wish.threads <= MAX_THREADS)
  )
    throw new SlmError(
      'invalid_argument',
      `Expected threads to be a whole number from 1 to ${MAX_THREADS}, found ${wish.threads}.`,
    );

  const canThread = probe.threads && probe.crossOriginIsolated;
  // More threads than processors only take each other's: between two tokens the main one alone can
  // go on, and beside busy programs four on two processors fell to 0.8 of what one does.
  const wanted = Math.min(wish.threads ?? defaultThreads(probe.cores), Math.max(1, probe.cores));
  if (wish.variant !== undefined) return forced(wish.variant, probe, canThread, wanted);

  const threads = canThread ? wanted : 1;
  const variant = VARIANTS.find(
    (v) => v.backend === 'cpu' && (v.simd === 'relaxed') === probe.relaxedSimd && v.threads === threads > 1,
  )!.name;
  const simd = probe.relaxedSimd ? 'relaxed_simd' : 'plain_simd';
  const team = threadNotice(probe, canThread, wanted);
  const reason = `Runs with ${SIMD[simd]} on ${onThreads(team)}.`;
  return { variant, threads, reason, notices: [{ code: simd }, team] };
}

/** All of a few processors, half of many (the other half are hyperthreads or a phone's slow cores),
 *  and never more than eight, whose pieces of work would be too small to be worth taking. */
function defaultThreads(cores: number): number {
  return Math.min(8, Math.max(Math.min(cores, 4), Math.floor(cores / 2)));
}

type ThreadNotice = Extract<
  VariantNotice,
  { code: 'one_thread' | 'threads' | 'no_threads' | 'not_isolated' }
>;

function threadNotice(probe: Probe, canThread: boolean, wanted: number): ThreadNotice {
  if (wanted === 1) return { code: 'one_thread' };
  if (canThread) return { code: 'threads', threads: wanted, cores: probe.cores };
  return { code: probe.crossOriginIsolated ? 'no_threads' : 'not_isolated' };
}

function onThreads(team: ThreadNotice): string {
  switch (team.code) {
    case 'one_thread':
      return 'one thread';
    case 'threads':
      return `${team.threads} threads of ${team.cores} logical processors`;
    case 'no_threads':
      return 'one thread, because this browser has no WebAssembly threads';
    case 'not_isolated':
      return 'one thread, because the page is not cross-origin isolated (its server sends no COOP and COEP headers)';
  }
}

function forced(variant: Variant, probe: Probe, canThread: boolean, wanted: number): Choice {
  const { simd, threads } = VARIANTS.find((v) => v.name === variant) ?? unknown(variant);
  if (simd === 'relaxed' && !probe.relaxedSimd)
    throw new SlmError(
      'unsupported',
      `Expected a browser with relaxed SIMD for the variant ${variant}, found none; leave out the option.`,
    );
  if (threads && !canThread)
    throw new SlmError(
      'unsupported',
      `Expected a cross-origin isolated page for the variant ${variant}, found another; leave out the option.`,
    );
  return {
    variant,
    threads: threads ? wanted : 1,
    reason: `Runs the variant ${variant}, as asked.`,
    notices: [{ code: 'variant_asked', variant }],
  };
}

function unknown(variant: string): never {
  throw new SlmError(
    'invalid_argument',
    `Expected a variant out of ${VARIANTS.map((v) => v.name).join(', ')}, found ${variant}.`,
  );
}
