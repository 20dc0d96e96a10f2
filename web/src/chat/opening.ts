// A model on its way: what is being done, how much, how fast, how long still;
// or why it did not come, and what to do. It draws a ModelState and knows
// nothing of downloads.

import type { LoadProgress } from '../api/types';
import type { ModelEntry } from '../seal/protocol';
import { button, h, setText } from './dom';
import { describeError } from './errors';
import { bytes, duration } from './format';
import type { ModelState } from './model';
import { S } from './strings';

export interface OpeningActions {
  readonly open: (entry: ModelEntry) => void;
  readonly halt: () => void;
}

export class OpeningView {
  readonly element = h('section', { class: 'opening', hidden: true });
  private readonly title = h('p', { class: 'opening-title' });
  private readonly numbers = h('p', { class: 'opening-numbers' });
  private readonly bar = h('div', {
    class: 'bar',
    role: 'progressbar',
    'aria-valuemin': 0,
    'aria-valuemax': 100,
  });
  private readonly progress: HTMLElement;
  private drawn: ModelState['kind'] | null = null;

  constructor(private readonly actions: OpeningActions) {
    const cancel = button(S.cancel, () => actions.halt(), { class: 'quiet' });
    this.progress = h(
      'div',
      {},
      h('div', { class: 'opening-head' }, this.title, cancel),
      this.bar,
      this.numbers,
    );
  }

  update(state: ModelState): void {
    this.element.hidden = state.kind === 'none' || state.kind === 'ready';
    if (state.kind === 'opening') this.drawProgress(state.entry, state.progress);
    else if (this.drawn !== state.kind && !this.element.hidden) this.drawEnd(state);
    this.drawn = state.kind;
  }

  private drawProgress(entry: ModelEntry, progress: LoadProgress | null): void {
    if (this.drawn !== 'opening') this.element.replaceChildren(this.progress);
    const title = progress === null ? S.opening(entry.title) : S.phase[progress.phase];
    setText(this.title, title);
    const known = progress !== null && progress.total > 0;
    this.bar.classList.toggle('is-vague', !known);
    this.bar.style.setProperty('--done', String(known ? progress.loaded / progress.total : 0));
    this.bar.setAttribute('aria-label', title);
    if (known)
      this.bar.setAttribute('aria-valuenow', String(Math.round((100 * progress.loaded) / progress.total)));
    else this.bar.removeAttribute('aria-valuenow');
    setText(this.numbers, known ? numbers(progress) : '\u00a0');
  }

  private drawEnd(state: ModelState): void {
    if (state.kind === 'halted') {
      const resume = button(S.resume, () => this.actions.open(state.entry), { class: 'primary' });
      this.element.replaceChildren(
        h('p', {}, S.halted(state.entry.title)),
        h('div', { class: 'remedies' }, resume),
      );
    } else if (state.kind === 'failed') {
      const { sentence } = describeError(state.error, false);
      const again = button(S.tryAgain, () => this.actions.open(state.entry), { class: 'primary' });
      const failure = h(
        'div',
        { class: 'failure', role: 'alert' },
        h('p', {}, sentence),
        h('div', { class: 'remedies' }, again),
      );
      this.element.replaceChildren(failure);
    }
  }
}

function numbers({ loaded, total, rate, remaining }: LoadProgress): string {
  const parts = [S.amount(bytes(loaded), bytes(total))];
  if (rate !== null) parts.push(S.rate(bytes(rate)));
  if (remaining !== null) parts.push(S.left(duration(remaining)));
  return parts.join(' · ');
}
