// The form controls that drawers share. They know nothing of what they choose.

import { h } from './dom';

export function select(
  id: string,
  options: readonly (readonly [string, string])[],
  value: string,
  onchange: (value: string) => void,
): HTMLSelectElement {
  const element = h('select', { id, onchange: () => onchange(element.value) });
  element.append(...options.map(([key, label]) => h('option', { value: key }, label)));
  element.value = value;
  return element;
}

export function hint(id: string, text: string): HTMLElement {
  return h('p', { class: 'hint', id: id === '' ? undefined : id }, text);
}

/** A labelled choice with a sentence below it. */
export function choiceRow(label: string, choice: HTMLSelectElement, note: string): HTMLElement {
  const id = `hint-${choice.id}`;
  choice.setAttribute('aria-describedby', id);
  return h('div', { class: 'row' }, h('label', { for: choice.id }, label), choice, hint(id, note));
}
