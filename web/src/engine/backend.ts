// Where a model is to compute, as far as it can be said before anything is loaded,
// and what the codes about it mean in one sentence each. That a GPU is there is no
// proof of it: the worker tries it, and team.ts hears how that went.

import type { Backend, BackendNotice } from '../api/backend';
import type { Variant } from '../api/types';
import { SlmError, type WireError } from '../core/error';
import { formatBytes } from '../core/units';
import { VARIANTS } from '../generated/abi';
import { findAdapter, nameOf } from '../gpu/device';
import { GpuFailure, type GpuFault } from '../gpu/failure';

export interface BackendWish {
  readonly backend?: 'auto' | Backend | undefined;
  readonly variant?: Variant | undefined;
}

/** Use a GPU and how, or why there is none to use. */
export type BackendChoice =
  | { readonly gpu: { readonly software: boolean }; readonly device: string }
  | { readonly gpu: null; readonly notice: BackendNotice };

/** `find` asks the browser; a variant that is asked for runs or fails. */
export async function chooseBackend(
  { backend = 'auto', variant }: BackendWish,
  find: typeof findAdapter = findAdapter,
): Promise<BackendChoice> {
  if (!['auto', 'webgpu', 'cpu'].includes(backend))
    throw new SlmError(
      'invalid_argument',
      `Expected backend to be 'auto', 'webgpu' or 'cpu', found '${backend}'.`,
    );
  const strict = wantsGpuOnly({ variant });
  if (backend === 'cpu' || backendOf(variant) === 'cpu') return { gpu: null, notice: { code: 'cpu_asked' } };
  const software = strict || backend === 'webgpu';
  try {
    const { info } = await find({ software });
    return { gpu: { software }, device: nameOf(info) };
  } catch (error) {
    const failure = GpuFailure.of(error);
    if (strict) throw toSlmError(failure);
    return { gpu: null, notice: failure.notice };
  }
}

/** Whoever names the variant of the GPU never gets the CPU instead. */
export const wantsGpuOnly = ({ variant }: Pick<BackendWish, 'variant'>): boolean =>
  backendOf(variant) === 'gpu';

const backendOf = (variant: Variant | undefined) => VARIANTS.find(({ name }) => name === variant)?.backend;

/** What went wrong, for whoever has asked for a GPU and nothing else. */
export function toSlmError(failure: GpuFailure): SlmError {
  return new SlmError(CODES[failure.notice.code], sentence(failure.notice), { cause: failure });
}

const CODES: Readonly<Record<GpuFault['code'], WireError['code']>> = {
  gpu_missing: 'unsupported',
  gpu_none_found: 'unsupported',
  gpu_software: 'unsupported',
  gpu_limit: 'out_of_memory',
  gpu_out_of_memory: 'out_of_memory',
  gpu_wrong: 'corrupt',
  gpu_senseless: 'crashed',
  gpu_failed: 'crashed',
  gpu_lost: 'crashed',
};

/** All that has happened, and where it computes now. */
export function reasonOf(notices: readonly BackendNotice[], backend: Backend): string {
  const said = notices.map(sentence);
  return [...said, ...(backend === 'cpu' ? ['The CPU computes.'] : [])].join(' ');
}

export function sentence(notice: BackendNotice): string {
  switch (notice.code) {
    case 'gpu_used':
      return `Computes on the GPU (${notice.device}).`;
    case 'cpu_asked':
      return 'The CPU was asked for.';
    case 'gpu_missing':
      return 'This browser has no WebGPU, or gives it to no page like this one.';
    case 'gpu_none_found':
      return 'The browser found no GPU that it would use.';
    case 'gpu_software':
      return `The only GPU here (${notice.device}) is emulated, which is slower than the CPU itself.`;
    case 'gpu_limit':
      return `The model needs a ${notice.limit} of ${notice.needed}, and this GPU has ${notice.available}.`;
    case 'gpu_out_of_memory':
      return `The GPU had given ${formatBytes(notice.given)} and had no ${formatBytes(notice.needed)} more; a shorter context needs less.`;
    case 'gpu_wrong':
      return notice.error === null
        ? `The GPU failed the check '${notice.check}'.`
        : `The GPU failed the check '${notice.check}': its error is ${figure(notice.error)}, and at most ${figure(notice.bound)} is right.`;
    case 'gpu_senseless':
      return notice.repeated === null
        ? 'The GPU computed what is no number.'
        : `The GPU gave one token without text ${notice.repeated} times in a row.`;
    case 'gpu_failed':
      return `The GPU did not work: ${notice.error.replace(/\.?\s*$/, '.')}`;
    case 'gpu_lost':
      return notice.losses === 1 ? 'The GPU was lost.' : `The GPU was lost ${notice.losses} times.`;
    case 'gpu_given_up':
      return `The GPU was lost ${notice.losses} times, too often to try it again.`;
  }
}

const figure = (value: number | null): string => (value === null ? 'unknown' : value.toPrecision(3));
