// One answer: prefill in chunks, then token after token, with a turn of the
// event loop every few milliseconds so that an abort takes effect at once. It
// drives a session and reports; queues, chat and templates are the page's.

import type { Timings } from '../api/types';
import type { Core } from '../core/core';
import { SlmError } from '../core/error';
import type { Model } from '../core/model';
import type { RawLogprob, Session, Wanted } from '../core/session';
import { Finish } from '../generated/abi';
import type { GpuHost } from '../gpu/host';
import type { DoneReport, GenerateRequest, MainReply, RawTokenLogprob, TokenReport } from './protocol';
import { Sanity } from './sanity';
import type { LoadedVision } from './vision';

/** How long one prefill chunk should take: short enough to stop, long enough to be efficient. */
const CHUNK_MS = 150;
const FIRST_CHUNK = 32;
/** Fewer tokens than this cost a chunk more than they save. */
const MIN_CHUNK = 4;
const ECHO_BYTES = 32 << 20;

export interface GenerateContext {
  readonly model: Model;
  readonly session: Session;
  readonly vision: LoadedVision;
  /** null on the CPU. */
  readonly host: GpuHost | null;
  /** Rejects when the GPU does not compute what it should. */
  readonly prove: () => Promise<void>;
  readonly post: (reply: MainReply) => void;
  /** Lets the event loop run, where it has not for some milliseconds. */
  readonly tick: () => Promise<void>;
  readonly isAborted: () => boolean;
}

export async function generate(request: GenerateRequest, context: GenerateContext): Promise<DoneReport> {
  const { session, model, host, prove, post, tick, isAborted } = context;
  const { id, ids, replay } = request;
  if (ids.length === 0)
    throw new SlmError(
      'invalid_argument',
      'Expected a prompt of at least one token, found none; send some text.',
    );
  if (ids.length > session.n_ctx)
    throw new SlmError(
      'context_full',
      `Expected at most ${session.n_ctx} tokens, found a prompt of ${ids.length}; shorten it, start a new chat or load the model with a longer context.`,
      { details: { prompt_tokens: ids.length, n_ctx: session.n_ctx } },
    );
  session.reset();
  for (const [param, value] of request.params) session.set(param, value);
  for (const [token, bias] of request.bias) session.bias(token, bias);
  for (const text of request.stop) session.stop(text);
  for (const token of request.show) session.show(token);
  context.vision.show(session, request.pictures);

  // What has been reported of it is not reported again.
  for (const token of replay) session.accept(token);
  if (replay.length > 0) session.text(false);
  const clock = new Clock(model.core);
  const prompt = [Number.NaN];
  let logits: readonly number[] = [];
  const done = (finish: DoneReport['finish'], text: string, n: number): DoneReport => ({
    type: 'done',
    id,
    text,
    finish,
    prompt_tokens: ids.length,
    completion_tokens: n,
    prompt: request.echo
      ? Array.from(ids, (token, i) => withBytes(model, { id: token, logprob: prompt[i] ?? Number.NaN }))
      : null,
    logits,
    n_past: session.n_past,
    timings: clock.timings(),
    gpu: host?.stats() ?? null,
  });
  const ends = (n: number) => session.finished || n === request.max_tokens || ids.length + n > session.n_ctx;

  let n = replay.length;
  if (n > 0 && ends(n)) return done(session.finished ? 'stop' : 'length', '', n);
  if (!(await prefill(request, context, clock, prompt))) return done('aborted', '', n);
  const sane = new Sanity(model, session, host === null ? null : prove);
  if (request.logits_of.length > 0) {
    logits = sane.logits(request.logits_of);
    return done('length', '', 0);
  }
  if (request.max_tokens === 0) return done('length', '', 0);
  const tell = (reports: readonly TokenReport[]) => {
    for (const report of reports) post(report);
  };
  for (;;) {
    const token = sane.sample();
    if (session.finish === Finish.EOG) {
      tell(sane.held());
      return done('stop', session.text(true), n);
    }
    n += 1;
    const logprobs =
      request.logprobs === null
        ? null
        : session.logprobs(request.logprobs).map((raw) => withBytes(model, raw));
    clock.token();
    const last = ends(n);
    const report: TokenReport = {
      type: 'token',
      id,
      token,
      text: session.text(last),
      logprobs,
      n_past: session.n_past,
      timings: clock.timings(),
    };
    tell(await sane.vetted(report));
    if (!last) await tick();
    const aborted = !last && isAborted();
    if (last || aborted) tell(sane.held());
    if (last) return done(session.finished ? 'stop' : 'length', '', n);
    if (aborted) return done('aborted', session.text(true), n);
    session.eval([token], wantedOf(request, n));
    await session.settle();
  }
}

