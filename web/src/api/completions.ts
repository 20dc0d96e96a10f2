// Requests of chat and text completions and what comes back, as OpenAI has them;
// what is ours alone is `timings`, `onPrefill`, `context_overflow` and `fim`. Types only, as
// in types.ts, which names them.

import type { GuardReport } from './guarding';
import type { Steer } from './inspection';
import type { AdapterUse, PrefillProgress, Timings } from './types';

export type Role = 'system' | 'user' | 'assistant' | 'tool';

/** A call of a tool, that a model made. */
export interface ToolCall {
  /** By which the result names it. */
  readonly id?: string;
  readonly type: 'function';
  readonly function: {
    readonly name: string;
    /** The text of a JSON object. */
    readonly arguments: string;
  };
}

/** What a model may call: a function of the page's. */
export interface Tool {
  readonly type: 'function';
  readonly function: {
    /** 1 to 128 letters, digits, dots, dashes and underscores. */
    readonly name: string;
    readonly description?: string;
    /** A JSON schema of an object. */
    readonly parameters?: Readonly<Record<string, unknown>>;
  };
}

/** 'required': some tool has to be called, or this one. Default 'auto'. */
export type ToolChoice =
  | 'none'
  | 'auto'
  | 'required'
  | { readonly type: 'function'; readonly function: { readonly name: string } };

export interface TextPart {
  readonly type: 'text';
  readonly text: string;
}

/** A picture. `url` is a data: URL: nothing is fetched. `detail: 'high'` shows it larger, or its parts as well, where
 *  the model has learned that, and takes as many times the tokens and the time; 'low' is less than 'auto' where it can
 *  be (Gemma 4). */
export interface ImagePart {
  readonly type: 'image_url';
  readonly image_url: { readonly detail?: 'low' | 'high' | 'auto' } & (
    | { readonly url: string }
    | { readonly blob: Blob }
    | { readonly bitmap: ImageBitmap }
  );
}

export type ContentPart = TextPart | ImagePart;

export interface ChatMessage {
  readonly role: Role;
  /** Parts where there are pictures among them, which a user's message alone may have. */
  readonly content: string | readonly ContentPart[];
  readonly name?: string;
  /** Of the assistant's. */
  readonly tool_calls?: readonly ToolCall[];
  /** Of role 'tool': whose result it is. */
  readonly tool_call_id?: string;
}

export interface SamplingParams {
  readonly max_tokens?: number;
  readonly temperature?: number;
  readonly top_p?: number;
  readonly top_k?: number;
  readonly min_p?: number;
  readonly seed?: number;
  readonly stop?: string | readonly string[];
  readonly presence_penalty?: number;
  readonly frequency_penalty?: number;
  readonly repeat_penalty?: number;
  /** Token id to bias; -100 or less forbids the token. */
  readonly logit_bias?: Readonly<Record<string, number>>;
  /** Go on after an end-of-generation token: for measurements. */
  readonly ignore_eog?: boolean;
}

export interface ChatParams extends SamplingParams {
  /** Where the model's template refuses a system message (Gemma 2), its text opens the first user
   *  message instead. */
  readonly messages: readonly ChatMessage[];
  /** For this request alone; by default those of adapters.use(). */
  readonly adapters?: readonly AdapterUse[];
  /** What is added to the residual behind some layers while this is answered. */
  readonly steer?: readonly Steer[];
  readonly stream?: boolean;
  readonly logprobs?: boolean;
  /** 0 to 20 alternatives for each token; needs `logprobs`. */
  readonly top_logprobs?: number;
  /** What to do when the conversation does not fit n_ctx; default 'error'. */
  readonly context_overflow?: 'error' | 'drop_oldest';
  /** Go on with the last message instead of opening a new turn. By default so when it is the
   *  assistant's: the answer's text is then what follows it, not the whole. */
  readonly continue_final_message?: boolean;
  /** Take control tokens in the messages ("<|im_end|>") for what they are to the model. By default
   *  they are text like any other, so that nobody's words can end a turn or open one. */
  readonly parse_special?: boolean;
  /** Further variables of the chat template. */
  readonly template_args?: Readonly<Record<string, unknown>>;
  /** What the model may call. Needs one whose chat template has tools. */
  readonly tools?: readonly Tool[];
  readonly tool_choice?: ToolChoice;
  /** false: one call an answer, at most. */
  readonly parallel_tool_calls?: boolean;
}

/** The order of the parts. `psm`: what is before the place, what is behind it, then the answer; `spm`: what is
 *  behind the place first, so that the answer goes on with what is before it. */
