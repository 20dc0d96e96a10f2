// Guards: a model that says how probably a text breaks a rule, and one that screens
// what another is asked and what it answers. Types only, as in types.ts, which names
// them.

import type { PolicyName } from '../generated/guard';
import type { Usage } from './completions';
import type { LoadSource, Slm } from './types';

export type GuardPolicyName = PolicyName;

/** A rule. */
export interface GuardPolicy {
  /** One of the built-in ones, which are ShieldGemma's, or a name of one's own, as people read it. */
  readonly name: string;
  /** One's own, as a sentence about what is not allowed: "The prompt shall not ask for medical advice." */
  readonly text?: string;
  /** By default that of all. */
  readonly threshold?: number;
}

export interface GuardRules {
  /** By default all built-in ones. Each takes one prefill of its own words, and the first that of the text. */
  readonly policies?: readonly (GuardPolicyName | GuardPolicy)[];
  /** The probability from which on a text counts as breaking a rule; by default 0.5. */
  readonly threshold?: number;
}

export interface GuardRequest extends GuardRules {
  /** What a person asks. */
  readonly prompt: string;
  /** What was answered; with it, it is the answer that is judged. */
  readonly response?: string;
}

export interface GuardScore {
  readonly name: string;
  /** The rule's name for people. */
  readonly title: string;
  /** Of "Yes, it violates the rule", given that the guard says yes or no. */
  readonly probability: number;
  readonly threshold: number;
  readonly violates: boolean;
}

export interface GuardVerdict {
  /** Whether any rule is broken. */
  readonly violates: boolean;
  /** In the order of the policies. */
  readonly scores: readonly GuardScore[];
  /** Of all prefills together; `cached_tokens` is what they shared. */
  readonly usage: Usage;
}

/** One prefill for each policy, and no text is generated. Rejects with `unsupported` when the model has no
 *  token for "Yes" and "No", and with `context_full` when a text does not fit: none is judged by a part.
 *  What screens a model asks it of each part of such a text. */
export interface Guard {
  check(request: GuardRequest, options?: { readonly signal?: AbortSignal }): Promise<GuardVerdict>;
}

/** What screens a model's requests. */
export interface GuardOptions extends GuardRules {
  /** A model that is loaded, which stays its owner's, or where to load one from, which goes with the model
   *  that it guards. */
  readonly model: Slm | LoadSource;
  /** By default 'both'. Of 'answers' and 'both' no word is shown before the whole answer was judged. */
  readonly screen?: 'prompts' | 'answers' | 'both';
  /** What is said in place of an answer; by default a sentence in English that names the rule. */
  readonly refusal?: string;
}

/** What the guard found. */
export interface GuardReport {
  /** What broke a rule; null: nothing. */
  readonly refused: 'prompt' | 'answer' | null;
  /** null where it was not judged. */
  readonly prompt: GuardVerdict | null;
  readonly answer: GuardVerdict | null;
}
