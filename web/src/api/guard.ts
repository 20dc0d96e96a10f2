// slm.guard: how probably a text breaks a rule, as ShieldGemma is asked it. The
// question's words are the model's own chat template's where that takes a
// `guideline`, else ShieldGemma's; the answer is one number of one prefill. The
// text comes before the rule, so the rules of one text share all of it.

import { SlmError } from '../core/error';
import type { Engine, Generation } from '../engine/engine';
import { GUARD_TEMPLATE, OPENING, POLICIES, type PolicyName } from '../generated/guard';
import { invalid } from './params';
import type { Queue } from './queue';
import { ChatTemplate, type TemplateTokens } from './template';
import type {
  ChatMessage,
  Guard,
  GuardPolicy,
  GuardRequest,
  GuardRules,
  GuardScore,
  GuardVerdict,
  RequestOptions,
} from './types';

const THRESHOLD = 0.5;
const MAX_POLICIES = 64;

export interface GuardContext {
  readonly engine: Engine;
  readonly queue: Queue;
  readonly chat_template: string | null;
  readonly tokens: TemplateTokens;
}

/** A rule as it is asked about. */
export interface Rule {
  readonly name: string;
  readonly title: string;
  readonly guideline: string;
  readonly threshold: number;
}

export class ModelGuard implements Guard {
  readonly #context: GuardContext;
  #template: ChatTemplate | null = null;
  #words: Promise<readonly [yes: number, no: number]> | null = null;

  constructor(context: GuardContext) {
    this.#context = context;
  }

  async check(request: GuardRequest, { signal }: RequestOptions = {}): Promise<GuardVerdict> {
    signal?.throwIfAborted();
    const { engine, queue } = this.#context;
    const rules = rulesOf(request, request.response !== undefined);
    this.#words ??= this.#yesAndNo();
    const words = await this.#words;
    const prompts = await Promise.all(rules.map((rule) => this.#prompt(request, rule)));
    // In one turn, so that nothing comes between what the cache is shared by.
    return queue.run(async () => {
      const scores: GuardScore[] = [];
      let n = 0;
      let cached = 0;
      for (const [i, ids] of prompts.entries()) {
        const generation: Generation = {
          ...UNSAMPLED,
          ids,
          logits_of: words,
          adapters: engine.adapters.choose(undefined),
        };
        const done = await engine.generate(generation, { signal, onToken() {}, onPrefill() {} });
        signal?.throwIfAborted();
        const [yes, no] = done.logits as [number, number];
        scores.push(scoreOf(rules[i]!, 1 / (1 + Math.exp(no - yes))));
        n += done.prompt_tokens;
        cached += done.timings.cached_tokens;
      }
      return {
        violates: scores.some(({ violates }) => violates),
        scores,
        usage: {
          prompt_tokens: n,
          completion_tokens: 0,
          total_tokens: n,
          prompt_tokens_details: { cached_tokens: cached },
        },
      };
    }, signal);
  }

  async #prompt({ prompt, response }: GuardRequest, { guideline }: Rule): Promise<Int32Array> {
    const { engine, chat_template, tokens } = this.#context;
    const { n_ctx } = engine.facts;
    this.#template ??= new ChatTemplate(guardTemplate(chat_template), tokens);
    const rendered = this.#template.render(exchange(prompt, response), { guideline });
    const bos = !this.#template.writesBos(rendered);
    const ids = await engine.tokenize(rendered.text, { special: true, bos, plain: rendered.plain });
    if (ids.length <= n_ctx) return ids;
    throw new SlmError(
      'context_full',
      `Expected at most ${n_ctx} tokens for the guard, found ${ids.length} with the rule; shorten the text, or load the guard with a longer context.`,
      { details: { prompt_tokens: ids.length, n_ctx } },
    );
  }

  /** The tokens of the two words where a line begins: elsewhere a space may belong to them. */
  async #yesAndNo(): Promise<readonly [yes: number, no: number]> {
    const { engine } = this.#context;
    const tokenize = (text: string) => engine.tokenize(text, { special: false, bos: false });
    const line = await tokenize('\n');
    const tokenOf = async (word: string) => {
      const ids = await tokenize(`\n${word}`);
      if (ids.length === line.length + 1 && line.every((id, i) => id === ids[i])) return ids.at(-1)!;
      throw new SlmError(
        'unsupported',
        `Expected a vocabulary with "${word}" as one token, found ${ids.length - line.length}; a guard answers with Yes or No: use another model.`,
      );
    };
    return [await tokenOf('Yes'), await tokenOf('No')];
  }
}

const UNSAMPLED = {
  params: [],
  bias: [],
  stop: [],
  max_tokens: 0,
  logprobs: null,
  show: [],
  steer: [],
  echo: false,
} as const;

/** The model's own template where it asks about a guideline. */
export function guardTemplate(own: string | null): string {
  return own !== null && /\bguideline\b/.test(own) ? own : GUARD_TEMPLATE;
}

export function exchange(prompt: string, response?: string): ChatMessage[] {
  for (const [name, text] of Object.entries({ prompt, response }))
    if (typeof text !== 'string' && !(name === 'response' && text === undefined))
      invalid(`${name} to be text`, text);
  const question: ChatMessage = { role: 'user', content: prompt };
  return response === undefined ? [question] : [question, { role: 'assistant', content: response }];
}

/** The rules with their words about a question, or about an answer. */
export function rulesOf({ policies, threshold = THRESHOLD }: GuardRules, answered: boolean): Rule[] {
  const given: readonly (string | GuardPolicy)[] = policies ?? Object.keys(POLICIES);
  if (!Array.isArray(given) || given.length === 0 || given.length > MAX_POLICIES)
    invalid(`policies to be a list of 1 to ${MAX_POLICIES}`, given);
  return given.map((entry) => {
    const policy: GuardPolicy = typeof entry === 'string' ? { name: entry } : entry;
    const { name, text } = policy;
    if (typeof name !== 'string' || name.trim() === '') invalid('a policy to have a name', entry);
    const own = policy.threshold ?? threshold;
    if (typeof own !== 'number' || !(own >= 0 && own <= 1)) invalid('a threshold from 0 to 1', own);
    if (text !== undefined) {
      if (typeof text !== 'string' || text.trim() === '')
        invalid(`the policy ${name} to say what it forbids`, text);
      return { name, title: name, guideline: `"${name}": ${text}`, threshold: own };
    }
    if (!Object.hasOwn(POLICIES, name))
      invalid(`a policy with a text, or one of ${Object.keys(POLICIES).join(', ')}`, name);
    const { title, text: rest } = POLICIES[name as PolicyName];
    const opening = OPENING[answered ? 'response' : 'prompt'];
    return { name, title, guideline: `"${title}": ${opening} ${rest}`, threshold: own };
  });
}

function scoreOf({ name, title, threshold }: Rule, probability: number): GuardScore {
  return { name, title, probability, threshold, violates: probability >= threshold };
}
