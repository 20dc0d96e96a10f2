// Completions of a model that has a guard: what is asked is judged before it is
// answered, and what is answered before anybody sees a word of it. So a stream is
// held back whole, and comes all at once; what is refused comes as a sentence with
// the finish_reason 'content_filter'. How a text is judged is guard.ts's, how one
// is written chat.ts's and text.ts's.

import { wantedInfill } from './fim';
import { rulesOf } from './guard';
import { checkAll } from './guard_pieces';
import { chatParams, completionParams, usageApart } from './openai';
import { invalid } from './params';
import { wordsOf } from './pictures';
import { envelope, stoppable } from './requests';
import { PushStream } from './stream';
import type {
  ChatChunkChoice,
  ChatCompletion,
  ChatCompletions,
  ChatRequest,
  CompletionChunk,
  CompletionRequest,
  Completions,
  FinishReason,
  Guard,
  GuardOptions,
  GuardReport,
  GuardVerdict,
  RequestOptions,
  Stream,
  Timings,
  Usage,
} from './types';

export type Rules = Omit<GuardOptions, 'model'>;

/** Names a mistake before anything is loaded or asked. */
export function checkRules(rules: Rules): void {
  const { screen = 'both', refusal } = rules;
  if (!['prompts', 'answers', 'both'].includes(screen))
    invalid("guard.screen to be 'prompts', 'answers' or 'both'", screen);
  if (refusal !== undefined && (typeof refusal !== 'string' || refusal === ''))
    invalid('guard.refusal to be a sentence', refusal);
  rulesOf(rules, false);
}

/** Of a request: what is judged. */
interface Exchange {
  readonly question: string;
  /** The beginning of an answer that goes on. */
  readonly begun: string;
}

export class Screen {
  readonly guard: Guard;
  readonly prompts: boolean;
  readonly answers: boolean;
  readonly #rules: Rules;

  constructor(guard: Guard, rules: Rules) {
    checkRules(rules);
    const { screen = 'both', policies, threshold } = rules;
    this.guard = {
      check: (request, options) =>
        guard.check({ ...defined({ policies, threshold }), ...defined(request) } as typeof request, options),
    };
    this.prompts = screen !== 'answers';
    this.answers = screen !== 'prompts';
    this.#rules = rules;
  }

  /** null where it is not to be judged, or nothing was asked. */
  async prompt({ question }: Exchange, signal: AbortSignal | undefined): Promise<GuardVerdict | null> {
    if (!this.prompts || question === '') return null;
    return checkAll(this.guard, { prompt: question }, signal ? { signal } : {});
  }

  answer(
    { question, begun }: Exchange,
    text: string,
    signal: AbortSignal | undefined,
  ): Promise<GuardVerdict> {
    return checkAll(this.guard, { prompt: question, response: begun + text }, signal ? { signal } : {});
  }

  refusal(what: 'prompt' | 'answer', { scores }: GuardVerdict): string {
    const broken = scores.filter(({ violates }) => violates).map(({ title }) => `“${title}”`);
    const rules = `the rule${broken.length > 1 ? 's' : ''} ${broken.join(', ')}`;
    return (
      this.#rules.refusal ??
      (what === 'prompt'
        ? `This was not answered: the guard on this device found that it breaks ${rules}.`
        : `The answer is not shown: the guard on this device found that it breaks ${rules}.`)
    );
  }
}

function defined<T extends object>(given: T): Partial<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>;
}

// ---- the two kinds ----

interface Choice {
  readonly index: 0;
  readonly finish_reason: FinishReason | null;
}

/** What both kinds of answers have, and both kinds of chunks. */
interface Told {
  readonly object: string;
  readonly choices: readonly Choice[];
  readonly usage?: Usage | null;
  readonly timings?: Timings;
  readonly guard?: GuardReport;
}

/** How a kind of request and its answers are read and written. */
interface Kind<Request> {
  readonly prefix: string;
  readonly objects: readonly [whole: string, chunk: string];
  readonly exchange: (request: Request) => Exchange;
  readonly said: (choice: Choice) => string;
  /** What a choice says: whole, at the beginning of a stream, and at its end. */
  readonly whole: (text: string) => object;
  readonly piece: (text: string) => object;
  readonly end: object;
  /** That nothing of the prompt was left out, where a stream says so. */
  readonly dropped: { readonly first: object; readonly last: object };
}

type ChatChoice = ChatCompletion['choices'][0] | ChatChunkChoice;

