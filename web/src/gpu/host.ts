// What the variant `webgpu` of the core imports: its half of the bargain of
// wasm/src/gpu/host.h. The core encodes and never waits; whoever calls the core
// waits for settle() before reading results, and there hears of everything that
// went wrong. It knows no family of models, no block format and no operation.

import type { GpuAdapter, GpuInfo, GpuStats } from '../api/backend';
import type { GpuImports } from '../generated/gpu';
import { RECORD_HEAD } from '../generated/gpu';
import { Buffers } from './buffers';
import { type DeviceWish, type Found, findAdapter, isSoftware, openDevice } from './device';
import { GpuFailure } from './failure';
import { Pass } from './pass';
import { type Kernels, type Pipeline, Pipelines } from './pipelines';
import { type OperationTime, Profile } from './profile';
import { Proof, type Proven } from './proof';
import { Readback } from './readback';
import { Records } from './records';

/** So much may be on its way to the device before settle() waits until it is there: the browser keeps a
 *  copy of all of it. */
const MOST_UNDERWAY = 64 << 20;
/** How much later than its first sign a loss may be told. */
const LOSS_MS = 200;

export class GpuHost {
  readonly adapter: GpuAdapter;
  readonly #emulated: boolean;
  readonly imports: GpuImports;
  /** Resolves when the device is gone, for whatever reason. */
  readonly lost: Promise<GpuFailure>;
  readonly #device: GPUDevice;
  readonly #buffers: Buffers;
  readonly #pipelines: Pipelines;
  readonly #readback: Readback;
  readonly #pass: Pass;
  readonly #profile: Profile | null;
  readonly #kernels: Kernels;
  /** While they are only named; nothing is allocated, uploaded or read then. */
  #wanted: Set<Pipeline> | null = null;
  #proof: Proof | null = null;
  #memory: WebAssembly.Memory | null = null;
  #words = new Uint32Array();
  #failure: GpuFailure | null = null;
  /** Whoever waits for the device; a reaction to `lost` for each token would never be freed. */
  readonly #waiting = new Set<(failure: GpuFailure) => void>();
  #settledSubmits = 0;
  #uploaded = 0;
  #underway = 0;

