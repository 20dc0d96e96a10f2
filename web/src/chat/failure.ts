// A failure on the screen: what it means for the person, what can be done, and,
// for whoever wants to know, the exact sentence behind "Details".

import { h } from './dom';
import type { Failure } from './errors';
import { S } from './strings';

export function failureBox({ sentence, exact }: Failure, ...buttons: readonly Node[]): HTMLElement {
  return h(
    'div',
    { class: 'failure', role: 'alert' },
    h('p', {}, sentence),
    buttons.length === 0 ? null : h('div', { class: 'remedies' }, ...buttons),
    exactWords(exact),
  );
}

/** What was expected, found and done, in the words of the part that failed. */
export function exactWords(exact: string | null): HTMLElement | null {
  if (exact === null) return null;
  return h('details', { class: 'exact' }, h('summary', {}, S.details), h('p', { dir: 'auto' }, exact));
}
