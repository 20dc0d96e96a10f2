// chat.completions and completions: from a request to the queue, and from the
// worker's reports to OpenAI's chunks. Both kinds share one runner and differ in
// how they wrap text, so a non-streamed answer is the same run, collected.

import { SlmError } from '../core/error';
import type { Engine, Generation } from '../engine/engine';
import type { RawTokenLogprob } from '../worker/protocol';
import type { Queue } from './queue';
import { PushStream } from './stream';
import type { FinishReason, RequestOptions, Timings, Usage } from './types';

/** A piece of an answer, in no particular shape yet. */
export interface Piece {
  readonly text: string;
  readonly logprobs: readonly RawTokenLogprob[] | null;
}

export interface Outcome {
  readonly finish_reason: FinishReason;
  readonly usage: Usage;
  readonly timings: Timings;
  /** The prompt's own tokens; null unless they were asked for. */
  readonly prompt: readonly RawTokenLogprob[] | null;
}

export interface Answer extends Outcome {
  readonly text: string;
  readonly logprobs: readonly (readonly RawTokenLogprob[])[] | null;
}

/** Runs a generation in its turn. An abort rejects at once with the signal's reason, and no piece
 *  comes after it, though the worker may be a few milliseconds from stopping. */
export function run(
  engine: Engine,
  queue: Queue,
  generation: Generation,
  { signal, onPrefill }: RequestOptions,
  onPiece: (piece: Piece) => void,
): Promise<Outcome> {
  return queue.run(async () => {
    const done = await engine.generate(generation, {
      signal,
      onPrefill: (progress) => {
        if (!signal?.aborted) onPrefill?.(progress);
      },
      onToken: ({ text, logprobs }) => {
        if (signal?.aborted) return;
        if (text !== '' || logprobs !== null) onPiece({ text, logprobs });
      },
    });
    if (done.finish === 'aborted') {
      signal?.throwIfAborted();
      throw new SlmError('crashed', 'Expected an answer, found it stopped by nobody; load the model again.');
    }
    if (done.text !== '') onPiece({ text: done.text, logprobs: null });
    const { prompt_tokens, completion_tokens, timings } = done;
    return {
      finish_reason: done.finish,
      timings,
      prompt: done.prompt,
      usage: {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
        prompt_tokens_details: { cached_tokens: timings.cached_tokens },
      },
    };
  }, signal);
}

export async function collect(
  engine: Engine,
  queue: Queue,
  generation: Generation,
  options: RequestOptions,
): Promise<Answer> {
  let text = '';
  const logprobs: (readonly RawTokenLogprob[])[] = [];
  const outcome = await run(engine, queue, generation, options, (piece) => {
    text += piece.text;
    if (piece.logprobs !== null) logprobs.push(piece.logprobs);
  });
  return { ...outcome, text, logprobs: generation.logprobs === null ? null : logprobs };
}

/** Chunks as they come; `wrap` gives a piece its shape, `last` is how the stream ends. */
export function stream<Chunk>(
  engine: Engine,
  queue: Queue,
  generation: Generation,
  options: RequestOptions,
  wrap: (piece: Piece) => readonly Chunk[],
  last: (outcome: Outcome) => readonly Chunk[],
): PushStream<Chunk> {
  const { stop, release } = stoppable(options.signal);
  const chunks = new PushStream<Chunk>(() => stop.abort());
  const take = (piece: Piece) => {
    for (const chunk of wrap(piece)) chunks.push(chunk);
  };
  run(engine, queue, generation, { ...options, signal: stop.signal }, take)
    .then(
      (outcome) => {
        for (const chunk of last(outcome)) chunks.push(chunk);
        chunks.close();
      },
      (error: unknown) => {
        // As fetch does: what was not read yet is not wanted any more.
        if (stop.signal.aborted) chunks.drop();
        chunks.fail(error);
      },
    )
    .finally(release);
  return chunks;
}

/** A controller that `signal` aborts, too, until it is released. */
export function stoppable(signal: AbortSignal | undefined): { stop: AbortController; release: () => void } {
  const stop = new AbortController();
  const forward = () => stop.abort(signal?.reason);
  signal?.addEventListener('abort', forward, { once: true });
  if (signal?.aborted) forward();
  return { stop, release: () => signal?.removeEventListener('abort', forward) };
}

/** What every answer opens with. */
export function envelope(prefix: string, model: string): { id: string; created: number; model: string } {
  const random = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');
  return { id: `${prefix}-${random}`, created: Math.floor(Date.now() / 1000), model };
}
