// What a GPU did wrong, as the code with figures that pages are told. Everything
// that goes wrong in this folder ends in one of these, so that whoever uses the
// host has one thing to catch before going on without it.

import type { BackendNotice } from '../api/backend';

/** The notices that mean: not on this device, or not any more. */
export type GpuFault = Exclude<BackendNotice, { code: 'gpu_used' | 'cpu_asked' | 'gpu_given_up' }>;

export class GpuFailure extends Error {
  override readonly name = 'GpuFailure';
  readonly notice: GpuFault;

  constructor(notice: GpuFault, cause?: unknown) {
    super(JSON.stringify(notice), cause === undefined ? undefined : { cause });
    this.notice = notice;
  }

  /** Of anything that was thrown. */
  static of(error: unknown): GpuFailure {
    if (error instanceof GpuFailure) return error;
    const what = error instanceof Error ? error.message : String(error);
    return new GpuFailure({ code: 'gpu_failed', error: what.slice(0, 500) }, error);
  }
}
