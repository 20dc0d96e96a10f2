// Reserves the shared memory of the -mt variants. A phone may refuse 4 GiB of
// addresses, so less is tried; what came of it is the most that a model can have
// there. It knows nothing of models.

import { MEMORY } from '../generated/abi';

const PAGE_BYTES = 65536;
/** What linear memory can have where nothing is in the way. */
export const MOST_BYTES = MEMORY.maximum * PAGE_BYTES;

const MAXIMUM_PAGES = [MEMORY.maximum, 32768, 16384];

/** The least that is tried: needs below it can only be answered by the engine itself. */
export const LEAST_RESERVED = 16384 * PAGE_BYTES;

export interface Reserved {
  readonly memory: WebAssembly.Memory;
  /** Bytes that it can grow to. */
  readonly maximum: number;
}

/** The largest memory that this device lets us reserve, or null. */
export function reserveMemory(): Reserved | null {
  for (const maximum of MAXIMUM_PAGES) {
    try {
      const memory = new WebAssembly.Memory({ initial: MEMORY.initial, maximum, shared: true });
      return { memory, maximum: maximum * PAGE_BYTES };
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }
  return null;
}
