// wllama as an engine to be timed. It is told not to use WebGPU (n_gpu_layers 0
// hides navigator.gpu from its worker), to keep one sequence and to reuse no
// cache; everything else is its default. Version 3 has no low-level API left,
// so it is timed by its stream, like slmweb.

import type { Request } from './protocol';
import { type Engine, expose, measure, type Piece } from './stream';

// The part of wllama that is used here. Its own types would make type checking
// depend on build/bench/node_modules, which only `make bench` installs.
interface Chunk {
  readonly choices: readonly { readonly text: string }[];
  readonly usage?: {
    readonly prompt_tokens: number;
    readonly completion_tokens: number;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number };
  };
}
interface Wllama {
  loadModelFromUrl(url: string, params: object): Promise<void>;
  createCompletion(params: object): Promise<void>;
  isMultithread(): boolean;
  getNumThreads(): number;
}
interface WllamaModule {
  readonly Wllama: { new (paths: { default: string }, config: object): Wllama; getLibllamaVersion(): string };
  readonly LoggerWithoutDebug: object;
}

const PACKAGE = '/node_modules/@wllama/wllama';

const url = `${PACKAGE}/esm/index.js`;
const { Wllama, LoggerWithoutDebug } = (await import(url)) as WllamaModule;
const { version } = (await (await fetch(`${PACKAGE}/package.json`)).json()) as { version: string };

const wllama = new Wllama(
  { default: `${PACKAGE}/esm/wasm/wllama.wasm` },
  { logger: LoggerWithoutDebug, suppressNativeLog: true },
);

const engine: Engine = {
  version: `${version} (llama.cpp ${Wllama.getLibllamaVersion()})`,

  async load({ model, threads, n_ctx }: Request): Promise<void> {
    await wllama.loadModelFromUrl(model, { n_gpu_layers: 0, n_threads: threads, n_ctx, n_parallel: 1 });
    if (wllama.getNumThreads() !== threads || wllama.isMultithread() !== threads > 1)
      throw new Error(`expected wllama on ${threads} threads, found ${wllama.getNumThreads()}`);
  },

  variant: () => (wllama.isMultithread() ? 'multi-thread' : 'single-thread'),

  async generate(prompt, maxTokens, onPiece): Promise<void> {
    await wllama.createCompletion({
      prompt,
      max_tokens: maxTokens,
      temperature: 0,
      ignore_eos: true,
      cache_prompt: false,
      stream: true,
      onData: (chunk: Chunk) => {
        const text = chunk.choices[0]?.text ?? '';
        onPiece(chunk.usage === undefined ? { text } : { text, usage: usage(chunk.usage) });
      },
    });
  },
};

function usage(found: NonNullable<Chunk['usage']>): NonNullable<Piece['usage']> {
  return {
    prompt: found.prompt_tokens,
    completion: found.completion_tokens,
    cached: found.prompt_tokens_details?.cached_tokens ?? 0,
  };
}

expose({ measure: (request: Request) => measure(engine, request) });
