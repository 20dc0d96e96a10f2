// Measures the variant `webgpu` of the core in Node on Dawn: one request, as JSON on the
// command line, and one line of JSON on stdout. What the figures are compared with is
// Python's business (report.py).
//
//   node measure.mjs '{"kind": "probe", "features": []}'

import { readFileSync } from 'node:fs';
import { argv, exit, stdout } from 'node:process';
import { Core } from '../../../web/src/core/core';
import { Model } from '../../../web/src/core/model';
import { Session } from '../../../web/src/core/session';
import { Param } from '../../../web/src/generated/abi';
import { OPERATIONS, RECORD_HEAD } from '../../../web/src/generated/gpu';
import { findAdapter, isSoftware, openDevice } from '../../../web/src/gpu/device';
import { GpuHost } from '../../../web/src/gpu/host';
import { measureDevice } from '../../../web/src/gpu/measure';
import { expand } from '../../../web/src/gpu/shaders';
import { timeForms } from '../../../web/src/worker/forms';
import { openDawn } from './open';
import type {
  CompileReply,
  CompileRequest,
  DeviceReply,
  ModelReply,
  ModelRequest,
  ProbeReply,
  Reply,
  Request,
} from './protocol';
import { Weights } from './weights';

const FIRST_TOKEN = 300; // behind a tokenizer's special tokens and bytes
const STRIDE = 7919; // so that no token comes twice in a prompt

async function probe(gpu: GPU | null): Promise<ProbeReply> {
  if ((await gpu?.requestAdapter()) == null) return { adapter: null, software: false, timestamps: false };
  const { adapter, info } = await findAdapter({ gpu: gpu!, software: true });
  const timestamps = adapter.features.has('timestamp-query');
  return { adapter: info, software: isSoftware(adapter), timestamps };
}

async function measureAlone(gpu: GPU): Promise<DeviceReply> {
  return measureDevice(await openDevice(await findAdapter({ gpu, software: true })));
}

/** The core on a host whose dispatches can be listened to. */
async function open(gpu: GPU, wasm: string, profile: boolean) {
  const host = await GpuHost.open({ operations: OPERATIONS, expand }, { gpu, software: true, profile });
  const records: number[][] = [];
  const listening = { on: false };
  let memory: WebAssembly.Memory | null = null;
  const device = {
    imports: {
      ...host.imports,
      encode: (record: number) => {
        if (listening.on) records.push(wordsOf(memory!, record));
        host.imports.encode(record);
      },
    },
    attach: (own: WebAssembly.Memory) => {
      memory = own;
      host.attach(own);
    },
    settle: () => host.settle(),
  };
  const core = await Core.instantiate(await WebAssembly.compile(readFileSync(wasm)), null, true, device);
  return { host, core, records, listening };
}

function wordsOf(memory: WebAssembly.Memory, record: number): number[] {
  const words = new Uint32Array(memory.buffer);
  const at = record >>> 2;
  const { overrides, buffers, params } = OPERATIONS[words[at]!]!;
  return Array.from(words.subarray(at, at + RECORD_HEAD + overrides.length + buffers.length + params));
}

async function compileAlone(gpu: GPU, request: CompileRequest): Promise<CompileReply> {
  const { host, core } = await open(gpu, request.wasm, false);
  const model = new Model(core);
  new Weights(request.source).header(model);
  await timeForms(host, core);
  // Nothing is allocated meanwhile.
  await host.compile(() => {
    model.layout();
    model.prepare(request.n_ctx, request.n_batch);
  });
  return { compile_ms: host.info().compile_ms, pipelines: host.pipelines.total };
}

async function measureModel(gpu: GPU, request: ModelRequest): Promise<ModelReply> {
  const { wasm, source, n_ctx, n_batch, profile, repeat, warm } = request;
  const { host, core, records, listening } = await open(gpu, wasm, profile);
  const weights = new Weights(source);
  const model = new Model(core);
  weights.header(model);
  model.layout();
  const forms = await timeForms(host, core);
  await host.compile(() => model.prepare(n_ctx, n_batch));
  const { compile_ms } = host.info();
  await weights.feed(model);

  const session = new Session(model, n_ctx, n_batch);
  session.set(Param.IGNORE_EOG, 1);
  await session.settle();
  /** Milliseconds to read `n` tokens, none of which is in the cache. */
  const read = async (first: number, n: number): Promise<number> => {
    const { n_vocab } = session;
    const ids = Int32Array.from(
      { length: n },
      (_, i) => FIRST_TOKEN + (((first + i) * STRIDE) % (n_vocab - FIRST_TOKEN)),
    );
    session.reuse(ids);
    const start = performance.now();
    for (let at = 0; at < n; at += n_batch)
      session.eval(ids.subarray(at, at + n_batch), at + n_batch < n ? 'nothing' : 'sample');
    await session.settle();
    return performance.now() - start;
  };
  const write = async (token: number): Promise<number> => {
    session.eval([token], 'sample and go on');
    await session.settle();
    return session.sample();
  };

  await host.times();
  if (warm) await read(1, request.prompt);
  await host.times();
  const prefill_ms: number[] = [];
  for (let i = 0; i < repeat; i++) prefill_ms.push(await read(2 + i, request.prompt));
  const prefill = await host.times();

  await read(2 + repeat, request.past);
  let token = await write(session.sample());
  await host.times();
  const before = host.stats();
  const decode_ms: number[] = [];
  for (let i = 0; i < request.generate; i++) {
    const start = performance.now();
    token = await write(token);
    decode_ms.push(performance.now() - start);
  }
  const after = host.stats();
  const decode = await host.times();
  listening.on = true;
  token = await write(token);
  listening.on = false;
  // Its evaluation has begun already; a process that ends in the midst of one crashes.
  session.eval([token], 'sample');
  await session.settle();
  return {
    compile_ms,
    pipelines: host.pipelines.total,
    form: forms[0]!.name,
    forms: forms.map(({ name, ms }) => ({ name, ms })),
    prefill_ms,
    decode_ms,
    encode_ms: (after.encode_ms - before.encode_ms) / request.generate,
    dispatches: (after.dispatches - before.dispatches) / request.generate,
    memory_bytes: host.info().memory_bytes,
    records,
    times: { prefill, decode },
  };
}

async function answer(request: Request): Promise<Reply> {
  const gpu = await openDawn(request.features);
  if (request.kind === 'probe') return probe(gpu);
  if (gpu === null) throw new Error('expected Dawn where $SLMWEB_DAWN says, found nothing');
  if (request.kind === 'device') return measureAlone(gpu);
  return request.kind === 'compile' ? compileAlone(gpu, request) : measureModel(gpu, request);
}

const reply = await answer(JSON.parse(argv[2]!) as Request).catch((error: unknown) => ({
  error: error instanceof Error ? error.message : String(error),
}));
stdout.write(`${JSON.stringify(reply)}\n`);
// Dawn's own threads would keep the process.
exit(0);
