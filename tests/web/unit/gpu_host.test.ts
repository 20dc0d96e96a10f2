// The host on a GPU that only writes down what it is told: what is cached, what is
// heard of a fault, what is compiled ahead.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Operation } from '../../../web/src/generated/gpu';
import { GpuFailure } from '../../../web/src/gpu/failure';
import { GpuHost } from '../../../web/src/gpu/host';
import { FakeDevice } from './fake_gpu';

const SCALE: Operation = {
  name: 'scale',
  format: false,
  needs: [],
  overrides: [{ name: 'TWICE', default: 0 }],
  buffers: [
    { name: 'batch', binding: 1, access: 'uniform' },
    { name: 'x', binding: 2, access: 'read' },
    { name: 'y', binding: 3, access: 'read_write' },
    { name: 'z', binding: 4, access: 'read_write' },
  ],
  params: 2,
};
const MATVEC: Operation = { ...SCALE, name: 'matvec', format: true };
const ADAPTER = { vendor: 'none', architecture: '', device: '', description: '' };

interface Setup {
  readonly device: FakeDevice;
  readonly host: GpuHost;
  readonly memory: WebAssembly.Memory;
  /** Encodes one dispatch. */
  readonly encode: (words: Partial<Record_>) => void;
}

interface Record_ {
  readonly operation: number;
  readonly format: number;
  readonly groups: number;
  readonly twice: number;
  readonly buffers: readonly number[];
  readonly params: readonly number[];
}

function setup(): Setup {
  const device = new FakeDevice();
  const expand = ({ name }: Operation, format: number) => `${name} of ${format}`;
  const kernels = { operations: [MATVEC, SCALE], expand };
  const host = new GpuHost(device as unknown as GPUDevice, ADAPTER, kernels);
  const memory = new WebAssembly.Memory({ initial: 1 });
  host.attach(memory);
  const encode = ({ operation = 1, format = 0, groups = 1, twice = 0, ...rest }: Partial<Record_>) => {
    const { buffers = [1, 2, 3, 0], params = [7, 8] } = rest;
    new Uint32Array(memory.buffer, 64).set([operation, format, groups, 1, 1, twice, ...buffers, ...params]);
    host.imports.encode(64);
  };
  for (const bytes of [16, 64, 64]) host.imports.create(bytes);
  return { device, host, memory, encode };
}

const code = (wanted: string) => (error: unknown) =>
  error instanceof GpuFailure && error.notice.code === wanted;

test('a pass like the last one makes nothing new', async () => {
  const { device, host, encode } = setup();
  const pass = (groups: number) => {
    encode({ groups });
    encode({ groups, params: [9, 9] });
    encode({ groups, twice: 1 });
    host.imports.submit();
  };
  pass(1);
  const first = device.counts();
  assert.deepEqual([first.createBindGroup, first.createComputePipelineAsync], [3, 2]);
  assert.equal(first.writeBuffer, 1); // all parameters at once
  pass(1);
  pass(5); // other workgroups are no other record
  const { dispatchWorkgroups, beginComputePass, setPipeline, ...made } = device.counts();
  assert.deepEqual([dispatchWorkgroups, beginComputePass, setPipeline], [6, 2, 4]);
  assert.deepEqual(made, { setBindGroup: 6, end: 2, submit: 2 });
  await host.settle();
  assert.equal(host.stats().dispatches, 9);
});

test('passes that take turns find what they made before', () => {
  const { device, host, encode } = setup();
  const pass = (value: number) => {
    for (let i = 0; i < 10; i++) encode({ params: [value, i] });
    host.imports.submit();
  };
  pass(1);
  pass(2);
  assert.equal(device.counts().createBindGroup, 20);
  for (let i = 0; i < 4; i++) pass(1 + (i % 2));
  assert.equal(device.counts().createBindGroup, undefined);
});

test('each dispatch has its own parameters', () => {
  const { device, host, encode } = setup();
  encode({ params: [11, 12] });
  encode({ params: [13, 14] });
  host.imports.submit();
  const slots = device.calls.filter(({ name }) => name === 'setBindGroup').map(({ args }) => args[3]);
  const [write] = device.calls.filter(({ name }) => name === 'writeBuffer');
  const [, from, data, at] = write!.args as [unknown, number, ArrayBuffer, number];
  assert.equal(from, at);
  const words = slots.map((slot) => Array.from(new Uint32Array(data, 256 * (slot as number), 2)));
  assert.deepEqual(words, [
    [11, 12],
    [13, 14],
  ]);
});

test('unused bindings have a buffer each', () => {
  const { device, encode } = setup();
  encode({ buffers: [0, 0, 0, 0] });
  const [{ args } = { args: [] }] = device.calls.filter(({ name }) => name === 'createBindGroup');
  const { entries } = args[0] as { entries: { resource: { buffer: unknown } }[] };
  assert.equal(new Set(entries.map(({ resource }) => resource.buffer)).size, 5);
});

