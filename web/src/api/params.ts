// From the parameters of a request to those of the core, checked. What is not
// given comes from the model's manifest, then from the core's own defaults.

import { SlmError } from '../core/error';
import type { Generation } from '../engine/engine';
import { Param } from '../generated/abi';
import type { ChatParams, CompletionParams, SamplingDefaults, SamplingParams } from './types';

const MAX_STOPS = 16;
const MAX_STOP_BYTES = 256;
const MAX_LOGPROBS = 20;
const MAX_SEED = Number.MAX_SAFE_INTEGER;
/** OpenAI's scale ends at -100, where a token counts as banned. */
const BANNED_BIAS = -100;

type Numeric = Exclude<keyof SamplingParams, 'max_tokens' | 'stop' | 'logit_bias' | 'ignore_eog'>;

const NUMBERS: Readonly<Record<Numeric, { param: Param; min: number; max: number; whole?: boolean }>> = {
  temperature: { param: Param.TEMPERATURE, min: 0, max: 100 },
  top_p: { param: Param.TOP_P, min: 0, max: 1 },
  top_k: { param: Param.TOP_K, min: 0, max: 2 ** 31 - 1, whole: true },
  min_p: { param: Param.MIN_P, min: 0, max: 1 },
  seed: { param: Param.SEED, min: 0, max: MAX_SEED, whole: true },
  presence_penalty: { param: Param.PRESENCE_PENALTY, min: -100, max: 100 },
  frequency_penalty: { param: Param.FREQUENCY_PENALTY, min: -100, max: 100 },
  repeat_penalty: { param: Param.REPEAT_PENALTY, min: 0.01, max: 100 },
};

const COMMON = [
  ...Object.keys(NUMBERS),
  'max_tokens',
  'stop',
  'logit_bias',
  'ignore_eog',
  'stream',
  'logprobs',
  'adapters',
  'steer',
];
const CHAT = new Set([
  ...COMMON,
  'messages',
  'top_logprobs',
  'context_overflow',
  'continue_final_message',
  'parse_special',
  'template_args',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
]);
const COMPLETION = new Set([
  ...COMMON,
  'prompt',
  'suffix',
  'fim',
  'context_overflow',
  'parse_special',
  'echo',
]);

export function invalid(expected: string, found: unknown): never {
  const shown = (typeof found === 'object' ? JSON.stringify(found) : String(found)).slice(0, 80);
  throw new SlmError('invalid_argument', `Expected ${expected}, found ${shown}.`);
}

/** Refuses what would otherwise be silently left undone, such as a name with a typing error. */
export function checkNames(params: ChatParams | CompletionParams): void {
  const known = 'messages' in params ? CHAT : COMPLETION;
  for (const [name, value] of Object.entries(params))
    if (value !== undefined && !known.has(name)) invalid('only parameters that slmweb knows', name);
}

/** Alternatives to report for each token, or null for none. */
export function chatLogprobs({ logprobs, top_logprobs }: ChatParams): number | null {
  if (top_logprobs !== undefined && logprobs !== true)
    invalid('logprobs: true beside top_logprobs', logprobs);
  return logprobs === true ? alternatives('top_logprobs', top_logprobs ?? 0) : null;
}

export function completionLogprobs({ logprobs }: CompletionParams): number | null {
  return logprobs === undefined ? null : alternatives('logprobs', logprobs);
}

/** Whether the prompt's own tokens are scored. */
export function echoes({ echo, stream, logprobs, suffix, fim }: CompletionParams): boolean {
  if (echo !== true) return false;
  if (suffix || fim !== undefined) invalid('echo without suffix and fim', 'both');
  if (stream === true) invalid('echo without stream', 'both');
  if (logprobs !== undefined && logprobs > 0) invalid('logprobs of 0 beside echo', logprobs);
  return true;
}

function alternatives(name: string, n: number): number {
  return Number.isInteger(n) && n >= 0 && n <= MAX_LOGPROBS
    ? n
    : invalid(`${name} to be a whole number from 0 to ${MAX_LOGPROBS}`, n);
}

/** Everything of a generation but its tokens, its logprobs, its adapters and what steers it. */
export function sampling(
  params: SamplingParams,
  defaults: SamplingDefaults,
  n_vocab: number,
): Omit<Generation, 'ids' | 'logprobs' | 'adapters' | 'steer' | 'echo' | 'logits_of'> {
  const values: [Param, number][] = [];
  for (const [name, { param, min, max, whole }] of Object.entries(NUMBERS)) {
    const value = params[name as Numeric] ?? defaults[name as keyof SamplingDefaults];
    if (value === undefined) continue;
    if (
      typeof value !== 'number' ||
      !(value >= min && value <= max) ||
      (whole === true && !Number.isInteger(value))
    )
      invalid(`${name} to be a ${whole === true ? 'whole ' : ''}number from ${min} to ${max}`, value);
    values.push([param, value]);
  }
  // A fixed default seed would give the same answer to every retry.
  if (params.seed === undefined) values.push([Param.SEED, randomSeed()]);
  if (params.ignore_eog === true) values.push([Param.IGNORE_EOG, 1]);
  const { max_tokens } = params;
  if (max_tokens !== undefined && !(Number.isInteger(max_tokens) && max_tokens >= 0))
    invalid('max_tokens to be a whole number', max_tokens);
  return {
    params: values,
    bias: bias(params.logit_bias, n_vocab),
    stop: stops(params.stop),
    show: [],
    max_tokens: max_tokens ?? null,
  };
}

function bias(given: SamplingParams['logit_bias'], n_vocab: number): [number, number][] {
  if (given !== undefined && (typeof given !== 'object' || Array.isArray(given)))
    invalid('logit_bias to be an object such as {"42": -100}', given);
  return Object.entries(given ?? {}).map(([key, value]) => {
    const token = Number(key);
    if (!Number.isInteger(token) || token < 0 || token >= n_vocab)
      invalid(`logit_bias to name tokens from 0 to ${n_vocab - 1}`, key);
    if (typeof value !== 'number' || Number.isNaN(value)) invalid(`logit_bias[${key}] to be a number`, value);
    return [token, value <= BANNED_BIAS ? Number.NEGATIVE_INFINITY : value];
  });
}

function stops(given: SamplingParams['stop']): string[] {
  const list = given === undefined || given === null ? [] : typeof given === 'string' ? [given] : [...given];
  if (list.length > MAX_STOPS) invalid(`at most ${MAX_STOPS} stop strings`, list.length);
  for (const text of list) {
    const bytes = typeof text === 'string' ? new TextEncoder().encode(text).length : 0;
    if (bytes < 1 || bytes > MAX_STOP_BYTES) invalid(`stop strings of 1 to ${MAX_STOP_BYTES} bytes`, text);
  }
  return list;
}

function randomSeed(): number {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2));
  return (high! % 2 ** 21) * 2 ** 32 + low!;
}