export type FimForm = 'psm' | 'spm';

export interface FimFile {
  readonly path: string;
  readonly text: string;
}

export interface FimParams {
  /** Default 'psm', which every model that fills in has learned. */
  readonly form?: FimForm;
  /** Other files that matter, the most important last. Refused where the model has no token between files. */
  readonly files?: readonly FimFile[];
  /** Of the file that is filled in; needed beside `files`. */
  readonly path?: string;
  /** What the files belong to. */
  readonly repo?: string;
}

export interface CompletionParams extends SamplingParams {
  readonly prompt: string;
  /** What comes behind the answer. A model that fills in text (`has_fim`) writes what is between; others are
   *  refused. Control tokens in `prompt` and `suffix` are text then. */
  readonly suffix?: string;
  /** Take control tokens in `prompt` for what they are to the model; default true, for prompts that are put
   *  together by hand. */
  readonly parse_special?: boolean;
  /** Asks for filling in, also where `suffix` is empty. */
  readonly fim?: FimParams;
  /** What to do when the prompt does not fit n_ctx; default 'error'. 'trim' leaves out what is furthest from
   *  the answer: files, the beginning of `prompt`, the end of `suffix`. */
  readonly context_overflow?: 'error' | 'trim';
  /** For this request alone; by default those of adapters.use(). */
  readonly adapters?: readonly AdapterUse[];
  /** What is added to the residual behind some layers while this is answered. */
  readonly steer?: readonly Steer[];
  readonly stream?: boolean;
  /** 0 to 20 alternatives for each token, as in OpenAI's legacy endpoint. */
  readonly logprobs?: number;
  /** Begin the text and the logprobs with the prompt's, BOS included; not with `stream`, and with
   *  `logprobs` 0 at most. With `max_tokens` 0 this scores a text. */
  readonly echo?: boolean;
}

/** OpenAI's clients send null for what they do not set; it is as good as absent. */
type OrNull<T> = { readonly [K in keyof T]?: T[K] | null | undefined };

export interface StreamOptions {
  /** A last chunk has `choices: []` and the usage; the others have `usage: null`. */
  readonly include_usage?: boolean | null;
  /** Changes nothing: no network sees the chunks. */
  readonly include_obfuscation?: boolean | null;
}

interface StreamedWithUsage {
  readonly stream: true;
  readonly stream_options: { readonly include_usage: true };
}

/** Further names of OpenAI's. `model`, `user`, `metadata` and the like change nothing. Those that
 *  ask for what slmweb does not do are refused by name, unless they ask for nothing: `n: 1`,
 *  `function_call: 'auto'`, `response_format: {type: 'text'}`, `modalities: ['text']`. */
interface OpenAiParams {
  readonly model?: string | null;
  readonly user?: string | null;
  readonly metadata?: Readonly<Record<string, string>> | null;
  readonly stream_options?: StreamOptions | null;
  readonly n?: number | null;
  readonly store?: boolean | null;
  readonly service_tier?: string | null;
  readonly safety_identifier?: string | null;
  readonly prompt_cache_key?: string | null;
}

/** A message as OpenAI's clients write it: `developer` is `system`, and parts of text are joined by
 *  a line break. */
export interface ChatMessageParam {
  readonly role: Role | 'developer';
  readonly content?: string | readonly ContentPart[] | null;
  readonly name?: string | null;
  readonly tool_calls?: readonly ToolCall[] | null;
  readonly tool_call_id?: string | null;
}

/** What chat.completions.create takes: ChatParams, or the same in OpenAI's words. */
export interface ChatRequest extends OrNull<Omit<ChatParams, 'messages'>>, OpenAiParams {
  readonly messages: readonly ChatMessageParam[];
  /** The same as `max_tokens`. */
  readonly max_completion_tokens?: number | null;
  readonly response_format?: { readonly type: string } | null;
  readonly modalities?: readonly string[] | null;
}

/** What completions.create takes: CompletionParams, or the same in OpenAI's words. */
export interface CompletionRequest extends OrNull<Omit<CompletionParams, 'prompt'>>, OpenAiParams {
  readonly prompt: string | readonly string[];
}

export interface RequestOptions {
  readonly signal?: AbortSignal;
  readonly onPrefill?: (progress: PrefillProgress) => void;
}

/** 'tool_calls': it ended, and calls tools; the results are wanted as messages of role 'tool'. 'content_filter':
 *  the guard found that a rule is broken, and the text says so in place of an answer. */
export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

export interface TokenLogprob {
  readonly token: string;
  readonly logprob: number;
  /** The token's bytes, which may be part of a character. */
  readonly bytes: readonly number[];
}

