// Brings bytes from the device to whoever asked for them, through staging buffers that are
// kept: allocating one for each token would cost more than the copy.

import { type Buffers, USAGE } from './buffers';

const SMALLEST = 256;
const MAP_READ = 1;

interface Reading {
  readonly handle: number;
  readonly staging: GPUBuffer;
  readonly n: number;
  readonly deliver: (bytes: Uint8Array) => void;
}

export class Readback {
  readonly #device: GPUDevice;
  readonly #buffers: Buffers;
  /** Free staging buffers by size, a power of two. */
  readonly #free = new Map<number, GPUBuffer[]>();
  #copied: Reading[] = [];
  /** Whatever has not been delivered yet. */
  readonly #awaited = new Set<Reading>();
  #mapped: Promise<void>[] = [];
  bytes = 0;

  constructor(device: GPUDevice, buffers: Buffers) {
    this.#device = device;
    this.#buffers = buffers;
  }

  /** Records the copy of `n` bytes at `offset`; `deliver` is given them, and may not keep them. */
  copy(
    encoder: GPUCommandEncoder,
    handle: number,
    offset: number,
    n: number,
    deliver: (bytes: Uint8Array) => void,
  ): void {
    const staging = this.#take(n);
    encoder.copyBufferToBuffer(this.#buffers.at(handle), offset, staging, 0, Math.ceil(n / 4) * 4);
    const reading = { handle, staging, n, deliver };
    this.#copied.push(reading);
    this.#awaited.add(reading);
    this.bytes += n;
  }

  /** To be called when the copies have been submitted. */
  submitted(): void {
    if (this.#copied.length === 0) return;
    for (const reading of this.#copied) {
      const arrives = this.#arrive(reading);
      arrives.catch(() => undefined); // whoever settles hears of it
      this.#mapped.push(arrives);
    }
    this.#copied = [];
    // Firefox looks only every 100 ms whether a map is ready, unless something is submitted after it
    // (bugzilla.mozilla.org 1870699).
    this.#device.queue.submit([]);
  }

  /** Resolves when all that was submitted has arrived; null when nothing is on its way. */
  settle(): Promise<unknown> | null {
    const mapped = this.#mapped;
    this.#mapped = [];
    return mapped.length === 0 ? null : Promise.all(mapped);
  }

  /** Nobody waits any more for what is read of this buffer: where it would go may be gone. */
  drop(handle: number): void {
    for (const reading of this.#awaited) if (reading.handle === handle) this.#awaited.delete(reading);
  }

  async #arrive(reading: Reading): Promise<void> {
    const { staging, n, deliver } = reading;
    await staging.mapAsync(MAP_READ);
    if (this.#awaited.delete(reading)) deliver(new Uint8Array(staging.getMappedRange(), 0, n));
    staging.unmap();
    this.#free.get(staging.size)!.push(staging);
  }

  #take(n: number): GPUBuffer {
    const size = Math.max(SMALLEST, 2 ** Math.ceil(Math.log2(n)));
    const free = this.#free.get(size) ?? [];
    this.#free.set(size, free);
    return free.pop() ?? this.#device.createBuffer({ size, usage: USAGE.MAP_READ | USAGE.COPY_DST });
  }
}
