// The host on a real implementation of WebGPU: Dawn, in Node, with operations that
// are small enough to know their results. Skipped where there is no device.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPERATIONS, type Operation } from '../../../web/src/generated/gpu';
import type { DeviceWish } from '../../../web/src/gpu/device';
import { GpuFailure } from '../../../web/src/gpu/failure';
import { GpuHost } from '../../../web/src/gpu/host';
import { expand } from '../../../web/src/gpu/shaders';
import { NO_DEVICE, openDawn } from '../../gpu/open';

const BUFFERS = [
  { name: 'batch', binding: 1, access: 'uniform' },
  { name: 'x', binding: 2, access: 'read' },
  { name: 'y', binding: 3, access: 'read_write' },
] as const;
/** y[i] += FACTOR * x[i] + params.add + batch.past */
const ADD: Operation = {
  name: 'add',
  format: false,
  needs: [],
  overrides: [{ name: 'FACTOR', default: 1 }],
  buffers: BUFFERS,
  params: 2,
};
const WRONG: Operation = { ...ADD, name: 'wrong' };
const TEXT = `
override FACTOR: u32 = 1;
struct Params { n: u32, add: u32 }
struct Batch { past: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> batch: Batch;
@group(0) @binding(2) var<storage, read> x: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < params.n) { y[id.x] += FACTOR * x[id.x] + params.add + batch.past; }
}`;
const CHECKSUM = OPERATIONS.find(({ name }) => name === 'checksum')!;
const TEXTS: Readonly<Record<string, string>> = {
  add: TEXT,
  wrong: TEXT.replace('FACTOR * x', 'nothing * x'),
  checksum: expand(CHECKSUM, 0),
};
const KERNELS = {
  operations: [ADD, WRONG, CHECKSUM],
  expand: ({ name }: Operation) => TEXTS[name]!,
};

const gpu = await openDawn();

interface Setup {
  readonly host: GpuHost;
  readonly words: Uint32Array;
  readonly add: (groups: number, factor: number, handles: readonly number[], n: number, add: number) => void;
  readonly upload: (handle: number, values: readonly number[]) => void;
  readonly read: (handle: number, n: number) => Promise<number[]>;
}

async function setup(wish: DeviceWish = {}, operation = 0): Promise<Setup> {
  const host = await GpuHost.open(KERNELS, { gpu: gpu!, software: true, ...wish });
  const memory = new WebAssembly.Memory({ initial: 1 });
  host.attach(memory);
  const words = new Uint32Array(memory.buffer);
  return {
    host,
    words,
    add: (groups, factor, handles, n, add) => {
      words.set([operation, 0, groups, 1, 1, factor, ...handles, n, add]);
      host.imports.encode(0);
    },
    upload: (handle, values) => {
      words.set(values, 1000);
      host.imports.upload(handle, 0, 4000, 4 * values.length);
    },
    read: async (handle, n) => {
      host.imports.read(handle, 0, 4 * n, 8000);
      await host.settle();
      return Array.from(words.subarray(2000, 2000 + n));
    },
  };
}

function onDawn(name: string, body: () => Promise<void>): void {
  test(name, { skip: gpu === null && NO_DEVICE }, body);
}

onDawn('dispatches run in order, with their own overrides, parameters and batch', async () => {
  const { host, add, upload, read } = await setup();
  const [batch, x, y] = [16, 400, 400].map((bytes) => host.imports.create(bytes)) as [number, number, number];
  upload(x, [1, 2, 3]);
  upload(batch, [1000]);
  await host.compile(() => add(2, 10, [batch, x, y], 100, 5));
  add(2, 10, [batch, x, y], 100, 5); // y = 10 x + 1005
  add(2, 2, [batch, y, x], 3, 0); // x += 2 y + 1000
  assert.deepEqual(await read(x, 4), [3031, 3052, 3073, 0]);
  assert.deepEqual(await read(y, 4), [1015, 1025, 1035, 1005]);
  upload(batch, [0]);
  add(1, 10, [batch, x, y], 1, 5);
  add(0, 2, [batch, y, x], 3, 0); // no workgroups: nothing happens
  assert.deepEqual(await read(y, 2), [1015 + 30310 + 5, 1025]);
  assert.deepEqual(await read(x, 2), [3031, 3052]);
  host.destroy();
});