test('more records than there are places for parameters', async () => {
  const { device, host, encode } = setup();
  const seen = new Map<number, number>();
  for (let i = 0; i < 10_000; i++) encode({ params: [i, 0] });
  host.imports.submit();
  encode({ params: [9999, 0] });
  encode({ params: [0, 0] });
  host.imports.submit();
  await host.settle();
  let written: Uint32Array = new Uint32Array();
  let next = 0;
  const wanted = [...Array.from({ length: 10_000 }, (_, i) => i), 9999, 0];
  for (const { name, args } of device.calls) {
    if (name === 'writeBuffer') written = new Uint32Array(args[2] as ArrayBuffer);
    if (name === 'setBindGroup') seen.set(next++, args[3] as number);
  }
  assert.equal(next, wanted.length);
  // The last pass still finds its own values in its places.
  for (const i of [10_000, 10_001]) assert.equal(written[64 * seen.get(i)!], wanted[i]);
});

test('the passes are submitted before places are used again', () => {
  const { device, encode } = setup();
  for (let i = 0; i < 5000; i++) encode({ params: [i, 0] });
  const used = new Set<unknown>();
  for (const { name, args } of device.calls) {
    if (name === 'submit') used.clear();
    if (name !== 'setBindGroup') continue;
    assert(!used.has(args[3]), `the place ${args[3]} is used twice in one pass`);
    used.add(args[3]);
  }
});

test('what is compiled ahead is only named', async () => {
  const { device, host, encode } = setup();
  device.counts();
  const counts: number[][] = [];
  await host.compile(
    () => {
      assert.equal(host.imports.create(1 << 20), 0);
      host.imports.upload(1, 0, 0, 16);
      encode({ operation: 0, format: 12 });
      encode({ operation: 0, format: 12, params: [1, 2] });
      encode({ operation: 0, format: 2 });
      host.imports.read(1, 0, 16, 0);
      host.imports.submit();
    },
    (done, total) => counts.push([done, total]),
  );
  assert.deepEqual(device.counts(), { createShaderModule: 2, createComputePipelineAsync: 2 });
  assert.deepEqual(counts.at(-1), [2, 2]);
  encode({ operation: 0, format: 2 });
  assert.equal(device.counts().createComputePipeline, undefined);
});

test('a pipeline that cannot be made is named', async () => {
  const { device, host, encode } = setup();
  device.broken.add('matvec');
  const both = () => {
    encode({ operation: 0, format: 12 });
    encode({});
  };
  for (let time = 0; time < 2; time++)
    await assert.rejects(host.compile(both), (error: unknown) => {
      assert.match(String((error as GpuFailure).message), /matvec 12 .*no such builtin/);
      return code('gpu_failed')(error);
    });
  await host.compile(() => encode({})); // the others are there
  assert.deepEqual(host.pipelines, { done: 1, total: 1 });
});

test('what is read lies in memory once it has settled, also after a growth', async () => {
  const { host, memory } = setup();
  host.imports.read(1, 0, 12, 1000);
  host.imports.submit();
  new Uint8Array(memory.buffer, 1000, 16).fill(9);
  memory.grow(1);
  await host.settle();
  assert.deepEqual(Array.from(new Uint8Array(memory.buffer, 1000, 13)), [...new Array(12).fill(0), 9]);
});

test('staging buffers are kept', async () => {
  const { device, host } = setup();
  host.imports.read(1, 0, 16, 0);
  await host.settle();
  device.counts();
  host.imports.read(2, 0, 64, 0);
  await host.settle();
  assert.equal(device.counts().createBuffer, undefined);
});

test('no memory: the figures', async () => {
  const { device, host } = setup();
  await host.settle();
  device.caught['out-of-memory'] = 'too much';
  device.caught.validation = 'a buffer that is invalid';
  host.imports.create(1000);
  host.imports.read(1, 0, 16, 0);
  await assert.rejects(host.settle(), (error: unknown) => {
    assert.deepEqual((error as GpuFailure).notice, { code: 'gpu_out_of_memory', needed: 1008, given: 144 });
    return true;
  });
});

test('more than a buffer may have is not asked for', async () => {
  const { host } = setup();
  host.imports.create(2 ** 31);
  await assert.rejects(host.settle(), (error: unknown) => {
    const limit = { limit: 'maxBufferSize', needed: 2 ** 31, available: 2 ** 28 };
    assert.deepEqual((error as GpuFailure).notice, { code: 'gpu_limit', ...limit });
    return true;
  });
});

test('broken rules are told by the next settle', async () => {
  const { device, host, encode } = setup();
  encode({});
  await host.settle();
  device.caught.validation = 'two writable bindings overlap';
  encode({});
  host.imports.submit();
  await assert.rejects(host.settle(), (error: unknown) => {
    assert.match(String((error as GpuFailure).message), /overlap/);
    return code('gpu_failed')(error);
  });
});

test('a device that goes away ends the wait', async () => {
  const { device, host } = setup();
  device.hangs = true;
  host.imports.read(1, 0, 16, 0);
  const settled = host.settle();
  device.destroy();
  await assert.rejects(settled, code('gpu_lost'));
  await assert.rejects(host.settle(), code('gpu_lost')); // and stays away
  await assert.rejects(
    host.compile(() => undefined),
    code('gpu_lost'),
  );
});

test('a buffer that a recorded dispatch uses is destroyed after it', () => {
  const { device, host, encode } = setup();
  encode({});
  const before = host.stats().memory_bytes;
  host.imports.destroy(3);
  assert.equal(device.counts().submit, 1);
  assert.equal(before - host.stats().memory_bytes, 64);
  assert.throws(() => encode({ params: [1, 1] }), { name: 'RangeError' });
});
