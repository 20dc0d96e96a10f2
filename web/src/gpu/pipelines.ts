// Pipelines by (operation, format, overrides). They compile asynchronously and in
// parallel, when they are first named: while weights load, that costs nothing.
// Layouts come from the table that was generated from the shaders, so that a bind
// group fits every specialisation of an operation. It knows no operation by name.

import type { Operation } from '../generated/gpu';
import { GpuFailure } from './failure';

/** The shaders: what build/generate.py has read in them, and their texts. */
export interface Kernels {
  readonly operations: readonly Operation[];
  /** The text of an operation, for a tensor type by its ggml number where it reads weights. */
  expand(operation: Operation, format: number): string;
}

/** A pipeline that may still be compiling. */
export interface Pipeline {
  readonly operation: Operation;
  readonly layout: Layout;
  compiled: GPUComputePipeline | null;
  /** Resolves when it has been compiled, or to the reason why it could not be. */
  ready: Promise<GpuFailure | null>;
}

interface Layout {
  readonly bindings: GPUBindGroupLayout;
  readonly pipeline: GPUPipelineLayout;
}

interface Module {
  readonly module: GPUShaderModule;
  /** What is wrong with its text; the pipeline only says that something is. */
  readonly error: Promise<string | null>;
}

const COMPUTE_STAGE = 4;
const BINDING_TYPES = { read: 'read-only-storage', read_write: 'storage', uniform: 'uniform' } as const;

/** Bytes of the uniform struct: a multiple of its alignment, which may be a vec4's. */
export const paramBytes = ({ params }: Operation): number => 16 * Math.ceil(params / 4);

export class Pipelines {
  readonly #device: GPUDevice;
  readonly #kernels: Kernels;
  readonly #layouts = new Map<Operation, Layout>();
  readonly #modules = new Map<string, Module>();
  readonly #pipelines = new Map<string, Pipeline>();
  #running = 0;
  #start = 0;
  #compileMs = 0;
  #done = 0;
  /** Called when one more is ready. */
  onProgress: (done: number, total: number) => void = () => undefined;

  constructor(device: GPUDevice, kernels: Kernels) {
    this.#device = device;
    this.#kernels = kernels;
  }

  /** Milliseconds during which something compiled. */
  get compileMs(): number {
    return this.#compileMs;
  }

  get count(): { readonly done: number; readonly total: number } {
    return { done: this.#done, total: this.#pipelines.size };
  }

  /** Starts the compilation, unless it was named before. `words` begin a record: see generated/gpu.ts. */
  want(words: Uint32Array, head: number): Pipeline {
    const operation = this.#operation(words[0]!);
    const format = words[1]!;
    const overrides = words.subarray(head, head + operation.overrides.length);
    const key = `${operation.name} ${format} ${overrides.join()}`;
    const known = this.#pipelines.get(key);
    if (known !== undefined) return known;
    const pipeline: Pipeline = {
      operation,
      layout: this.#layout(operation),
      compiled: null,
      ready: Promise.resolve(null),
    };
    this.#pipelines.set(key, pipeline);
    const descriptor = this.#descriptor(pipeline, format, overrides);
    const { error } = this.#module(operation, format);
    pipeline.ready = this.#compile(pipeline, descriptor).then(
      () => null,
      async (reason: unknown) => {
        this.#pipelines.delete(key); // whoever names it again hears of it, too
        const why = (await error.catch(() => null)) ?? (reason instanceof Error ? reason.message : reason);
        return GpuFailure.of(`${key}: ${why}`);
      },
    );
    return pipeline;
  }

  async #compile(pipeline: Pipeline, descriptor: GPUComputePipelineDescriptor): Promise<void> {
    if (this.#running++ === 0) this.#start = performance.now();
    try {
      pipeline.compiled = await this.#device.createComputePipelineAsync(descriptor);
      this.#done += 1;
      this.onProgress(this.#done, this.#pipelines.size);
    } finally {
      if (--this.#running === 0) this.#compileMs += performance.now() - this.#start;
    }
  }

  /** For what nobody has named ahead: the browser may stand still meanwhile. */
  compileNow(pipeline: Pipeline, words: Uint32Array, head: number): GPUComputePipeline {
    const overrides = words.subarray(head, head + pipeline.operation.overrides.length);
    pipeline.compiled ??= this.#device.createComputePipeline(
      this.#descriptor(pipeline, words[1]!, overrides),
    );
    return pipeline.compiled;
  }

  #descriptor(
    { operation, layout }: Pipeline,
    format: number,
    overrides: Uint32Array,
  ): GPUComputePipelineDescriptor {
    const constants = Object.fromEntries(operation.overrides.map(({ name }, i) => [name, overrides[i]!]));
    const { module } = this.#module(operation, format);
    const compute = { module, entryPoint: 'main', constants };
    return { label: operation.name, layout: layout.pipeline, compute };
  }

  #module(operation: Operation, format: number): Module {
    const label = operation.format ? `${operation.name} ${format}` : operation.name;
    let made = this.#modules.get(label);
    if (made === undefined) {
      const code = this.#kernels.expand(operation, format);
      // A text that this device does not take is no fault yet: only who wanted its pipeline hears of it.
      this.#device.pushErrorScope('validation');
      const module = this.#device.createShaderModule({ label, code });
      const error = this.#device.popErrorScope().then((found) => found?.message ?? null);
      error.catch(() => undefined); // the device is gone, which the pipeline tells, too
      made = { module, error };
      this.#modules.set(label, made);
    }
    return made;
  }

  #layout(operation: Operation): Layout {
    let layout = this.#layouts.get(operation);
    if (layout === undefined) {
      const params = {
        type: 'uniform',
        hasDynamicOffset: true,
        minBindingSize: paramBytes(operation),
      } as const;
      const bindings = this.#device.createBindGroupLayout({
        label: operation.name,
        entries: [
          { binding: 0, visibility: COMPUTE_STAGE, buffer: params },
          ...operation.buffers.map(({ binding, access }) => ({
            binding,
            visibility: COMPUTE_STAGE,
            buffer: { type: BINDING_TYPES[access] },
          })),
        ],
      });
      const pipeline = this.#device.createPipelineLayout({ bindGroupLayouts: [bindings] });
      layout = { bindings, pipeline };
      this.#layouts.set(operation, layout);
    }
    return layout;
  }

  #operation(number: number): Operation {
    const operation = this.#kernels.operations[number];
    if (operation === undefined)
      throw new RangeError(`expected an operation below ${this.#kernels.operations.length}, found ${number}`);
    return operation;
  }
}
