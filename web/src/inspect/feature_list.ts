// Features one below the other, each with what it stands for and, where it is known, how
// active it is, as a number and as a bar. A press chooses one.

import type { SaeLabel } from '../api/types';
import { h } from '../chat/dom';
import { I } from './strings';
import { amount } from './visible';

/** A feature to be shown; without an activation, by its label alone. */
export interface Listed {
  readonly feature: number;
  readonly label: SaeLabel['label'] | null;
  readonly activation?: number;
}

export class FeatureList {
  readonly element = h('ol', { class: 'features' });
  private buttons: readonly (readonly [feature: number, element: HTMLElement])[] = [];

  constructor(private readonly onChoose: (feature: Listed) => void) {}

  show(features: readonly Listed[], chosen: number | null): void {
    const most = Math.max(0, ...features.map(({ activation = 0 }) => activation));
    this.buttons = features.map((one) => {
      const { feature, label, activation } = one;
      const bar = h('span', { class: 'feature-bar', 'aria-hidden': 'true' });
      bar.style.setProperty('--done', String(most > 0 ? (activation ?? 0) / most : 0));
      const element = h(
        'button',
        { type: 'button', class: 'feature', onclick: () => this.onChoose(one) },
        // Plain digits: it is a name, by which people search.
        h('span', { class: 'feature-number' }, String(feature)),
        h('span', { class: 'feature-label', dir: 'auto' }, label ?? I.noLabel),
        activation === undefined ? null : h('span', { class: 'feature-value' }, amount(activation)),
        activation === undefined ? null : bar,
      );
      if (label === null) element.classList.add('is-nameless');
      return [feature, element] as const;
    });
    this.element.replaceChildren(...this.buttons.map(([, element]) => h('li', {}, element)));
    this.mark(chosen);
  }

  /** Which of them is the chosen one, if it is among them. */
  mark(chosen: number | null): void {
    for (const [feature, element] of this.buttons)
      element.setAttribute('aria-pressed', String(feature === chosen));
  }
}
