// What went wrong in a worker, as one sentence that crosses to the page.

import { SlmError, type WireError } from '../core/error';
import { GpuFailure } from '../gpu/failure';
import type { Crash } from './protocol';

/** A trap or an exhausted memory leaves the core in an unknown state. */
export function isCrash(error: unknown): boolean {
  return !(error instanceof SlmError);
}

export function describeFailure(error: unknown): WireError {
  if (error instanceof SlmError) return error.toWire();
  if (error instanceof RangeError)
    return {
      code: 'crashed',
      message: `The model ran out of memory (${error.message}); close other tabs, or use a smaller model or a shorter context.`,
    };
  const what = error instanceof Error ? error.message : String(error);
  return { code: 'crashed', message: `The model's worker stopped (${what}); load the model again.` };
}

/** The page terminates this worker then. */
export function reportCrash(error: unknown): void {
  const gpu = error instanceof GpuFailure ? { gpu: error.notice } : {};
  self.postMessage({ type: 'crash', error: describeFailure(error), ...gpu } satisfies Crash);
}