/** False when it was aborted on the way. An echoed prompt's logprobs are added to `scored`. */
async function prefill(
  request: GenerateRequest,
  context: GenerateContext,
  clock: Clock,
  scored: number[],
): Promise<boolean> {
  const { session, vision, post, tick, isAborted } = context;
  const { id, ids: prompt, echo, replay } = request;
  const ids = replay.length === 0 ? prompt : Int32Array.from([...prompt, ...replay]);
  const n = ids.length;
  const cached = session.reuse(echo ? ids.subarray(0, 1) : ids);
  // The logits of all of a chunk's tokens are kept to 32 MiB.
  const most = echo
    ? Math.min(session.n_batch, Math.max(MIN_CHUNK, Math.floor(ECHO_BYTES / (4 * session.n_vocab))))
    : session.n_batch;
  clock.startPrefill(cached);
  let size = Math.min(FIRST_CHUNK, most);
  for (let at = cached; at < n; ) {
    // The first turn of the loop as well: a request may have been aborted while it waited.
    await tick();
    if (isAborted()) return false;
    const end = chunkEnd(at, Math.min(at + size, n), request, vision);
    const chunk = ids.subarray(at, session.reads ? readEnd(at, end, prompt.length) : end);
    const start = performance.now();
    if (echo) scored.push(...(await session.evalScored(chunk, ids.subarray(at + 1, at + 1 + chunk.length))));
    else if (at + chunk.length === n) session.eval(chunk, wantedOf(request, replay.length));
    else session.eval(chunk, session.reads && at + chunk.length === prompt.length ? 'logits' : 'nothing');
    await session.settle();
    const ms = performance.now() - start;
    at += chunk.length;
    clock.prefilled(chunk.length);
    post({ type: 'prefill', id, progress: { done: at, total: n, cached }, n_past: session.n_past });
    const fitting = Math.floor((chunk.length * CHUNK_MS) / Math.max(ms, 0.1));
    size = Math.min(most, Math.max(MIN_CHUNK, fitting));
  }
  return true;
}

/** Where an evaluation of [at, end) ends that has each picture whole or not at all, if it has to be; of a prompt that is read
 *  together with its pictures, at its end. */
export function chunkEnd(
  at: number,
  end: number,
  { ids, pictures }: Pick<GenerateRequest, 'ids' | 'pictures'>,
  { tokens, wholePicture, wholePrompt }: Pick<LoadedVision, 'tokens' | 'wholePicture' | 'wholePrompt'>,
): number {
  if (pictures.length === 0) return end;
  if (wholePrompt) return at < ids.length ? ids.length : end;
  if (!wholePicture) return end;
  const cut = pictures.find(([, first]) => first < end && end < first + tokens);
  if (cut === undefined) return end;
  const [, first] = cut;
  return first > at ? first : first + tokens;
}

/** Where an evaluation of [at, end) ends whose prompt an encoder reads, up to the first call for logits: there, and
 *  behind it with each token of the answer. */
export function readEnd(at: number, end: number, n_prompt: number): number {
  return at < n_prompt ? Math.min(end, n_prompt) : at + 1;
}

/** Of an evaluation after which there will be `n` tokens of the answer and one more. */
function wantedOf({ logprobs, max_tokens, logits_of }: GenerateRequest, n: number): Wanted {
  if (logits_of.length > 0) return 'logits';
  if (max_tokens === 0) return 'nothing';
  if (logprobs !== null) return 'logits';
  return n + 1 === max_tokens ? 'sample' : 'sample and go on';
}

function withBytes(model: Model, raw: RawLogprob): RawTokenLogprob {
  return { ...raw, bytes: Array.from(model.detokenize([raw.id], { special: true })) };
}

class Clock {
  readonly #core: Core;
  #cached = 0;
  #start = performance.now();
  #prefillTokens = 0;
  #prefillEnd = this.#start;
  #decodeTokens = 0;
  #decodeEnd = this.#start;

  constructor(core: Core) {
    this.#core = core;
  }

  startPrefill(cached: number): void {
    this.#cached = cached;
    this.#start = performance.now();
  }

  prefilled(n: number): void {
    this.#prefillTokens += n;
    this.#prefillEnd = this.#decodeEnd = performance.now();
  }

  token(): void {
    this.#decodeTokens += 1;
    this.#decodeEnd = performance.now();
  }

  // The first token comes out of the prefill; the rate counts the evaluations after it.
  timings(): Timings {
    const prefill = Math.max(0, this.#prefillEnd - this.#start);
    const decode = Math.max(0, this.#decodeEnd - this.#prefillEnd);
    const evaluated = Math.max(0, this.#decodeTokens - 1);
    const perSecond = (n: number, ms: number) => (n > 0 && ms > 0 ? (n * 1000) / ms : 0);
    return {
      prefill_tokens: this.#prefillTokens,
      prefill_ms: prefill,
      prefill_tokens_per_second: perSecond(this.#prefillTokens, prefill),
      decode_tokens: this.#decodeTokens,
      decode_ms: decode,
      decode_tokens_per_second: perSecond(evaluated, decode),
      cached_tokens: this.#cached,
      memory_bytes: this.#core.memoryBytes,
    };
  }
}
