// Records dispatches into one command encoder and, as long as no copy comes between
// them, one compute pass, because many are slow and on some browsers unstable. It
// allocates nothing for a dispatch that was in the last pass, too.

import { RECORD_HEAD } from '../generated/gpu';
import { GpuFailure } from './failure';
import type { Pipelines } from './pipelines';
import type { Profile } from './profile';
import type { Readback } from './readback';
import type { Records } from './records';

export class Pass {
  readonly #device: GPUDevice;
  readonly #pipelines: Pipelines;
  readonly #records: Records;
  readonly #readback: Readback;
  readonly #profile: Profile | null;
  #encoder: GPUCommandEncoder | null = null;
  #pass: GPUComputePassEncoder | null = null;
  #pipeline: GPUComputePipeline | null = null;
  #opened = 0;
  #checks: Promise<GPUError | null>[] = [];
  submits = 0;
  dispatches = 0;
  encodeMs = 0;

  constructor(
    device: GPUDevice,
    pipelines: Pipelines,
    records: Records,
    readback: Readback,
    profile: Profile | null,
  ) {
    this.#device = device;
    this.#pipelines = pipelines;
    this.#records = records;
    this.#readback = readback;
    this.#profile = profile;
  }

  /** One dispatch, of the record at `at` of `words`. */
  encode(words: Uint32Array, at: number): void {
    if (this.#encoder === null) this.#open();
    let entry = this.#records.next(words, at);
    if (entry === null || this.#profile?.full) {
      this.submit();
      this.#open();
      entry = this.#records.next(words, at)!; // there is room at the beginning of a pass
    }
    const { pipeline, bindings, slot } = entry;
    const pass = this.#pass ?? this.#openPass(pipeline.operation.name);
    const compiled = pipeline.compiled ?? this.#pipelines.compileNow(pipeline, entry.words, RECORD_HEAD);
    if (compiled !== this.#pipeline) {
      pass.setPipeline(compiled);
      this.#pipeline = compiled;
    }
    pass.setBindGroup(0, bindings, this.#records.offsets, slot, 1);
    pass.dispatchWorkgroups(words[at + 2]!, words[at + 3], words[at + 4]);
    this.dispatches += 1;
    if (this.#profile !== null) this.#endPass();
  }

  /** Bytes of a buffer, as what was recorded so far leaves them. */
  read(handle: number, offset: number, n: number, deliver: (bytes: Uint8Array) => void): void {
    if (this.#encoder === null) this.#open();
    this.#endPass();
    this.#readback.copy(this.#encoder!, handle, offset, n, deliver);
  }

  submit(): void {
    const encoder = this.#encoder;
    if (encoder === null) return;
    this.#endPass();
    const times = this.#profile?.resolve(encoder);
    this.#records.flush();
    this.#device.queue.submit([encoder.finish()]);
    this.#checks.push(this.#device.popErrorScope());
    this.#encoder = null;
    times?.read();
    this.#readback.submitted();
    this.submits += 1;
    this.encodeMs += performance.now() - this.#opened;
  }

  /** Rejects when something that was submitted broke WebGPU's rules: none of it has run then. */
  async check(): Promise<void> {
    const checks = this.#checks;
    this.#checks = [];
    for (const error of await Promise.all(checks)) if (error !== null) throw GpuFailure.of(error.message);
  }

  #open(): void {
    this.#opened = performance.now();
    this.#device.pushErrorScope('validation');
    this.#encoder = this.#device.createCommandEncoder();
  }

  #openPass(operation: string): GPUComputePassEncoder {
    this.#pass = this.#encoder!.beginComputePass(this.#profile?.pass(operation));
    return this.#pass;
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = null;
    this.#pipeline = null;
  }
}
