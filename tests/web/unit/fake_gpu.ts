// A GPU that computes nothing and writes down what it was told, with faults on
// demand. Only what web/src/gpu uses is there.

export interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** A promise and what settles it. */
export function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

export class FakeBuffer {
  readonly size: number;
  readonly data: Uint8Array<ArrayBuffer>;
  destroyed = false;
  /** Never maps, as on a device that hangs. */
  hangs = false;

  constructor(size: number) {
    this.size = size;
    this.data = new Uint8Array(size);
  }

  mapAsync(): Promise<void> {
    return this.hangs ? new Promise(() => undefined) : Promise.resolve();
  }
  getMappedRange(): ArrayBuffer {
    return this.data.buffer;
  }
  unmap(): void {}
  destroy(): void {
    this.destroyed = true;
  }
}

export class FakeDevice extends EventTarget {
  readonly calls: Call[] = [];
  readonly limits = { maxBufferSize: 1 << 28, maxStorageBufferBindingSize: 1 << 27 };
  readonly features = new Set<string>();
  readonly loss = deferred<{ reason: string; message: string }>();
  readonly lost = this.loss.promise;
  /** What the next error scopes of these kinds catch. */
  readonly caught: { 'out-of-memory'?: string; validation?: string } = {};
  /** The names of operations whose pipelines cannot be made. */
  readonly broken = new Set<string>();
  /** Staging buffers to come never map. */
  hangs = false;
  readonly #scopes: (keyof FakeDevice['caught'])[] = [];

  readonly queue = {
    writeBuffer: (...args: unknown[]) => this.#note('writeBuffer', args),
    submit: (...args: unknown[]) => this.#note('submit', args),
    onSubmittedWorkDone: () => Promise.resolve(),
  };

  /** How often each call was made since the last time. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { name } of this.calls.splice(0)) counts[name] = (counts[name] ?? 0) + 1;
    return counts;
  }

  createBuffer({ size, usage }: { size: number; usage: number }): FakeBuffer {
    this.#note('createBuffer', [size]);
    const buffer = new FakeBuffer(size);
    buffer.hangs = this.hangs && (usage & 1) !== 0;
    return buffer;
  }
  createBindGroupLayout(descriptor: unknown): unknown {
    return descriptor;
  }
  createPipelineLayout(descriptor: unknown): unknown {
    return descriptor;
  }
  createShaderModule({ code }: { code: string }): unknown {
    this.#note('createShaderModule', [code]);
    return { code };
  }
  createComputePipelineAsync(descriptor: { label: string }): Promise<unknown> {
    this.#note('createComputePipelineAsync', [descriptor]);
    if (this.broken.has(descriptor.label)) return Promise.reject(new Error('no such builtin'));
    return Promise.resolve(descriptor);
  }
  createComputePipeline(descriptor: unknown): unknown {
    this.#note('createComputePipeline', [descriptor]);
    return descriptor;
  }
  createBindGroup(descriptor: unknown): unknown {
    this.#note('createBindGroup', [descriptor]);
    return descriptor;
  }
  createCommandEncoder(): unknown {
    const pass = {
      setPipeline: (...args: unknown[]) => this.#note('setPipeline', args),
      setBindGroup: (...args: unknown[]) => this.#note('setBindGroup', args),
      dispatchWorkgroups: (...args: unknown[]) => this.#note('dispatchWorkgroups', args),
      end: () => this.#note('end', []),
    };
    return {
      beginComputePass: () => {
        this.#note('beginComputePass', []);
        return pass;
      },
      copyBufferToBuffer: (from: FakeBuffer, at: number, to: FakeBuffer, _: number, n: number) => {
        this.#note('copyBufferToBuffer', []);
        to.data.set(from.data.subarray(at, at + n));
      },
      finish: () => ({}),
    };
  }
  pushErrorScope(kind: keyof FakeDevice['caught']): void {
    this.#scopes.push(kind);
  }
  popErrorScope(): Promise<{ message: string } | null> {
    const kind = this.#scopes.pop()!;
    const message = this.caught[kind];
    delete this.caught[kind];
    return Promise.resolve(message === undefined ? null : { message });
  }
  destroy(): void {
    this.loss.resolve({ reason: 'destroyed', message: 'destroyed' });
  }

  #note(name: string, args: readonly unknown[]): void {
    this.calls.push({ name, args });
  }
}
