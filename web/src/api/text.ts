// completions.create: plain text in, its continuation out, or what is missing in it.

import type { Engine, Generation } from '../engine/engine';
import { fits } from './chat';
import { type FittedPrompt, infillOf, infillPrompt, trimmed } from './fim';
import { steering } from './inspect';
import { completionShape, joined } from './logprobs';
import { completionParams, usageApart } from './openai';
import { promptRoom } from './overflow';
import { checkNames, completionLogprobs, echoes, invalid, sampling } from './params';
import type { Queue } from './queue';
import { collect, envelope, stream } from './requests';
import type {
  Completion,
  CompletionChunk,
  CompletionParams,
  CompletionRequest,
  Completions,
  RequestOptions,
  SamplingDefaults,
  Stream,
  WithUsageApart,
} from './types';

export interface TextContext {
  readonly engine: Engine;
  readonly queue: Queue;
  readonly model: string;
  readonly defaults: SamplingDefaults;
}

export class TextCompletions implements Completions {
  readonly #context: TextContext;

  constructor(context: TextContext) {
    this.#context = context;
  }

  create(
    request: CompletionRequest & { stream: true; stream_options: { include_usage: true } },
    options?: RequestOptions,
  ): Promise<Stream<WithUsageApart<CompletionChunk>>>;
  create(
    request: CompletionRequest & { stream: true },
    options?: RequestOptions,
  ): Promise<Stream<CompletionChunk>>;
  create(
    request: CompletionRequest & { stream?: false | null },
    options?: RequestOptions,
  ): Promise<Completion>;
  async create(
    request: CompletionRequest,
    options: RequestOptions = {},
  ): Promise<Stream<CompletionChunk> | Stream<WithUsageApart<CompletionChunk>> | Completion> {
    options.signal?.throwIfAborted();
    const params = completionParams(request);
    const apart = usageApart(request);
    checkNames(params);
    const { engine, queue, model, defaults } = this.#context;
    const common = sampling(params, defaults, engine.facts.model.n_vocab);
    const logprobs = completionLogprobs(params);
    const adapters = engine.adapters.choose(params.adapters);
    const steer = steering(params.steer, engine);
    const { ids, dropped } = await this.#prompt(params);
    const generation: Generation = {
      ...common,
      ids,
      logprobs,
      adapters,
      steer,
      echo: echoes(params),
      logits_of: [],
    };
    const head = { ...envelope('cmpl', model), object: 'text_completion' as const };
    if (params.stream === true) {
      let offset = 0;
      const none = apart ? { usage: null } : {};
      return stream<CompletionChunk | WithUsageApart<CompletionChunk>>(
        engine,
        queue,
        generation,
        options,
        (piece) => {
          const shaped = piece.logprobs && completionShape([piece.logprobs], offset);
          offset += piece.text.length;
          const choice = { index: 0, text: piece.text, logprobs: shaped, finish_reason: null } as const;
          return [{ ...head, choices: [choice], ...none }];
        },
        ({ finish_reason, usage, timings }) => {
          const choices = [{ index: 0, text: '', logprobs: null, finish_reason }] as const;
          const end = { ...head, choices, dropped_tokens: dropped };
          return apart
            ? [
                { ...end, usage: null },
                { ...head, choices: [], usage, timings },
              ]
            : [{ ...end, usage, timings }];
        },
      ) as Stream<CompletionChunk> | Stream<WithUsageApart<CompletionChunk>>;
    }
    const {
      text,
      logprobs: tokens,
      prompt,
      finish_reason,
      usage,
      timings,
    } = await collect(engine, queue, generation, options);
    return {
      ...head,
      choices: [
        {
          index: 0,
          text: prompt === null ? text : joined(prompt) + text,
          logprobs: tokens && completionShape([...(prompt ?? []).map((own) => [own]), ...tokens], 0),
          finish_reason,
        },
      ],
      usage,
      timings,
      dropped_tokens: dropped,
    };
  }

  async #prompt(params: CompletionParams): Promise<FittedPrompt> {
    const { engine, model: name } = this.#context;
    const { n_ctx, model } = engine.facts;
    const { prompt, max_tokens, context_overflow = 'error', parse_special = true } = params;
    if (context_overflow !== 'error' && context_overflow !== 'trim')
      invalid("context_overflow to be 'error' or 'trim'", context_overflow);
    const room = context_overflow === 'trim' ? promptRoom(n_ctx, max_tokens) : Number.POSITIVE_INFINITY;
    const infill = infillOf(params, model.fim, name);
    let fitted: FittedPrompt;
    if (infill !== null && model.fim !== null) {
      const encode = (text: string) => engine.tokenize(text, { special: false, bos: false });
      fitted = await infillPrompt(encode, model.fim, model.add_bos ? model.bos : null, infill, room);
    } else {
      const ids = await engine.tokenize(prompt, { special: parse_special, bos: true });
      fitted = trimmed(ids, model.add_bos ? 1 : 0, room);
    }
    return { ...fitted, ids: fits(fitted.ids, n_ctx) };
  }
}
