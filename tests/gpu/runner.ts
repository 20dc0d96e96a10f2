// runner.ts: runs a list of cases on Dawn, in Node: buffers, dispatches, what to read back. Knows
// no operation; what a case asks for is in the JSON that cases.py writes, beside the bytes.
//
//   node runner.mjs folder     reads cases.json and data.bin, writes results.json and results.bin

import { readFileSync, writeFileSync } from 'node:fs';
import { argv, exit } from 'node:process';
import { OPERATIONS, type Operation } from '../../web/src/generated/gpu';
import { expand } from '../../web/src/gpu/shaders';
import { openDawn } from './open';

interface Specialization {
  readonly operation: string;
  readonly format: number;
  readonly overrides: Readonly<Record<string, number>>;
}
interface Dispatch extends Specialization {
  readonly grid: readonly [number, number, number];
  readonly buffers: Readonly<Record<string, number>>; // by name: the case's buffer
  readonly params: readonly number[]; // words
}
interface Case {
  readonly buffers: readonly { readonly bytes: number; readonly at: number | null }[]; // zeros, or from data.bin
  readonly dispatches: readonly Dispatch[];
  readonly reads: readonly number[];
}
interface Work {
  readonly compile: readonly Specialization[];
  readonly cases: readonly Case[];
}

const STORAGE = 0x80;
const UNIFORM = 0x40;
const COPY = 0x0c;
const READBACK = 0x09;

async function open(): Promise<GPUDevice | null> {
  const adapter = (await (await openDawn())?.requestAdapter()) ?? null;
  if (adapter === null) return null;
  const requiredFeatures: GPUFeatureName[] = adapter.features.has('subgroups') ? ['subgroups'] : [];
  return adapter.requestDevice({ requiredFeatures }); // with the limits that every device has
}

class Runner {
  readonly #device: GPUDevice;
  readonly #pipelines = new Map<string, GPUComputePipeline>();
  readonly #dummies = new Map<string, GPUBuffer>();

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  /** What is wrong with a shader, or null. */
  async compile(wanted: Specialization): Promise<string | null> {
    return this.#guarded(() => {
      this.#pipeline(wanted);
    });
  }

  async run(
    one: Case,
    data: Uint8Array<ArrayBuffer>,
  ): Promise<{ error: string | null; bytes: Uint8Array[] }> {
    const buffers = one.buffers.map(({ bytes, at }) => {
      const buffer = this.#device.createBuffer({ size: bytes, usage: STORAGE | UNIFORM | COPY });
      if (at !== null) this.#device.queue.writeBuffer(buffer, 0, data, at, bytes);
      return buffer;
    });
    const readbacks = one.reads.map((index) =>
      this.#device.createBuffer({ size: one.buffers[index]!.bytes, usage: READBACK }),
    );
    const error = await this.#guarded(() => {
      const encoder = this.#device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      for (const dispatch of one.dispatches) this.#dispatch(pass, dispatch, buffers);
      pass.end();
      one.reads.forEach((index, i) => {
        encoder.copyBufferToBuffer(buffers[index]!, 0, readbacks[i]!, 0, one.buffers[index]!.bytes);
      });
      this.#device.queue.submit([encoder.finish()]);
    });
    const bytes: Uint8Array[] = [];
    for (const readback of readbacks) {
      await readback.mapAsync(1);
      bytes.push(new Uint8Array(readback.getMappedRange().slice(0)));
      readback.destroy();
    }
    for (const buffer of buffers) buffer.destroy();
    return { error, bytes };
  }

  async #guarded(body: () => void): Promise<string | null> {
    this.#device.pushErrorScope('validation');
    body();
    return (await this.#device.popErrorScope())?.message ?? null;
  }

  #dispatch(pass: GPUComputePassEncoder, wanted: Dispatch, buffers: readonly GPUBuffer[]): void {
    const operation = find(wanted);
    const params = this.#device.createBuffer({
      size: 16 * Math.ceil(operation.params / 4),
      usage: UNIFORM | COPY,
    });
    if (wanted.params.length !== operation.params)
      throw new RangeError(
        `${operation.name} has ${operation.params} words of params, found ${wanted.params.length}`,
      );
    this.#device.queue.writeBuffer(params, 0, new Uint32Array(wanted.params));
    const pipeline = this.#pipeline(wanted);
    pass.setPipeline(pipeline);
    const bound = operation.buffers.map(({ name, binding }) => {
      const index = wanted.buffers[name];
      const buffer = index === undefined ? this.#dummy(name) : buffers[index]!;
      return { binding, resource: { buffer } };
    });
    const entries = [{ binding: 0, resource: { buffer: params } }, ...bound];
    pass.setBindGroup(0, this.#device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
    pass.dispatchWorkgroups(...wanted.grid);
  }

  #dummy(name: string): GPUBuffer {
    const found =
      this.#dummies.get(name) ?? this.#device.createBuffer({ size: 64, usage: STORAGE | UNIFORM });
    this.#dummies.set(name, found);
    return found;
  }

  #pipeline(wanted: Specialization): GPUComputePipeline {
    const operation = find(wanted);
    const key = JSON.stringify([wanted.operation, wanted.format, wanted.overrides]);
    const found = this.#pipelines.get(key);
    if (found !== undefined) return found;
    const types = { read: 'read-only-storage', read_write: 'storage', uniform: 'uniform' } as const;
    const bindings = [
      { binding: 0, visibility: 4, buffer: { type: 'uniform' } } as const,
      ...operation.buffers.map(({ binding, access }) => ({
        binding,
        visibility: 4,
        buffer: { type: types[access] },
      })),
    ];
    const layout = this.#device.createPipelineLayout({
      bindGroupLayouts: [this.#device.createBindGroupLayout({ entries: bindings })],
    });
    const module = this.#device.createShaderModule({ code: expand(operation, wanted.format) });
    const constants = { ...wanted.overrides };
    const made = this.#device.createComputePipeline({ layout, compute: { module, constants } });
    this.#pipelines.set(key, made);
    return made;
  }
}

function find({ operation: name }: Specialization): Operation {
  const found = OPERATIONS.find((operation) => operation.name === name);
  if (found === undefined) throw new RangeError(`there is no operation ${name}`);
  return found;
}

async function main(folder: string): Promise<void> {
  const work = JSON.parse(new TextDecoder().decode(readFileSync(`${folder}/cases.json`))) as Work;
  const data = readFileSync(`${folder}/data.bin`);
  const device = await open();
  if (device === null) {
    writeFileSync(`${folder}/results.json`, 'null');
    return;
  }
  const runner = new Runner(device);
  const compiled: (string | null)[] = [];
  for (const wanted of work.compile) compiled.push(await runner.compile(wanted));
  const errors: (string | null)[] = [];
  const parts: Uint8Array[] = [];
  for (const one of work.cases) {
    const { error, bytes } = await runner.run(one, data);
    errors.push(error);
    parts.push(...bytes);
  }
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  writeFileSync(`${folder}/results.bin`, all);
  writeFileSync(`${folder}/results.json`, JSON.stringify({ compiled, errors }));
}

await main(argv[2]!);
// Dawn's own threads would keep the process.
exit(0);
