// Times every operation with timestamp queries, for benchmarks. Each dispatch then
// has a compute pass of its own, which costs more than the dispatch itself does on
// some devices: the shares are right, the sum is not.

import { USAGE } from './buffers';

/** Pairs of queries of one submit; the set may have 4,096. */
const MOST = 2048;
const TIMESTAMP_BYTES = 8;

export interface OperationTime {
  readonly operation: string;
  readonly dispatches: number;
  readonly ms: number;
}

export class Profile {
  readonly #device: GPUDevice;
  readonly #queries: GPUQuerySet;
  readonly #resolved: GPUBuffer;
  readonly #times = new Map<string, { dispatches: number; ms: number }>();
  #names: string[] = [];
  #reading: Promise<void>[] = [];

  constructor(device: GPUDevice) {
    this.#device = device;
    this.#queries = device.createQuerySet({ type: 'timestamp', count: 2 * MOST });
    const usage = USAGE.QUERY_RESOLVE | USAGE.COPY_SRC;
    this.#resolved = device.createBuffer({ size: 2 * MOST * TIMESTAMP_BYTES, usage });
  }

  get full(): boolean {
    return this.#names.length === MOST;
  }

  /** For the pass of one dispatch. */
  pass(operation: string): GPUComputePassDescriptor {
    const at = 2 * this.#names.push(operation) - 2;
    const timestampWrites = {
      querySet: this.#queries,
      beginningOfPassWriteIndex: at,
      endOfPassWriteIndex: at + 1,
    };
    return { label: operation, timestampWrites };
  }

  /** Records the way of the figures to the host; `read` is to be called when this was submitted. */
  resolve(encoder: GPUCommandEncoder): { read(): void } {
    const names = this.#names;
    this.#names = [];
    const size = 2 * names.length * TIMESTAMP_BYTES;
    if (size === 0) return { read: () => undefined };
    const staging = this.#device.createBuffer({ size, usage: USAGE.MAP_READ | USAGE.COPY_DST });
    encoder.resolveQuerySet(this.#queries, 0, 2 * names.length, this.#resolved, 0);
    encoder.copyBufferToBuffer(this.#resolved, 0, staging, 0, size);
    return { read: () => this.#reading.push(this.#read(staging, names)) };
  }

  /** All since the last call, the longest first. */
  async take(): Promise<OperationTime[]> {
    await Promise.all(this.#reading);
    this.#reading = [];
    const times = Array.from(this.#times, ([operation, time]) => ({ operation, ...time }));
    this.#times.clear();
    return times.sort((a, b) => b.ms - a.ms);
  }

  async #read(staging: GPUBuffer, names: readonly string[]): Promise<void> {
    await staging.mapAsync(1);
    const stamps = new BigUint64Array(staging.getMappedRange());
    for (const [i, name] of names.entries()) {
      const time = this.#times.get(name) ?? { dispatches: 0, ms: 0 };
      time.dispatches += 1;
      time.ms += Math.max(0, Number(stamps[2 * i + 1]! - stamps[2 * i]!)) / 1e6;
      this.#times.set(name, time);
    }
    staging.destroy();
  }
}
