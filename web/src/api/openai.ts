// What OpenAI's clients send, as what slmweb takes: null is absent, names that
// mean the same are translated, what asks for nothing is dropped, and what asks
// for something that is not done here is refused by its name, with the reason.
// Names that OpenAI does not have either are left for params.ts to judge.

import { invalid } from './params';
import { imagePart } from './pictures';
import type {
  ChatMessage,
  ChatMessageParam,
  ChatParams,
  ChatRequest,
  CompletionParams,
  CompletionRequest,
  ContentPart,
  StreamOptions,
  ToolCall,
} from './types';

/** About the requester's account, or about servers that are not there: true of any answer. */
const IGNORED = [
  'model',
  'user',
  'metadata',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_options',
  'prompt_cache_retention',
  'service_tier',
];

interface Rule {
  /** Values that ask for nothing. */
  readonly harmless: (value: unknown) => boolean;
  readonly why: string;
}

const never = () => false;
const is = (wanted: unknown) => (value: unknown) => value === wanted;
const empty = (value: unknown) => Array.isArray(value) && value.length === 0;
const unforced = (value: unknown) => value === 'none' || value === 'auto';
const NOW_TOOLS = 'functions have become tools: use tools and tool_choice';

const REFUSED: Readonly<Record<string, Rule>> = {
  n: { harmless: is(1), why: 'one answer is written at a time: ask again, with another seed' },
  best_of: { harmless: is(1), why: 'one answer is written at a time: ask again, with another seed' },
  functions: { harmless: empty, why: NOW_TOOLS },
  function_call: { harmless: unforced, why: NOW_TOOLS },
  response_format: {
    harmless: (value) => (value as { type?: unknown }).type === 'text',
    why: "answers are text, and no grammar holds them to a form: ask for JSON in a message, or use {type: 'text'}",
  },
  modalities: {
    harmless: (value) => Array.isArray(value) && value.every(is('text')),
    why: "answers are text: use ['text']",
  },
  audio: { harmless: never, why: 'answers are text, not sound' },
  prediction: { harmless: never, why: 'nothing is predicted from a given text' },
  moderation: { harmless: never, why: 'no moderation service is asked: nothing leaves this device' },
  web_search_options: { harmless: never, why: 'nothing is looked up: no word leaves this device' },
  reasoning_effort: {
    harmless: never,
    why: "a model's chat template says how it thinks: use template_args, such as {enable_thinking: false}",
  },
  verbosity: { harmless: is('medium'), why: 'ask for short or long answers in a message' },
  store: { harmless: is(false), why: 'no server keeps the answer: keep it yourself' },
};

/** The same request in slmweb's own words. */
export function chatParams(request: ChatRequest): ChatParams {
  const { messages, ...others } = translated(request);
  if (!Array.isArray(messages) || messages.length === 0)
    invalid('messages to be a list of at least one message', messages);
  return { ...others, messages: messages.map(chatMessage) } as ChatParams;
}

/** The same request in slmweb's own words. */
export function completionParams(request: CompletionRequest): CompletionParams {
  const { prompt, ...others } = translated(request);
  const [only, ...more] = Array.isArray(prompt) ? prompt : [prompt];
  if (typeof only !== 'string') invalid('prompt to be text', prompt);
  if (more.length > 0) invalid('one prompt: one answer is written at a time', `${more.length + 1}`);
  return { ...others, prompt: only } as CompletionParams;
}

/** Whether a last chunk without choices has the usage. */
export function usageApart({ stream, stream_options }: ChatRequest | CompletionRequest): boolean {
  if (stream_options === undefined || stream_options === null) return false;
  if (typeof stream_options !== 'object' || Array.isArray(stream_options))
    invalid('stream_options to be an object such as {include_usage: true}', stream_options);
  const { include_usage, include_obfuscation, ...others } = present(stream_options) as StreamOptions;
  for (const name of Object.keys(others)) invalid('stream_options that slmweb knows', name);
  // Noise against listeners on the network is not needed where there is no network.
  for (const [name, value] of Object.entries({ include_usage, include_obfuscation }))
    if (value !== undefined && typeof value !== 'boolean')
      invalid(`stream_options.${name} to be true or false`, value);
  if (include_usage === true && stream !== true)
    invalid('stream: true beside stream_options; a whole answer has its usage anyway', stream);
  return include_usage === true;
}

