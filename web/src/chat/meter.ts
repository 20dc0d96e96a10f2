// The line under the composer: where this runs, how full the context is, and
// how much memory. It draws SlmStats and knows no conversation.

import type { SlmStats } from '../api/types';
import { button, h, setText } from './dom';
import { bytes, count } from './format';
import { S } from './strings';

export class Meter {
  /** The thin line that fills as the context does. */
  readonly line = h('div', {
    class: 'context-line',
    role: 'meter',
    'aria-label': S.contextUse,
    'aria-valuemin': 0,
  });
  readonly element: HTMLElement;
  private readonly context = h('span', { class: 'figure' });
  private readonly memory = h('span', { class: 'figure wide' });

  constructor(onStatement: () => void) {
    const statement = button('', onStatement, { class: 'statement' });
    statement.append(
      h('span', { class: 'seal', 'aria-hidden': 'true' }),
      h('span', { class: 'long' }, S.statement),
      h('span', { class: 'short' }, S.statementShort),
    );
    const figures = h('div', { class: 'meter-figures' }, this.memory, this.context);
    this.element = h('div', { class: 'meter' }, statement, figures);
    this.update(null);
  }

  update(stats: SlmStats | null): void {
    const n_past = stats?.n_past ?? 0;
    const n_ctx = stats?.n_ctx ?? 1;
    this.line.style.setProperty('--done', String(n_past / n_ctx));
    this.line.classList.toggle('is-tight', n_past > 0.9 * n_ctx);
    this.line.setAttribute('aria-valuemax', String(n_ctx));
    this.line.setAttribute('aria-valuenow', String(n_past));
    setText(this.context, stats === null ? '' : S.contextOf(count(n_past), count(n_ctx)));
    setText(this.memory, stats === null ? '' : S.memory(bytes(stats.memory_bytes)));
  }
}
