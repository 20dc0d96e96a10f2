// The text as its tokens, one behind the other: each tinted by how active a feature is
// there, which stands below it as a number, too. One is chosen at a time, by a click or
// the arrow keys, as in a list box of the ARIA practices.

import type { InspectedToken } from '../api/types';
import { h } from '../chat/dom';
import { greatest } from './reader';
import { I } from './strings';
import { amount, shade, visible } from './visible';

interface Shown {
  readonly element: HTMLElement;
  readonly value: HTMLElement;
}

export class TokenStrip {
  readonly element: HTMLElement;
  private shown: readonly Shown[] = [];
  private now = 0;

  constructor(private readonly onChoose: (place: number) => void) {
    this.element = h('div', {
      class: 'tokens',
      role: 'listbox',
      'aria-label': I.tokens,
      'aria-orientation': 'horizontal',
      dir: 'auto', // the text's, not the page's
      hidden: true,
      onkeydown: this.#key,
    });
  }

  show(tokens: readonly InspectedToken[]): void {
    this.now = 0;
    this.shown = tokens.map(({ token }, place) => {
      const value = h('span', { class: 'token-value' });
      const element = h(
        'div',
        { class: 'token', role: 'option', 'aria-selected': 'false', tabindex: place === 0 ? 0 : -1 },
        h('span', { class: 'token-text' }, visible(token)),
        value,
      );
      element.addEventListener('click', () => this.choose(place));
      return { element, value };
    });
    this.element.replaceChildren(...this.shown.map(({ element }) => element));
    this.element.hidden = tokens.length === 0;
    this.tint(null);
  }

  /** By a feature's activations, one for each token; null: by none. */
  tint(activations: readonly number[] | null): void {
    const most = activations === null ? 0 : greatest(activations);
    for (const [place, { element, value }] of this.shown.entries()) {
      const active = activations?.[place] ?? 0;
      element.classList.remove(...[...element.classList].filter((name) => name.startsWith('shade-')));
      const counts = place > 0 || this.shown.length === 1; // see greatest()
      if (active > 0 && counts) element.classList.add(shade(active / most));
      value.textContent = active > 0 ? amount(active) : '';
    }
  }

  private choose(place: number): void {
    const [before, next] = [this.shown[this.now]!, this.shown[place]!];
    before.element.tabIndex = -1;
    before.element.setAttribute('aria-selected', 'false');
    this.now = place;
    next.element.tabIndex = 0;
    next.element.setAttribute('aria-selected', 'true');
    next.element.focus();
    this.onChoose(place);
  }

  readonly #key = (event: KeyboardEvent): void => {
    const forward = getComputedStyle(this.element).direction === 'rtl' ? -1 : 1;
    const last = this.shown.length - 1;
    const moves: Readonly<Record<string, () => number>> = {
      ArrowLeft: () => this.now - forward,
      ArrowRight: () => this.now + forward,
      ArrowUp: () => this.inLine(-1),
      ArrowDown: () => this.inLine(1),
      Home: () => 0,
      End: () => last,
      Enter: () => this.now,
      ' ': () => this.now,
    };
    const move = moves[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const to = move();
    if (to >= 0 && to <= last) this.choose(to);
  };

  /** The token of the line above or below that is nearest; the same where there is no such line. */
  private inLine(step: -1 | 1): number {
    const at = ({ element }: Shown) => element.offsetLeft + element.offsetWidth / 2;
    const here = this.shown[this.now]!;
    const lines = [...new Set(this.shown.map(({ element }) => element.offsetTop))].sort((a, b) => a - b);
    const line = lines[lines.indexOf(here.element.offsetTop) + step];
    let best = this.now;
    let least = Number.POSITIVE_INFINITY;
    for (const [place, token] of this.shown.entries()) {
      const far = Math.abs(at(token) - at(here));
      if (token.element.offsetTop !== line || far >= least) continue;
      best = place;
      least = far;
    }
    return best;
  }
}
