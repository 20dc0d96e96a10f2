// Times a stream of generated text from the outside, the same way for every
// engine that runs in a page: prefill ends when the first text arrives, decode
// is the time from there to the end. It trusts no engine's own figures.

import type { Prompt, Request, Result, Run } from './protocol';

export interface Piece {
  readonly text: string;
  /** Known on the last piece of all. */
  readonly usage?: { readonly prompt: number; readonly completion: number; readonly cached: number };
}

/** Loads a model; what it returns generates. */
export interface Engine {
  readonly version: string;
  load(request: Request): Promise<void>;
  /** After load. */
  variant(): string;
  generate(prompt: string, maxTokens: number, onPiece: (piece: Piece) => void): Promise<void>;
}

async function run(engine: Engine, prompt: Prompt, maxTokens: number): Promise<Run> {
  const start = performance.now();
  let first: number | null = null;
  let pieces = 0;
  let text = '';
  let usage: Piece['usage'];
  await engine.generate(prompt.text, maxTokens, (piece) => {
    usage = piece.usage ?? usage;
    if (piece.text === '') return;
    first ??= performance.now();
    pieces += 1;
    text += piece.text;
  });
  const end = performance.now();
  if (first === null || usage === undefined)
    throw new Error('expected text and its usage, found an empty stream');
  // BOS may be shared by all prompts; anything more would be a prefill that was not done.
  if (usage.prompt !== prompt.ids.length || usage.cached > 1 || usage.completion !== maxTokens)
    throw new Error(
      `expected ${prompt.ids.length} prompt tokens, at most 1 of them cached, and ${maxTokens} generated, ` +
        `found ${usage.prompt}, ${usage.cached} and ${usage.completion}`,
    );
  // Text that is held back makes the first token late and decode look short.
  if (pieces < 0.9 * maxTokens)
    throw new Error(`expected about ${maxTokens} pieces of text, one a token, found ${pieces}`);
  return { prefill_s: (first - start) / 1000, decode_s: (end - first) / 1000, text };
}

export async function measure(engine: Engine, request: Request): Promise<Result> {
  const start = performance.now();
  await engine.load(request);
  const loaded = performance.now();
  await run(engine, request.first, 1);
  const first = performance.now();
  await run(engine, request.warmup, request.n_warmup);
  const runs: Run[] = [];
  for (const prompt of request.prompts) runs.push(await run(engine, prompt, request.n_generate));
  return {
    version: engine.version,
    variant: engine.variant(),
    load_s: (loaded - start) / 1000,
    first_token_s: (first - start) / 1000,
    runs,
  };
}

/** Makes `measure` callable from the benchmark. */
export function expose<In, Out>(bench: { measure(request: In): Promise<Out> }): void {
  Object.assign(globalThis, { bench });
}