function translated(request: ChatRequest | CompletionRequest): Record<string, unknown> {
  const { stream_options: _, ...params } = present(request);
  for (const name of IGNORED) delete params[name];
  for (const [name, { harmless, why }] of Object.entries(REFUSED)) {
    if (!(name in params)) continue;
    if (!harmless(params[name]))
      invalid(`no ${name} that asks for more than slmweb does (${why})`, params[name]);
    delete params[name];
  }
  const { max_completion_tokens, max_tokens, ...others } = params;
  if (max_completion_tokens === undefined) return params;
  if (max_tokens !== undefined && max_tokens !== max_completion_tokens)
    invalid('max_completion_tokens and max_tokens to agree', `${max_completion_tokens} and ${max_tokens}`);
  return { ...others, max_tokens: max_completion_tokens };
}

/** What is set: OpenAI's clients write null for what is not. */
function present(value: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(value).filter(([, given]) => given !== null && given !== undefined),
  );
}

const PARTS: Readonly<Record<string, string>> = {
  input_audio: 'this model hears nothing',
  file: 'no file is read: put its text into the message',
  refusal: 'leave out what was refused',
};

function chatMessage(given: ChatMessageParam): ChatMessage {
  if (typeof given !== 'object' || given === null) invalid('a message to be an object', given);
  const { role, content, ...others } = present(given);
  if (role === 'function') invalid("a message's role to be 'tool' (functions have become tools)", role);
  if (!['system', 'developer', 'user', 'assistant', 'tool'].includes(role as string))
    invalid("a message's role to be system, developer, user, assistant or tool", role);
  for (const name of ['audio', 'function_call', 'refusal'])
    if (name in others)
      invalid(`a message without ${name}: slmweb reads content and tool_calls`, others[name]);
  const { tool_calls: made, ...rest } = others;
  const calls = made === undefined || empty(made) ? undefined : toolCalls(made);
  // An assistant that only called tools has said nothing.
  const silent = content === undefined && role === 'assistant' && calls !== undefined;
  return {
    ...rest,
    ...(calls === undefined ? {} : { tool_calls: calls }),
    role: role === 'developer' ? 'system' : (role as ChatMessage['role']),
    content: silent ? '' : contentOf(content, role as string),
  };
}

function toolCalls(given: unknown): readonly ToolCall[] {
  const shape = "tool_calls such as [{id, type: 'function', function: {name, arguments: '{…}'}}]";
  if (!Array.isArray(given)) return invalid(shape, given);
  for (const call of given as readonly (Partial<ToolCall> | null)[]) {
    const { name, arguments: text } = call?.function ?? {};
    if (typeof name !== 'string' || typeof text !== 'string') invalid(shape, call);
    if (call?.id !== undefined && typeof call.id !== 'string') invalid(shape, call);
  }
  return given as readonly ToolCall[];
}

/** Parts of text alone are joined by a line break, as the servers of open models do. */
function contentOf(content: unknown, role: string): ChatMessage['content'] {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return invalid("a message's content to be text", content);
  const parts = content.map((part: { type?: unknown; text?: unknown } | null): ContentPart => {
    const why = PARTS[String(part?.type)];
    if (why !== undefined) return invalid(`content parts of text and pictures (${why})`, part?.type);
    if (part?.type === 'image_url')
      return role === 'user' ? imagePart(part) : invalid('pictures in messages of the user alone', role);
    if (part?.type !== 'text' || typeof part.text !== 'string')
      return invalid("content parts such as {type: 'text', text: '…'}", part);
    return { type: 'text', text: part.text };
  });
  const texts = parts.flatMap((part) => (part.type === 'text' ? [part.text] : []));
  return texts.length === parts.length ? texts.join('\n') : parts;
}