const CHAT: Kind<ChatRequest> = {
  prefix: 'chatcmpl',
  objects: ['chat.completion', 'chat.completion.chunk'],
  exchange: chatExchange,
  said: (choice) => {
    const told = choice as ChatChoice;
    const { content, tool_calls = [] } = 'delta' in told ? told.delta : told.message;
    // What a tool is to be told is said as well.
    const calls = tool_calls.map(({ function: called }) => [called?.name, called?.arguments]);
    return [content, ...calls.flat()].map((text) => text ?? '').join('');
  },
  whole: (content) => ({ message: { role: 'assistant', content } }),
  piece: (content) => ({ delta: { role: 'assistant', content } }),
  end: { delta: {} },
  dropped: { first: { dropped_messages: 0 }, last: {} },
};

const TEXT: Kind<CompletionRequest> = {
  prefix: 'cmpl',
  objects: ['text_completion', 'text_completion'],
  exchange: textExchange,
  said: (choice) => (choice as CompletionChunk['choices'][0]).text,
  whole: (text) => ({ text }),
  piece: (text) => ({ text }),
  end: { text: '' },
  dropped: { first: {}, last: { dropped_tokens: 0 } },
};

/** All that the model is given to read, names too. */
function textExchange(request: CompletionRequest): Exchange {
  const params = completionParams(request);
  const infill = wantedInfill(params);
  if (infill === null) return { question: params.prompt, begun: '' };
  const { repo, files, path, prefix, suffix } = infill;
  const texts = [repo, ...files.flatMap((file) => [file.path, file.text]), path, prefix + suffix];
  return { question: texts.filter((text) => text).join('\n\n'), begun: '' };
}

/** What was asked since the last answer: all before was judged when it was asked. A call of tools is none, as
 *  what it brings is for the same question. */
function chatExchange(request: ChatRequest): Exchange {
  const { messages, continue_final_message } = chatParams(request);
  const last = messages.at(-1)!;
  const begun = last.role === 'assistant' && continue_final_message !== false ? wordsOf(last.content) : '';
  const asked = last.role === 'assistant' ? messages.slice(0, -1) : messages;
  const from = asked.findLastIndex(({ role, tool_calls }) => role === 'assistant' && !tool_calls) + 1;
  const words = asked.slice(from).filter(({ role }) => role === 'user');
  return { question: words.map(({ content }) => wordsOf(content)).join('\n\n'), begun };
}

export const screenedChat = (chat: ChatCompletions, screen: Screen, model: string): ChatCompletions =>
  new Screened(chat as Api<ChatRequest>, screen, CHAT, model) as ChatCompletions;

export const screenedText = (text: Completions, screen: Screen, model: string): Completions =>
  new Screened(text as Api<CompletionRequest>, screen, TEXT, model) as Completions;

// ---- screening ----

interface Api<Request> {
  create(request: Request, options?: RequestOptions): Promise<unknown>;
}

class Screened<Request extends ChatRequest | CompletionRequest> {
  readonly #inner: Api<Request>;
  readonly #screen: Screen;
  readonly #kind: Kind<Request>;
  readonly #model: string;

  constructor(inner: Api<Request>, screen: Screen, kind: Kind<Request>, model: string) {
    this.#inner = inner;
    this.#screen = screen;
    this.#kind = kind;
    this.#model = model;
  }

  async create(request: Request, options: RequestOptions = {}): Promise<unknown> {
    const { signal } = options;
    signal?.throwIfAborted();
    const exchange = this.#kind.exchange(request);
    const prompt = await this.#screen.prompt(exchange, signal);
    if (prompt?.violates) return this.#unanswered(request, prompt);
    const told = await this.#inner.create(request, options);
    if (!this.#screen.answers) {
      const report: GuardReport = { refused: null, prompt, answer: null };
      return request.stream === true
        ? mapped(told as Stream<Told>, (chunk) => reported(chunk, report))
        : { ...(told as Told), guard: report };
    }
    if (request.stream === true) return this.#held(told as Stream<Told>, exchange, prompt, signal);
    const whole = told as Told;
    const report = await this.#judged(exchange, prompt, this.#text([whole]), signal);
    if (report.refused === null) return { ...whole, guard: report };
    return refused(whole, this.#kind.whole(this.#screen.refusal('answer', report.answer!)), report);
  }

  async #judged(
    exchange: Exchange,
    prompt: GuardVerdict | null,
    text: string,
    signal: AbortSignal | undefined,
  ): Promise<GuardReport> {
    const answer = await this.#screen.answer(exchange, text, signal);
    return { refused: answer.violates ? 'answer' : null, prompt, answer };
  }

