// What a GPU can do by itself, to hold a model's speed against: how fast it copies
// its memory and how fast it multiplies. It runs wherever a GPUDevice is, in a
// page, a worker or Node, and knows no model.

import { USAGE } from './buffers';
import { GpuFailure } from './failure';

/** Larger than any cache, and what every device binds. */
const COPY_BYTES = 128 << 20;
/** A measurement is made longer until it takes so long, and the best of several counts, unless that
 *  would take too long. */
const LEAST_MS = 100;
const MOST_MS = 500;
const REPETITIONS = 3;
/** One submit is kept so short that no driver takes it for one that hangs. */
const MOST_AT_ONCE = 64;

const GROUP = 256;
const STEPS = 128;
/** Of an invocation in a step: eight vectors of four, a multiplication and an addition each. */
const OPERATIONS_PER_STEP = 8 * 4 * 2;

const COPY = `
@group(0) @binding(0) var<storage, read> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> target_: array<vec4<u32>>;
@compute @workgroup_size(${GROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
  let stride = groups.x * ${GROUP}u;
  for (var i = id.x; i < arrayLength(&source); i += stride) { target_[i] = source[i]; }
}`;

const MULTIPLY = `
@group(0) @binding(0) var<storage, read> source: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> target_: array<f32>;
@compute @workgroup_size(${GROUP})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let m = source[0];
  let b = source[1];
  var v0 = b + f32(id.x);
  var v1 = v0 + m; var v2 = v1 + m; var v3 = v2 + m; var v4 = v3 + m; var v5 = v4 + m; var v6 = v5 + m;
  var v7 = v6 + m;
  for (var i = 0u; i < ${STEPS}u; i++) {
    v0 = fma(v0, m, b); v1 = fma(v1, m, b); v2 = fma(v2, m, b); v3 = fma(v3, m, b);
    v4 = fma(v4, m, b); v5 = fma(v5, m, b); v6 = fma(v6, m, b); v7 = fma(v7, m, b);
  }
  target_[id.x] = dot(v0 + v1 + v2 + v3 + v4 + v5 + v6 + v7, b);
}`;

export interface DeviceRates {
  /** Bytes that were read and written, a second. */
  readonly copy_bytes_per_second: number;
  /** Float32 operations a second, two for each fused multiplication and addition. */
  readonly flops_per_second: number;
}

export interface MeasureOptions {
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds; tests bring their own. */
  readonly now?: () => number;
}

export async function measureDevice(device: GPUDevice, options: MeasureOptions = {}): Promise<DeviceRates> {
  return {
    copy_bytes_per_second: await measureCopy(device, options),
    flops_per_second: await measureArithmetic(device, options),
  };
}

/** Bytes a second, those that are read and those that are written. */
export async function measureCopy(device: GPUDevice, options: MeasureOptions = {}): Promise<number> {
  const size = Math.min(COPY_BYTES, device.limits.maxStorageBufferBindingSize);
  const seconds = await time(device, COPY, [size, size], 2048, options);
  return (2 * size) / seconds;
}

/** Float32 operations a second. */
export async function measureArithmetic(device: GPUDevice, options: MeasureOptions = {}): Promise<number> {
  const groups = 1024;
  const seconds = await time(device, MULTIPLY, [64, groups * GROUP * 4], groups, options);
  return (groups * GROUP * STEPS * OPERATIONS_PER_STEP) / seconds;
}

/** Seconds of one dispatch of `code` over buffers of `sizes`: the best of several long runs. */
async function time(
  device: GPUDevice,
  code: string,
  sizes: readonly number[],
  groups: number,
  { signal, now = () => performance.now() }: MeasureOptions,
): Promise<number> {
  device.pushErrorScope('out-of-memory');
  const buffers = sizes.map((size) => device.createBuffer({ size, usage: USAGE.STORAGE }));
  try {
    if ((await device.popErrorScope()) !== null)
      throw new GpuFailure({ code: 'gpu_out_of_memory', needed: sizes.reduce((a, b) => a + b), given: 0 });
    const module = device.createShaderModule({ code });
    const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
    const entries = buffers.map((buffer, binding) => ({ binding, resource: { buffer } }));
    const bindings = device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    const run = async (times: number): Promise<number> => {
      signal?.throwIfAborted();
      const start = now();
      for (let left = times; left > 0; left -= MOST_AT_ONCE) {
        const encoder = device.createCommandEncoder();
        const pass = encoder.beginComputePass();
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindings);
        for (let i = 0; i < Math.min(left, MOST_AT_ONCE); i++) pass.dispatchWorkgroups(groups);
        pass.end();
        device.queue.submit([encoder.finish()]);
      }
      await device.queue.onSubmittedWorkDone();
      return now() - start;
    };
    await run(1); // the first touches the memory and wakes the device
    let times = 1;
    let best = await run(times);
    while (best < LEAST_MS) {
      times *= 2;
      best = await run(times);
    }
    for (let i = 1; i < REPETITIONS && best < MOST_MS; i++) best = Math.min(best, await run(times));
    return best / times / 1000;
  } finally {
    for (const buffer of buffers) buffer.destroy();
  }
}
