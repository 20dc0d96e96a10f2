// onnxruntime-web's WebGPU backend as an engine to be timed: one step of a decoder,
// again and again. Its own types would make type checking depend on packages that
// only `make bench-gpu` installs.

import { expose } from './stream';

interface Session {
  run(feeds: Record<string, unknown>): Promise<Record<string, { getData(): Promise<Float32Array> }>>;
}
interface Ort {
  readonly env: {
    readonly wasm: { wasmPaths: string; numThreads: number };
    readonly versions: { readonly web?: string };
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => unknown;
  readonly InferenceSession: { create(url: string, options: object): Promise<Session> };
}

interface Request {
  readonly model: string;
  readonly width: number;
  readonly steps: number;
}
interface Result {
  readonly version: string;
  readonly adapter: string;
  readonly load_ms: number;
  /** The first compiles. */
  readonly step_ms: readonly number[];
}

const PACKAGE = '/ort/';

async function measure({ model, width, steps }: Request): Promise<Result> {
  const adapter = await navigator.gpu?.requestAdapter();
  if (adapter == null) throw new Error('this browser gives its pages no WebGPU');
  const url = `${PACKAGE}ort.webgpu.min.mjs`;
  const ort = (await import(url)) as Ort;
  ort.env.wasm.wasmPaths = PACKAGE;
  ort.env.wasm.numThreads = 1;
  const start = performance.now();
  const session = await ort.InferenceSession.create(model, { executionProviders: ['webgpu'] });
  const load_ms = performance.now() - start;
  const x = new ort.Tensor('float32', new Float32Array(width).fill(0.1), [1, 1, width]);
  const step_ms: number[] = [];
  for (let i = 0; i < steps; i++) {
    const begun = performance.now();
    const { logits } = await session.run({ x });
    const values = await logits!.getData();
    step_ms.push(performance.now() - begun);
    if (!Number.isFinite(values[0]!)) throw new Error('expected logits, found no numbers');
  }
  const { vendor, architecture, description } = adapter.info;
  return {
    version: ort.env.versions.web ?? '',
    adapter: description || `${vendor} ${architecture}`,
    load_ms,
    step_ms,
  };
}

expose({ measure });