  /** Its chunks when all of them have come and may be shown; else a refusal, and the stream's own end. */
  #held(
    told: Stream<Told>,
    exchange: Exchange,
    prompt: GuardVerdict | null,
    signal: AbortSignal | undefined,
  ): Stream<Told> {
    const { stop, release } = stoppable(signal);
    const chunks = new PushStream<Told>(() => {
      stop.abort();
      told.return?.();
    });
    const work = async () => {
      const held: Told[] = [];
      for await (const chunk of told) held.push(chunk);
      const report = await this.#judged(exchange, prompt, this.#text(held), stop.signal);
      for (const chunk of report.refused === null ? held : this.#refusal(held, report))
        chunks.push(reported(chunk, report));
      chunks.close();
    };
    work()
      .catch((error: unknown) => chunks.fail(error))
      .finally(release);
    return chunks;
  }

  #refusal(held: readonly Told[], report: GuardReport): Told[] {
    const text = this.#screen.refusal('answer', report.answer!);
    const { timings: _, usage, ...head } = held[0]!;
    const none = usage === null ? { usage } : {};
    const opening = { ...head, ...none, choices: [this.#piece(text)], guard: report };
    return [opening, ...held.filter(isEnd).map((chunk) => refused(chunk, this.#kind.end, report))];
  }

  #piece(text: string): Choice {
    return { index: 0, ...this.#kind.piece(text), logprobs: null, finish_reason: null } as Choice;
  }

  /** As if the model had been asked and had computed nothing. */
  #unanswered(request: Request, prompt: GuardVerdict): Told | Stream<Told> {
    const { prefix, objects, whole, end, dropped } = this.#kind;
    const report: GuardReport = { refused: 'prompt', prompt, answer: null };
    const text = this.#screen.refusal('prompt', prompt);
    const apart = usageApart(request);
    const [object, chunk] = objects;
    const head = envelope(prefix, this.#model);
    const choice = (said: object) =>
      ({ index: 0, ...said, logprobs: null, finish_reason: 'content_filter' }) as const;
    const sums = { usage: NO_USAGE, timings: NO_TIMINGS };
    if (request.stream !== true) {
      const none = { ...dropped.first, ...dropped.last };
      return { ...head, object, choices: [choice(whole(text))], ...sums, ...none, guard: report } as Told;
    }
    const none = apart ? { usage: null } : {};
    const chunks = new PushStream<Told>(() => undefined);
    const base = { ...head, object: chunk };
    chunks.push({ ...base, choices: [this.#piece(text)], ...none, ...dropped.first, guard: report });
    const closing = { ...base, choices: [choice(end)], ...(apart ? none : sums), ...dropped.last };
    chunks.push({ ...closing, guard: report } as Told);
    if (apart) chunks.push({ ...base, choices: [], ...sums });
    chunks.close();
    return chunks;
  }

  #text(told: readonly Told[]): string {
    return told.flatMap(({ choices }) => choices.map(this.#kind.said)).join('');
  }
}

const isEnd = ({ choices }: Told): boolean => choices[0]?.finish_reason !== null;

const reported = (chunk: Told, guard: GuardReport): Told =>
  chunk.choices.length > 0 && isEnd(chunk) ? { ...chunk, guard } : chunk;

/** The same with another text, if it has one. */
function refused(told: Told, said: object, guard: GuardReport): Told {
  if (told.choices.length === 0) return told;
  const choice = { index: 0, ...said, logprobs: null, finish_reason: 'content_filter' } as const;
  return { ...told, choices: [choice], guard };
}

function mapped<T>(stream: Stream<T>, map: (value: T) => T): Stream<T> {
  const own: Stream<T> = {
    async next() {
      const { done, value } = await stream.next();
      return done ? { done, value } : { done: false, value: map(value) };
    },
    async return() {
      await stream.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]: () => own,
  };
  return own;
}

const NO_USAGE: Usage = {
  prompt_tokens: 0,
  completion_tokens: 0,
  total_tokens: 0,
  prompt_tokens_details: { cached_tokens: 0 },
};

const NO_TIMINGS: Timings = {
  prefill_tokens: 0,
  prefill_ms: 0,
  prefill_tokens_per_second: 0,
  decode_tokens: 0,
  decode_ms: 0,
  decode_tokens_per_second: 0,
  cached_tokens: 0,
  memory_bytes: 0,
};