  /** `maxBinding`: see DeviceWish; the device itself may bind more than was asked for. */
  constructor(
    device: GPUDevice,
    adapter: GpuAdapter,
    kernels: Kernels,
    maxBinding = Number.POSITIVE_INFINITY,
    emulated = false,
  ) {
    this.#device = device;
    this.adapter = adapter;
    this.#emulated = emulated;
    this.#buffers = new Buffers(device);
    this.#kernels = kernels;
    this.#pipelines = new Pipelines(device, kernels);
    this.#readback = new Readback(device, this.#buffers);
    this.#profile = device.features.has('timestamp-query') ? new Profile(device) : null;
    const records = new Records(device, this.#buffers, this.#pipelines);
    this.#pass = new Pass(device, this.#pipelines, records, this.#readback, this.#profile);
    device.addEventListener('uncapturederror', ({ error }) => {
      this.#failure ??= GpuFailure.of(error.message);
    });
    this.lost = device.lost.then(({ message }) => {
      const failure = new GpuFailure({ code: 'gpu_lost', losses: 1 }, message);
      this.#failure = failure;
      for (const leave of this.#waiting) leave(failure);
      return failure;
    });
    this.imports = this.#makeImports(Math.min(device.limits.maxStorageBufferBindingSize, maxBinding));
  }

  static async open(kernels: Kernels, wish: DeviceWish = {}, found?: Found): Promise<GpuHost> {
    const { adapter, info } = found ?? (await findAdapter(wish));
    const device = await openDevice({ adapter, info }, wish);
    return new GpuHost(device, info, kernels, wish.maxBinding, isSoftware(adapter));
  }

  /** The linear memory of the instance that has been made with the imports. */
  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory;
  }

  /** Has all pipelines compiled that `encode` would need, or rejects with why one of them cannot be. */
  async compile(
    encode: () => void,
    onProgress: (done: number, total: number) => void = () => undefined,
  ): Promise<void> {
    const wanted = new Set<Pipeline>();
    this.#wanted = wanted;
    try {
      encode();
    } finally {
      this.#wanted = null;
    }
    this.#pipelines.onProgress = onProgress;
    const compiled = Promise.all(Array.from(wanted, ({ ready }) => ready));
    for (const failure of await this.#orLost(compiled)) if (failure !== null) throw failure;
  }

  get pipelines(): { readonly done: number; readonly total: number } {
    return this.#pipelines.count;
  }

  /** Submits what is open and waits for all that was read, or rejects with a GpuFailure. */
  async settle(): Promise<void> {
    this.#pass.submit();
    await this.#orLost(this.#settled());
    if (this.#failure !== null) throw this.#failure;
  }

  /** From now on each upload is to be proved; what lies on the device is written once. */
  startProof(): void {
    this.#proof = new Proof(this.#kernels.operations);
    this.#pipelines.want(this.#proof.record(0, 0, 0, 0), RECORD_HEAD);
  }

  /** Whether the device has what was sent since then. */
  async prove(): Promise<Proven> {
    const proof = this.#proof!;
    this.#proof = null;
    const failure = await this.#orLost(this.#pipelines.want(proof.record(0, 0, 0, 0), RECORD_HEAD).ready);
    if (failure !== null) throw failure;
    const handles = proof.handles;
    const result = this.#buffers.create(4 * handles.length);
    for (const [slot, handle] of handles.entries())
      this.#pass.encode(proof.record(handle, this.#buffers.at(handle).size, result, slot), 0);
    const found = new Int32Array(handles.length);
    this.#pass.read(result, 0, found.byteLength, (bytes) => new Uint8Array(found.buffer).set(bytes));
    await this.settle();
    this.#buffers.destroy(result);
    return proof.compare(found);
  }

  info(): Omit<GpuInfo, 'kernels' | 'losses'> {
    return {
      adapter: this.adapter,
      emulated: this.#emulated,
      features: Array.from(this.#device.features).filter((name) => !name.startsWith('core-')),
      memory_bytes: this.#buffers.bytes,
      compile_ms: this.#pipelines.compileMs,
    };
  }

  stats(): GpuStats {
    const { submits, dispatches, encodeMs } = this.#pass;
    return {
      submits,
      dispatches,
      encode_ms: encodeMs,
      upload_bytes: this.#uploaded,
      read_bytes: this.#readback.bytes,
      memory_bytes: this.#buffers.bytes,
    };
  }

  /** Milliseconds by operation since the last call; empty unless the device was opened to profile. */
  times(): Promise<OperationTime[]> {
    return this.#profile?.take() ?? Promise.resolve([]);
  }

  destroy(): void {
    this.#device.destroy();
  }

  async #settled(): Promise<void> {
    const arrived = this.#arrived();
    arrived.catch(() => undefined); // it is awaited below, unless something says more
    // The first thing that went wrong says most: what follows a buffer that is not there fails, too.
    await this.#buffers.check();
    await this.#pass.check();
    await arrived;
  }

  /** Of what was read; without that the work itself is waited for, so that whoever waits knows its pace. */
  async #arrived(): Promise<void> {
    const { submits } = this.#pass;
    const reads = this.#readback.settle();
    const worked = submits !== this.#settledSubmits || this.#underway > MOST_UNDERWAY;
    this.#settledSubmits = submits;
    if (reads !== null) await reads;
    else if (worked) await this.#device.queue.onSubmittedWorkDone();
    else return;
    this.#underway = 0;
  }

  /** A device that goes away rejects some promises and leaves others open. */
  async #orLost<T>(work: Promise<T>): Promise<T> {
    if (this.#failure !== null) throw this.#failure;
    let leave: (failure: GpuFailure) => void = () => undefined;
    const gone = new Promise<never>((_, reject) => {
      leave = reject;
    });
    this.#waiting.add(leave);
    try {
      return await Promise.race([work, gone]);
    } catch (error) {
      if (error instanceof GpuFailure) throw error;
      // What is mapped or popped on a lost device rejects a little before the loss itself is told.
      throw await Promise.race([this.lost, after(LOSS_MS).then(() => GpuFailure.of(error))]);
    } finally {
      this.#waiting.delete(leave);
    }
  }

  #makeImports(limit: number): GpuImports {
    const buffers = this.#buffers;
    const pass = this.#pass;
    return {
      limit: () => limit,
      create: (bytes) => (this.#wanted !== null ? 0 : buffers.create(bytes >>> 0)),
      destroy: (handle) => {
        if (handle === 0) return;
        pass.submit(); // it may be in use by what was recorded
        this.#readback.drop(handle);
        buffers.destroy(handle);
      },
      upload: (handle, offset, data, n) => {
        if (this.#wanted !== null) return;
        const { buffer } = this.#memory!;
        this.#device.queue.writeBuffer(buffers.at(handle), offset >>> 0, buffer, data >>> 0, n >>> 0);
        this.#proof?.uploaded(handle, offset >>> 0, buffer, data >>> 0, n >>> 0);
        this.#uploaded += n >>> 0;
        this.#underway += n >>> 0;
      },
      encode: (record) => {
        const { buffer } = this.#memory!;
        // Any call may have grown the memory.
        if (this.#words.buffer !== buffer) this.#words = new Uint32Array(buffer);
        const at = record >>> 2;
        if (this.#wanted !== null)
          this.#wanted.add(this.#pipelines.want(this.#words.subarray(at), RECORD_HEAD));
        else pass.encode(this.#words, at);
      },
      read: (handle, offset, n, data) => {
        if (this.#wanted !== null) return;
        const deliver = (bytes: Uint8Array) =>
          new Uint8Array(this.#memory!.buffer, data >>> 0, n >>> 0).set(bytes);
        pass.read(handle, offset >>> 0, n >>> 0, deliver);
      },
      submit: () => pass.submit(),
    };
  }
}

const after = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
