// What the host of the GPU costs a token on the processor, in Node on Dawn: the
// records of a model, again and again, with shaders that do nothing. The core that
// writes the records, and the device, are not in the figures.
//
//   make bench-gpu ARGS=--host

import { exit } from 'node:process';
import { OPERATIONS, type Operation, RECORD_HEAD } from '../../../web/src/generated/gpu';
import { GpuHost } from '../../../web/src/gpu/host';
import { openDawn } from './open';

const DISPATCHES = 300;
const TOKENS = 2000;

/** A valid shader with the bindings of an operation and nothing else. */
function empty({ buffers, overrides, params }: Operation): string {
  const space = { read: 'storage, read', read_write: 'storage, read_write', uniform: 'uniform' };
  return [
    `@group(0) @binding(0) var<uniform> params: array<vec4<u32>, ${Math.ceil(params / 4)}>;`,
    ...overrides.map(({ name, default: value }) => `override ${name}: u32 = ${value};`),
    ...buffers.map(({ name, binding, access }) => {
      const type = access === 'uniform' ? 'vec4<u32>' : 'array<u32>';
      return `@group(0) @binding(${binding}) var<${space[access]}> ${name}: ${type};`;
    }),
    '@compute @workgroup_size(1) fn main() {}',
  ].join('\n');
}

const gpu = await openDawn();
if (gpu === null) throw new Error('expected Dawn where $SLMWEB_DAWN says, found nothing');
const kernels = { operations: OPERATIONS, expand: empty };
const host = await GpuHost.open(kernels, { gpu, software: true });
const memory = new WebAssembly.Memory({ initial: 4 });
host.attach(memory);
const handles = Array.from({ length: 40 }, () => host.imports.create(4096));

// Every operation in turn, each with buffers of its own choice: as many bind groups as dispatches.
const words = new Uint32Array(memory.buffer);
const places: number[] = [];
let end = 16;
for (let i = 0; i < DISPATCHES; i++) {
  const number = i % OPERATIONS.length;
  const { overrides, buffers, params } = OPERATIONS[number]!;
  const head = [number, 0, 1, 1, 1, ...overrides.map(({ default: value }) => value)];
  const bound = buffers.map((_, k) => handles[(i + k) % handles.length]!);
  const record = [...head, ...bound, ...new Array<number>(params).fill(i)];
  places.push(4 * end);
  words.set(record, end);
  end += RECORD_HEAD + record.length;
}

const encoding: number[] = [];
const submitting: number[] = [];
for (let token = 0; token < TOKENS; token++) {
  words[0] = token;
  const start = performance.now();
  host.imports.upload(handles[0]!, 0, 0, 16);
  for (const place of places) host.imports.encode(place);
  const encoded = performance.now();
  host.imports.read(handles[1]!, 0, 1024, 4 * end);
  host.imports.submit();
  encoding.push(encoded - start);
  submitting.push(performance.now() - encoded);
  await host.settle();
}
say('encode', encoding);
say('submit', submitting);
exit(0); // Dawn's own threads would keep the process

function say(what: string, spent: number[]): void {
  const first = spent[0]!;
  spent.sort((a, b) => a - b);
  const at = (share: number) => spent[Math.floor(share * spent.length)]!.toFixed(3);
  // biome-ignore lint/suspicious/noConsole: what a benchmark is for
  console.log(
    `${what} of ${DISPATCHES} dispatches: first ${first.toFixed(1)} ms, fastest ${at(0)} ms, median ${at(0.5)} ms`,
  );
}
