// chat.completions.create: messages through the template and, when they do not
// fit, through the choice that the caller made about that.

import { SlmError } from '../core/error';
import type { Engine, Generation } from '../engine/engine';
import type { Placed } from '../engine/pictures';
import type { ToolForm } from '../generated/tool_forms';
import { PROJECTORS } from '../vision/projectors';
import { places, withPictures } from '../vision/prompt';
import { steering } from './inspect';
import { chatShape } from './logprobs';
import { chatParams, usageApart } from './openai';
import { dropOldest, promptRoom } from './overflow';
import { chatLogprobs, checkNames, invalid, sampling } from './params';
import { type MessagePictures, marked, shownParts } from './pictures';
import type { Queue } from './queue';
import { collect, envelope, type Piece, stream } from './requests';
import type { ChatTemplate } from './template';
import { AnswerReader, type Delta, message } from './tools/answer';
import { begins, knownForm, marks, type ToolUse, toolForm, toolUse } from './tools/forms';
import { speaksOfTools, told } from './tools/messages';
import type {
  ChatCompletion,
  ChatCompletionChunk,
  ChatCompletions,
  ChatMessage,
  ChatParams,
  ChatRequest,
  ManifestVision,
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
  /** Absent: the model sees no pictures. */
  readonly vision: ManifestVision | undefined;
  readonly pictures: MessagePictures;
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
    const steer = steering(params.steer, engine);
    const use = toolUse(params);
    const form = this.#form(params, use);
    const { ids, pictures, dropped } = await this.#prompt(params, form, use);
    const known = { logprobs, adapters, steer, echo: false, logits_of: [] };
    const asked: Generation = { ...common, ids, pictures, ...known };
    const generation = form === null || use === null ? asked : await this.#calling(asked, form, use);
    options.signal?.throwIfAborted();
    const head = envelope('chatcmpl', model);
    const reader = new AnswerReader(form, use);
    if (params.stream === true) return this.#stream(generation, options, head, dropped, apart, reader);
    const answer = await collect(engine, queue, generation, options);
    const deltas = [...reader.read(answer.text), ...reader.finish()];
    return {
      ...head,
      object: 'chat.completion',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', ...message(deltas) },
          logprobs: answer.logprobs && chatShape(answer.logprobs),
          finish_reason: reader.reason(answer.finish_reason),
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
    reader: AnswerReader,
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
    type Chunk = ChatCompletionChunk | WithUsageApart<ChatCompletionChunk>;
    const shaped = (delta: Delta, logprobs: Piece['logprobs']): Chunk => {
      const opens = opening();
      const choice = {
        index: 0,
        delta: opens ? { role: 'assistant' as const, ...delta } : delta,
        logprobs: logprobs && chatShape([logprobs]),
        finish_reason: null,
      } as const;
      const first = opens ? { dropped_messages: dropped } : {};
      return { ...head, object, choices: [choice], ...none, ...first };
    };
    return stream<Chunk>(
      engine,
      queue,
      generation,
      options,
      ({ text, logprobs }) => {
        const deltas = reader.read(text);
        // A token that is not decided yet still has its probability.
        if (deltas.length === 0 && logprobs !== null) deltas.push({ content: '' });
        return deltas.map((delta, i) => shaped(delta, i === 0 ? logprobs : null));
      },
      ({ finish_reason: finish, usage, timings }) => {
        const left = reader.finish().map((delta) => shaped(delta, null));
        const finish_reason = reader.reason(finish);
        const delta = opening() ? ({ role: 'assistant' } as const) : {};
        const choices = [{ index: 0, delta, logprobs: null, finish_reason }] as const;
        const end = { ...head, object } as const;
        return apart
          ? [...left, { ...end, choices, usage: null }, { ...end, choices: [], usage, timings }]
          : [...left, { ...end, choices, usage, timings }];
      },
    ) as Stream<ChatCompletionChunk> | Stream<WithUsageApart<ChatCompletionChunk>>;
  }

  /** How the model writes calls; null where neither tools nor calls are in the request. */
  #form({ messages }: ChatParams, use: ToolUse | null): ToolForm | null {
    if (use !== null) return toolForm(this.#context.template().source, this.#context.model);
    return speaksOfTools(messages) ? knownForm(this.#context.template().source) : null;
  }

  /** The same generation where a call can be told: by its marks, and by where it ends. */
  async #calling(asked: Generation, form: ToolForm, use: ToolUse): Promise<Generation> {
    const { engine } = this.#context;
    const tokens = await Promise.all(
      marks(form).map((mark) => engine.tokenize(mark, { special: true, bos: false })),
    );
    const show = tokens.flatMap((ids) => (ids.length === 1 ? [ids[0]!] : []));
    const ends = use.single && form.close !== '' ? [form.close] : [];
    return { ...asked, show, stop: [...asked.stop, ...form.stops, ...ends] };
  }

  async #prompt(
    {
      messages,
      max_tokens,
      context_overflow,
      continue_final_message,
      parse_special,
      template_args,
    }: ChatParams,
    form: ToolForm | null,
    use: ToolUse | null,
  ): Promise<{ ids: Int32Array; pictures: readonly Placed[]; dropped: number }> {
    const { engine, vision } = this.#context;
    const template = this.#context.template();
    const { n_ctx } = engine.facts;
    const args = use === null ? (template_args ?? {}) : { ...template_args, tools: use.tools };
    const begun = form === null || use === null ? '' : begins(form, use);
    const known = await this.#context.pictures.of(messages, async () => (await this.#soft()).text);
    const latest = vision !== undefined && template.source === PROJECTORS[vision.projector].template;
    const picturesOf = (some: readonly ChatMessage[]) =>
      shownParts(some, latest).map((part) => known.get(part)!);
    const tokenize = (some: readonly ChatMessage[]) => {
      const shown = some.map(marked);
      const rendered = template.prompt(form === null ? shown : told(shown, template.source, form), {
        continues: continue_final_message ?? some.at(-1)?.role === 'assistant',
        args,
      });
      const prompt =
        vision === undefined || known.size === 0
          ? { ...rendered, lead: 0 }
          : withPictures(rendered, picturesOf(some), vision.projector);
      const plain = parse_special === true ? [] : prompt.plain;
      const bos = !template.writesBos(prompt, prompt.lead);
      return engine.tokenize(prompt.text + begun, { special: true, bos, plain });
    };
    const placed = async (some: readonly ChatMessage[], dropped: number) => {
      const ids = fits(await tokenize(some), n_ctx);
      const views = picturesOf(some).flatMap((laid) => laid.views);
      if (vision === undefined || views.length === 0) return { ids, pictures: [], dropped };
      const { id } = await this.#soft();
      const at = places(
        ids,
        id,
        views.map(({ n_tokens }) => n_tokens),
      );
      return { ids, pictures: views.map((view, i) => ({ ...view, at: at[i]! })), dropped };
    };
    if (context_overflow === 'drop_oldest') {
      const room = promptRoom(n_ctx, max_tokens);
      const fitted = await dropOldest(messages, room, n_ctx, async (some) => (await tokenize(some)).length);
      return placed(fitted.messages, fitted.dropped);
    }
    if (context_overflow !== undefined && context_overflow !== 'error')
      invalid("context_overflow to be 'error' or 'drop_oldest'", context_overflow);
    return placed(messages, 0);
  }

  /** The token whose positions pictures take. */
  async #soft(): Promise<{ readonly id: number; readonly text: string }> {
    const { engine, vision } = this.#context;
    const known = vision === undefined ? [] : PROJECTORS[vision.projector].soft;
    for (const text of known) {
      const [id, ...more] = await engine.tokenize(text, { special: true, bos: false });
      if (id !== undefined && more.length === 0) return { id, text };
    }
    throw new SlmError(
      'unsupported',
      `Expected a vocabulary with a token for pictures (${known.join(' or ')}), found none; this model does not belong to its encoder.`,
    );
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
