// Proves that what lies on the device is what was sent there: a sum over the words of
// all uploads, which changes when a word does or words change places, and the same sum
// by the device itself (wasm/shaders/checksum.wgsl). It knows words, not weights.

import type { Operation } from '../generated/gpu';

const MOST_GROUPS = 1024;
const GROUP = 256;

export interface Proven {
  /** That were sent and compared. */
  readonly bytes: number;
  /** Buffers that hold something else. */
  readonly wrong: number;
}

interface Sent {
  sum: number;
  bytes: number;
}

export class Proof {
  readonly #number: number;
  readonly #sent = new Map<number, Sent>();

  constructor(operations: readonly Operation[]) {
    this.#number = operations.findIndex(({ name }) => name === 'checksum');
    if (this.#number < 0) throw new RangeError('expected the operation checksum, found none of that name');
  }

  get handles(): readonly number[] {
    return Array.from(this.#sent.keys());
  }

  /** To be told of every upload; each place of a buffer may be written once. */
  uploaded(handle: number, offset: number, memory: ArrayBuffer, pointer: number, n: number): void {
    const sent = this.#sent.get(handle) ?? { sum: 0, bytes: 0 };
    this.#sent.set(handle, sent);
    const words =
      pointer % 4 === 0
        ? new Uint32Array(memory, pointer, n / 4)
        : new Uint32Array(memory.slice(pointer, pointer + n));
    sent.sum = (sent.sum + checksum(words, offset / 4)) | 0;
    sent.bytes += n;
  }

  /** The record by which the device adds up the first `bytes` of a buffer to place `slot` of another. */
  record(handle: number, bytes: number, result: number, slot: number): Uint32Array {
    const words = Math.floor(bytes / 4);
    const groups = Math.max(1, Math.min(MOST_GROUPS, Math.ceil(words / GROUP)));
    return Uint32Array.of(this.#number, 0, groups, 1, 1, handle, result, 0, words, 0, slot);
  }

  /** `found`: what the device made of each of `handles`. */
  compare(found: Int32Array): Proven {
    let bytes = 0;
    let wrong = 0;
    for (const [i, sent] of Array.from(this.#sent.values()).entries()) {
      bytes += sent.bytes;
      if (found[i] !== sent.sum) wrong += 1;
    }
    return { bytes, wrong };
  }
}

/** Of words from place `first` on; see the shader. */
export function checksum(words: Uint32Array, first: number): number {
  let sum = 0;
  for (let i = 0; i < words.length; i++) sum = (sum + term(words[i]!, first + i)) | 0;
  return sum;
}

function term(word: number, index: number): number {
  if (word === 0) return 0;
  let x = word ^ Math.imul(index + 1, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return x ^ (x >>> 16);
}
