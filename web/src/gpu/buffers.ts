// The buffers of a device by handle, from 1 on. Nothing fails at once: what the
// device could not give is heard by check(), and meanwhile the handle stands for
// a buffer that does nothing. It knows sizes, not what lies in them.

import { GpuFailure } from './failure';

/** GPUBufferUsage, which is no constant of the compiler's. */
export const USAGE = {
  MAP_READ: 1,
  COPY_SRC: 4,
  COPY_DST: 8,
  UNIFORM: 64,
  STORAGE: 128,
  QUERY_RESOLVE: 512,
} as const;

const DATA = USAGE.STORAGE | USAGE.UNIFORM | USAGE.COPY_SRC | USAGE.COPY_DST;
/** The largest element of a runtime-sized array in a shader. */
const GRANULE = 16;

export class Buffers {
  readonly #device: GPUDevice;
  readonly #buffers: (GPUBuffer | null)[] = [null];
  readonly #dummies: GPUBuffer[] = [];
  #checks: Promise<GpuFailure | null>[] = [];
  #bytes = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** Bytes of all buffers that are there. */
  get bytes(): number {
    return this.#bytes;
  }

  create(bytes: number): number {
    const size = Math.max(GRANULE, Math.ceil(bytes / GRANULE) * GRANULE);
    const device = this.#device;
    const given = this.#bytes;
    const { maxBufferSize } = device.limits;
    if (size > maxBufferSize) {
      const limit = { limit: 'maxBufferSize', needed: size, available: maxBufferSize };
      this.#checks.push(Promise.resolve(new GpuFailure({ code: 'gpu_limit', ...limit })));
      return this.#buffers.push(device.createBuffer({ size: GRANULE, usage: DATA })) - 1;
    }
    device.pushErrorScope('out-of-memory');
    const buffer = device.createBuffer({ size, usage: DATA });
    const failed = () => new GpuFailure({ code: 'gpu_out_of_memory', needed: size, given });
    this.#checks.push(device.popErrorScope().then((error) => (error === null ? null : failed())));
    this.#bytes += size;
    return this.#buffers.push(buffer) - 1;
  }

  destroy(handle: number): void {
    const buffer = this.at(handle);
    this.#bytes -= buffer.size;
    buffer.destroy();
    this.#buffers[handle] = null;
  }

  at(handle: number): GPUBuffer {
    const buffer = this.#buffers[handle];
    if (buffer == null) throw new RangeError(`expected the handle of a buffer, found ${handle}`);
    return buffer;
  }

  /** What stands at a binding that is not used: one for each, because two writable ones may not be the same. */
  dummy(binding: number): GPUBuffer {
    this.#dummies[binding] ??= this.#device.createBuffer({ size: 256, usage: DATA });
    return this.#dummies[binding];
  }

  /** Rejects with the first failure of the creations since the last check. */
  async check(): Promise<void> {
    const checks = this.#checks;
    if (checks.length === 0) return;
    this.#checks = [];
    for (const failure of await Promise.all(checks)) if (failure !== null) throw failure;
  }
}