export interface ContentLogprob extends TokenLogprob {
  readonly top_logprobs: readonly TokenLogprob[];
}

export interface ChatLogprobs {
  readonly content: readonly ContentLogprob[];
}

interface Answer {
  /** Of a model with a guard; in a stream on the chunk with the finish_reason, and on every chunk of a
   *  refusal. */
  readonly guard?: GuardReport;
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}

export interface ChatCompletion extends Answer {
  readonly object: 'chat.completion';
  readonly choices: readonly [
    {
      readonly index: 0;
      readonly message: {
        readonly role: 'assistant';
        /** '' where it only calls tools. */
        readonly content: string;
        /** Absent where there is none. */
        readonly tool_calls?: readonly MadeCall[];
      };
      readonly logprobs: ChatLogprobs | null;
      readonly finish_reason: FinishReason;
    },
  ];
  readonly usage: Usage;
  readonly timings: Timings;
  /** Messages that 'drop_oldest' left out. */
  readonly dropped_messages: number;
}

/** A call as an answer has it. */
export type MadeCall = ToolCall & { readonly id: string };

export interface ChatChunkChoice {
  readonly index: 0;
  readonly delta: {
    readonly role?: 'assistant';
    readonly content?: string;
    /** Each is whole: it comes when all of it has been written. */
    readonly tool_calls?: readonly (MadeCall & { readonly index: number })[];
  };
  readonly logprobs: ChatLogprobs | null;
  readonly finish_reason: FinishReason | null;
}

/** The last chunk has an empty delta, the finish_reason, `usage` and `timings`. */
export interface ChatCompletionChunk extends Answer {
  readonly object: 'chat.completion.chunk';
  readonly choices: readonly [ChatChunkChoice];
  readonly usage?: Usage;
  readonly timings?: Timings;
  /** On the first chunk: messages that 'drop_oldest' left out. */
  readonly dropped_messages?: number;
}

export interface CompletionLogprobs {
  readonly tokens: readonly string[];
  /** null only for the first token of an echoed prompt, which nothing predicts. */
  readonly token_logprobs: readonly (number | null)[];
  readonly top_logprobs: readonly Readonly<Record<string, number>>[];
  readonly text_offset: readonly number[];
}

interface CompletionChoice {
  readonly index: 0;
  readonly text: string;
  readonly logprobs: CompletionLogprobs | null;
}

export interface Completion extends Answer {
  readonly object: 'text_completion';
  readonly choices: readonly [CompletionChoice & { readonly finish_reason: FinishReason }];
  readonly usage: Usage;
  readonly timings: Timings;
  /** Tokens of the prompt that 'trim' left out. */
  readonly dropped_tokens: number;
}

export interface CompletionChunk extends Answer {
  readonly object: 'text_completion';
  readonly choices: readonly [CompletionChoice & { readonly finish_reason: FinishReason | null }];
  readonly usage?: Usage;
  readonly timings?: Timings;
  /** On the last chunk that has choices: tokens of the prompt that 'trim' left out. */
  readonly dropped_tokens?: number;
}

/** A chunk of a stream with `include_usage`: the last one has no choices, but `usage` and `timings`. */
export type WithUsageApart<Chunk extends { readonly choices: readonly unknown[] }> = Omit<
  Chunk,
  'choices' | 'usage'
> & {
  readonly choices: readonly Chunk['choices'][number][];
  /** null on every other chunk. */
  readonly usage: Usage | null;
};

/** An async iterable to be read once; leaving the loop early ends the generation. */
export type Stream<T> = AsyncIterableIterator<T>;

export interface ChatCompletions {
  create(
    params: ChatRequest & StreamedWithUsage,
    options?: RequestOptions,
  ): Promise<Stream<WithUsageApart<ChatCompletionChunk>>>;
  create(
    params: ChatRequest & { readonly stream: true },
    options?: RequestOptions,
  ): Promise<Stream<ChatCompletionChunk>>;
  create(
    params: ChatRequest & { readonly stream?: false | null },
    options?: RequestOptions,
  ): Promise<ChatCompletion>;
}

export interface Completions {
  create(
    params: CompletionRequest & StreamedWithUsage,
    options?: RequestOptions,
  ): Promise<Stream<WithUsageApart<CompletionChunk>>>;
  create(
    params: CompletionRequest & { readonly stream: true },
    options?: RequestOptions,
  ): Promise<Stream<CompletionChunk>>;
  create(
    params: CompletionRequest & { readonly stream?: false | null },
    options?: RequestOptions,
  ): Promise<Completion>;
}
