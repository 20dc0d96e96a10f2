// chat.completions.create: messages through the template and, when they do not
// fit, through the choice that the caller made about that.

import { SlmError } from '../core/error';
import type { Engine, Generation } from '../engine/engine';
import { chatShape } from './logprobs';
import { chatParams, usageApart } from './openai';
import { dropOldest, promptRoom } from './overflow';
import { chatLogprobs, checkNames, invalid, sampling } from './params';
import type { Queue } from './queue';
import { collect, envelope, stream } from './requests';
import type { ChatTemplate } from './template';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletions,
  ChatMessage,
  ChatParams,
  ChatRequest,
  RequestOptions,
  SamplingDefaults,
  Stream,
  WithUsageApart,
} from './types';

export interface ChatContext {
  readonly engine: Engine;
  readonly queue: Queue;
  readonly model: string;
  readonly defaults: SamplingDefaults;
  /** Throws when the model has none. */
  readonly template: () => ChatTemplate;
}

export class Chat implements ChatCompletions {
  readonly #context: ChatContext;

  constructor(context: ChatContext) {
    this.#context = context;
  }

  create(
    request: ChatRequest & { stream: true; stream_options: { include_usage: true } },
    options?: RequestOptions,
  ): Promise<Stream<WithUsageApart<ChatCompletionChunk>>>;
  create(
    request: ChatRequest & { stream: true },
    options?: RequestOptions,
  ): Promise<Stream<ChatCompletionChunk>>;
  create(request: ChatRequest & { stream?: false | null }, options?: RequestOptions): Promise<ChatCompletion>;
  async create(
    request: ChatRequest,
    options: RequestOptions = {},
  ): Promise<Stream<ChatCompletionChunk> | Stream<WithUsageApart<ChatCompletionChunk>> | ChatCompletion> {
    options.signal?.throwIfAborted();
    const params = chatParams(request);
    const apart = usageApart(request);
    checkNames(params);
    const { engine, queue, model, defaults } = this.#context;
    const common = sampling(params, defaults, engine.facts.model.n_vocab);
    const logprobs = chatLogprobs(params);
    const adapters = engine.adapters.choose(params.adapters);
    const { ids, dropped } = await this.#prompt(params);
    options.signal?.throwIfAborted();
    const generation: Generation = { ...common, ids, logprobs, adapters, echo: false };
    const head = envelope('chatcmpl', model);
    if (params.stream === true) return this.#stream(generation, options, head, dropped, apart);
    const answer = await collect(engine, queue, generation, options);
    return {
      ...head,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: answer.text },
          logprobs: answer.logprobs && chatShape(answer.logprobs),
          finish_reason: answer.finish_reason,
        },
      ],
      usage: answer.usage,
      timings: answer.timings,
      dropped_messages: dropped,
    };
  }

  #stream(
    generation: Generation,
    options: RequestOptions,
    head: ReturnType<typeof envelope>,
    dropped: number,
    apart: boolean,
  ): Stream<ChatCompletionChunk> | Stream<WithUsageApart<ChatCompletionChunk>> {
    const { engine, queue } = this.#context;
    let first = true;
    const opening = () => {
      const opens = first;
      first = false;
      return opens;
    };
    const object = 'chat.completion.chunk';
    const none = apart ? { usage: null } : {};
    return stream<ChatCompletionChunk | WithUsageApart<ChatCompletionChunk>>(
      engine,
      queue,
      generation,
      options,
      ({ text, logprobs }) => {
        const opens = opening();
        const delta = opens ? ({ role: 'assistant', content: text } as const) : { content: text };
        const choice = {
          index: 0,
          delta,
          logprobs: logprobs && chatShape([logprobs]),
          finish_reason: null,
        } as const;
        const first = opens ? { dropped_messages: dropped } : {};
        return { ...head, object, choices: [choice], ...none, ...first };
      },
      ({ finish_reason, usage, timings }) => {
        const delta = opening() ? ({ role: 'assistant' } as const) : {};
        const choices = [{ index: 0, delta, logprobs: null, finish_reason }] as const;
        const end = { ...head, object } as const;
        return apart
          ? [
              { ...end, choices, usage: null },
              { ...end, choices: [], usage, timings },
            ]
          : [{ ...end, choices, usage, timings }];
      },
    ) as Stream<ChatCompletionChunk> | Stream<WithUsageApart<ChatCompletionChunk>>;
  }

  async #prompt({
    messages,
    max_tokens,
    context_overflow,
    continue_final_message,
    parse_special,
    template_args,
  }: ChatParams): Promise<{ ids: Int32Array; dropped: number }> {
    const { engine } = this.#context;
    const template = this.#context.template();
    const { n_ctx } = engine.facts;
    const tokenize = (some: readonly ChatMessage[]) => {
      const prompt = template.prompt(some, {
        continues: continue_final_message ?? some.at(-1)?.role === 'assistant',
        args: template_args ?? {},
      });
      const plain = parse_special === true ? [] : prompt.plain;
      return engine.tokenize(prompt.text, { special: true, bos: !template.writesBos(prompt), plain });
    };
    if (context_overflow === 'drop_oldest') {
      const room = promptRoom(n_ctx, max_tokens);
      const fitted = await dropOldest(messages, room, n_ctx, async (some) => (await tokenize(some)).length);
      return { ids: fits(await tokenize(fitted.messages), n_ctx), dropped: fitted.dropped };
    }
    if (context_overflow !== undefined && context_overflow !== 'error')
      invalid("context_overflow to be 'error' or 'drop_oldest'", context_overflow);
    return { ids: fits(await tokenize(messages), n_ctx), dropped: 0 };
  }
}

/** The worker would refuse it too, but only when the request's turn comes. */
export function fits(ids: Int32Array, n_ctx: number): Int32Array {
  if (ids.length <= n_ctx) return ids;
  throw new SlmError(
    'context_full',
    `Expected at most ${n_ctx} tokens, found a prompt of ${ids.length}; shorten it, start a new chat, load the model with a longer context or ask for another context_overflow.`,
    { details: { prompt_tokens: ids.length, n_ctx } },
  );
}