onDawn('buffers begin as zeros and unused bindings are harmless', async () => {
  const { host, add, read } = await setup();
  const y = host.imports.create(64);
  add(1, 3, [0, 0, y], 16, 4);
  assert.deepEqual(await read(y, 16), new Array(16).fill(4));
  host.destroy();
});

onDawn('the largest binding can be held to what every device has', async () => {
  const { host, add } = await setup({ maxBinding: 1 << 27 });
  assert.equal(host.imports.limit(), 1 << 27);
  const large = host.imports.create((1 << 27) + 16);
  add(1, 3, [0, large, 0], 16, 4);
  await assert.rejects(host.settle(), { name: 'GpuFailure' });
  host.destroy();
});

onDawn('rules that are broken are heard from settle, and the host lives on', async () => {
  const { host, add, read } = await setup();
  const y = host.imports.create(64);
  add(1, 1, [0, y, y], 16, 4); // read and written at once
  await assert.rejects(host.settle(), (error: unknown) => {
    assert.equal((error as GpuFailure).notice.code, 'gpu_failed');
    return true;
  });
  add(1, 1, [0, 0, y], 16, 4);
  assert.deepEqual(await read(y, 1), [4]);
  host.destroy();
});

onDawn('a shader that is wrong is heard before it is used', async () => {
  const { host, add } = await setup({}, 1);
  const named = host.compile(() => add(1, 1, [0, 0, 0], 16, 4));
  await assert.rejects(named, (error: unknown) => {
    assert.match((error as Error).message, /wrong .*unresolved value 'nothing'/);
    return error instanceof GpuFailure;
  });
  await host.settle(); // what is not used harms nobody
  host.destroy();
});

onDawn('a device that is destroyed ends every wait', async () => {
  const { host, add } = await setup();
  const y = host.imports.create(64);
  add(1, 1, [0, 0, y], 16, 4);
  host.imports.read(y, 0, 64, 8000);
  const settled = host.settle();
  host.destroy();
  const lost = (error: unknown) => error instanceof GpuFailure && error.notice.code === 'gpu_lost';
  // What had been submitted may still arrive.
  await settled.catch((error: unknown) => assert(lost(error), String(error)));
  await host.lost;
  add(1, 1, [0, 0, y], 16, 4);
  await assert.rejects(host.settle(), lost);
});

onDawn('an emulated device is told from a real one, and taken on request only', async () => {
  const adapter = await gpu!.requestAdapter();
  const emulated = adapter!.info.architecture === 'swiftshader';
  if (emulated)
    await assert.rejects(GpuHost.open(KERNELS, { gpu: gpu! }), (error: unknown) => {
      assert.equal((error as GpuFailure).notice.code, 'gpu_software');
      return true;
    });
  await assert.rejects(GpuHost.open(KERNELS, {}), (error: unknown) => {
    assert.equal((error as GpuFailure).notice.code, 'gpu_missing');
    return true;
  });
});

onDawn('what was uploaded is proved to be there', async () => {
  const { host, add, upload } = await setup();
  const [early, one, two] = [64, 4000, 80].map((bytes) => host.imports.create(bytes)) as [
    number,
    number,
    number,
  ];
  upload(early, [7]); // before the proof
  const send = () => {
    host.startProof();
    upload(one, [1, 2, 0xffffffff, 4]);
    host.imports.upload(one, 16, 4000, 64);
    host.imports.upload(two, 40, 4002, 40); // from an odd place in memory
  };
  send();
  assert.deepEqual(await host.prove(), { bytes: 120, wrong: 0 });
  send();
  add(1, 1, [0, 0, two], 1, 1); // somebody else writes into it
  assert.deepEqual(await host.prove(), { bytes: 120, wrong: 1 });
  host.destroy();
});

onDawn('the time of each operation can be measured', async () => {
  const { host, add, read } = await setup({ profile: true });
  const y = host.imports.create(64);
  for (let i = 0; i < 2500; i++) add(1, 1, [0, 0, y], 16, 1);
  assert.deepEqual(await read(y, 1), [2500]);
  const times = await host.times();
  if (host.info().features.includes('timestamp-query'))
    assert.deepEqual(
      times.map(({ operation, dispatches }) => [operation, dispatches]),
      [['add', 2500]],
    );
  host.destroy();
});
