// One instance of the core: its exports, its memory, and text and bytes across
// the border. Views are made for each access and never kept, because any call
// may grow the memory, and with shared memory so may another thread. It knows
// pointers and statuses; models and sessions are wrapped in model.ts and
// session.ts.

import type { SlmErrorCode } from '../api/types';
import { type SlmExports, STATUS_CODES, Status } from '../generated/abi';
import { SlmError } from './error';

export interface BuildInfo {
  readonly version: string;
  readonly simd: string;
  readonly threads: boolean;
  readonly dot: string;
}

/** The exports of the -mt variants by which a host starts a thread. */
export interface ThreadExports {
  readonly __stack_pointer: WebAssembly.Global;
  readonly __tls_size: WebAssembly.Global;
  readonly __tls_align: WebAssembly.Global;
  __wasm_init_tls(block: number): void;
}

/** What the variant `webgpu` needs: functions to import, and somebody to wait for. */
export interface Device {
  readonly imports: object;
  attach(memory: WebAssembly.Memory): void;
  /** Resolves when what was handed over is done; rejects when it cannot be. */
  settle(): Promise<void>;
}

type Exports = SlmExports & ThreadExports & { readonly memory?: WebAssembly.Memory; _initialize?(): void };

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export class Core {
  readonly exports: Exports;
  readonly memory: WebAssembly.Memory;
  readonly #device: Device | null;
  #scratch = 0;
  #scratchSize = 0;

  private constructor(exports: Exports, memory: WebAssembly.Memory, device: Device | null) {
    this.exports = exports;
    this.memory = memory;
    this.#device = device;
  }

  /** `memory` is that of an -mt variant. Only the first instance on a memory initializes it. */
  static async instantiate(
    module: WebAssembly.Module,
    memory: WebAssembly.Memory | null,
    first: boolean,
    device: Device | null = null,
  ): Promise<Core> {
    const imports: WebAssembly.Imports = {
      ...(memory === null ? {} : { env: { memory } }),
      ...(device === null ? {} : { gpu: device.imports as WebAssembly.ModuleImports }),
    };
    const instance = await WebAssembly.instantiate(module, imports);
    const exports = instance.exports as unknown as Exports;
    const own = memory ?? exports.memory!;
    device?.attach(own); // before the first call: any may encode
    if (first) exports._initialize?.();
    return new Core(exports, own, device);
  }

  /** To be awaited before results are read: a GPU computes beside the processor. */
  async settle(): Promise<void> {
    await this.#device?.settle();
  }

  get memoryBytes(): number {
    return this.memory.buffer.byteLength;
  }

  /** A view of [pointer, pointer + n), good until the next call into the core. */
  bytes(pointer: number, n: number): Uint8Array {
    const start = pointer >>> 0;
    // A growth by another thread may not have reached this thread's buffer object yet; asking for
    // a growth by nothing brings it up to date.
    if (start + n > this.memory.buffer.byteLength) this.memory.grow(0);
    return new Uint8Array(this.memory.buffer, start, n);
  }

  /** The NUL-terminated string that a call has returned. */
  string(pointer: number): string {
    const start = pointer >>> 0;
    const all = new Uint8Array(this.memory.buffer, start);
    return decoder.decode(all.slice(0, all.indexOf(0)));
  }

  json(pointer: number): unknown {
    return JSON.parse(this.string(pointer));
  }

  alloc(n: number): number {
    const pointer = this.exports.slm_alloc(n) >>> 0;
    if (pointer === 0)
      throw new SlmError(
        'out_of_memory',
        `Expected room for ${n} more bytes, found the memory full at ${this.memoryBytes} bytes; use a smaller model or a shorter context.`,
      );
    return pointer;
  }

  free(pointer: number): void {
    this.exports.slm_free(pointer);
  }

  /** A buffer of at least `n` bytes that the next call of scratch() reuses. */
  scratch(n: number): number {
    if (n > this.#scratchSize) {
      if (this.#scratch !== 0) this.free(this.#scratch);
      this.#scratch = 0;
      this.#scratchSize = Math.max(n, 4096);
      this.#scratch = this.alloc(this.#scratchSize);
    }
    return this.#scratch;
  }

  /** Puts bytes into the scratch buffer, with `room` more after them, 8-aligned. */
  put(bytes: Uint8Array, room = 0): { pointer: number; after: number } {
    const aligned = (bytes.length + 7) & ~7;
    const pointer = this.scratch(aligned + room);
    this.bytes(pointer, bytes.length).set(bytes);
    return { pointer, after: pointer + aligned };
  }

  putText(text: string): { pointer: number; n: number } {
    const bytes = encoder.encode(text);
    return { pointer: this.put(bytes).pointer, n: bytes.length };
  }

  putIds(ids: Int32Array | readonly number[]): number {
    const typed = ids instanceof Int32Array ? ids : Int32Array.from(ids);
    return this.put(new Uint8Array(typed.buffer, typed.byteOffset, typed.byteLength)).pointer;
  }

  /** Copies out of the memory: what leaves the worker must not be shared. */
  copy(pointer: number, n: number): Uint8Array<ArrayBuffer> {
    const copy = new Uint8Array(n);
    copy.set(this.bytes(pointer, n));
    return copy;
  }

  text(pointer: number, n: number): string {
    return decoder.decode(this.copy(pointer, n));
  }

  /** The result, or an SlmError with the core's own sentence when it is negative. */
  check(result: number): number {
    if (result >= 0) return result;
    throw new SlmError(
      codeOf(result),
      this.string(this.exports.slm_error()) || `The core answered ${result}.`,
    );
  }

  /** The pointer, or an SlmError when it is NULL. */
  checkPointer(pointer: number): number {
    if (pointer !== 0) return pointer >>> 0;
    throw new SlmError(
      'out_of_memory',
      this.string(this.exports.slm_error()) || 'The core has no memory left.',
    );
  }

  buildInfo(): BuildInfo {
    return this.json(this.exports.slm_build_info()) as BuildInfo;
  }

  /** Times every integer dot-product form and selects the fastest; returns its name. */
  tuneDot(now: () => number = () => performance.now()): string {
    const { exports } = this;
    const count = this.check(exports.slm_dot_count());
    const speed = new Array<number>(count).fill(0);
    // The best of several short rounds: the first ones run in the engine's baseline compiler, and
    // other tabs take their share of any of them.
    const until = now() + 20 * count;
    for (let round = 0; count > 1 && (round < 4 || now() < until); round++) {
      for (let i = 0; i < count; i++) {
        const start = now();
        const macs = this.check(exports.slm_dot_bench(i, 4));
        speed[i] = Math.max(speed[i]!, macs / Math.max(now() - start, 1e-3));
      }
    }
    const best = speed.indexOf(Math.max(...speed));
    if (count > 0) this.check(exports.slm_dot_select(best));
    return count > 0 ? this.string(exports.slm_dot_name(best)) : 'none';
  }
}

function codeOf(status: number): SlmErrorCode {
  const code = STATUS_CODES[status as keyof typeof STATUS_CODES] as
    | (typeof STATUS_CODES)[keyof typeof STATUS_CODES]
    | undefined;
  // NEED_MORE is answered where it can happen; anywhere else the file is at fault.
  if (code === undefined || code === 'need_more')
    return status === Status.NEED_MORE ? 'bad_file' : 'invalid_argument';
  return code;
}
