// What is said in place of an answer that the guard has refused: which rule, whose
// words broke it, and that it was judged on this device, by a model that errs.

import type { GuardReport } from '../api/types';
import { h } from './dom';
import { S } from './strings';

export function refusalBox(report: GuardReport, ...buttons: readonly Node[]): HTMLElement {
  return h(
    'div',
    { class: 'refusal' },
    h('p', {}, refusalSentence(report)),
    h('p', { class: 'hint' }, S.guardErrs),
    buttons.length === 0 ? null : h('div', { class: 'remedies' }, ...buttons),
  );
}

export function refusalSentence({ refused, prompt, answer }: GuardReport): string {
  const scores = (refused === 'prompt' ? prompt : answer)?.scores ?? [];
  const broken = scores.filter(({ violates }) => violates).map(({ name, title }) => ruleName(name) ?? title);
  const rules = broken.map(S.quote).join(', ');
  return refused === 'prompt' ? S.refusedPrompt(rules) : S.refusedAnswer(rules);
}

const ruleName = (name: string): string | undefined =>
  Object.hasOwn(S.rules, name) ? S.rules[name as keyof typeof S.rules] : undefined;
