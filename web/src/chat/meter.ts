// The line under the composer: where this runs, how full the context is, and
// how much memory. It draws numbers and knows no conversation.

import type { SlmStats } from '../api/types';
import { TIGHT } from './budget';
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

  /** `used`: tokens of the branch shown. `draft`: what the message in the field would add, about. */
  update(stats: SlmStats | null, used = 0, draft = 0): void {
    const n_ctx = stats?.n_ctx ?? 1;
    const now = Math.min(used, n_ctx);
    this.line.style.setProperty('--done', String(now / n_ctx));
    this.line.classList.toggle('is-tight', used + draft >= TIGHT * n_ctx && stats !== null);
    this.line.setAttribute('aria-valuemax', String(n_ctx));
    this.line.setAttribute('aria-valuenow', String(now));
    const all = count(n_ctx);
    const words = draft === 0 ? S.contextOf(count(used), all) : S.contextWith(count(used), count(draft), all);
    setText(this.context, stats === null ? '' : words);
    const taken = (stats?.memory_bytes ?? 0) + (stats?.gpu?.memory_bytes ?? 0);
    setText(this.memory, stats === null ? '' : S.memory(bytes(taken)));
  }
}
