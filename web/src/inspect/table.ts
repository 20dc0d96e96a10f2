// The table: a row for each layer, a column for each token, in each cell what the model
// would say next. One cell is chosen at a time, by a click or the arrow keys, as in a
// grid of the ARIA practices; what is likeliest there is listed below it.

import type { InspectedToken, TokenLogprob } from '../api/types';
import { h } from '../chat/dom';
import { count } from '../chat/format';
import { locale } from '../chat/language';
import { I } from './strings';
import { shade, visible } from './visible';

const percent = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 1 });

interface Cell {
  readonly element: HTMLTableCellElement;
  readonly token: string;
  readonly layer: number;
  readonly next: readonly TokenLogprob[];
}

export class LensTable {
  readonly element: HTMLElement;
  readonly detail = h('section', { class: 'lens-detail', 'aria-live': 'polite' });
  private readonly head = h('tr');
  private readonly body = h('tbody');
  /** By row from the top, by column. */
  private rows: Cell[][] = [];
  private chosen: readonly [row: number, column: number] = [0, 0];

  constructor() {
    const table = h('table', { class: 'lens', role: 'grid', 'aria-label': I.table, onkeydown: this.#key });
    table.append(h('thead', {}, this.head), this.body);
    // It scrolls, and who has no mouse scrolls by its cells.
    this.element = h('div', { class: 'lens-scroll' }, table);
    this.clear();
  }

  clear(): void {
    this.rows = [];
    this.chosen = [0, 0];
    this.head.replaceChildren();
    this.body.replaceChildren();
    this.element.hidden = true;
    this.detail.replaceChildren(h('p', { class: 'lens-hint' }, I.pick));
    this.detail.hidden = true;
  }

  /** Rows below those that are there: all tokens behind some more layers. */
  add(tokens: readonly InspectedToken[]): void {
    if (this.rows.length === 0) {
      this.head.replaceChildren(
        h('th', { scope: 'col' }, I.layer),
        ...tokens.map(({ token }) => h('th', { scope: 'col', dir: 'auto' }, visible(token))),
      );
      this.element.hidden = this.detail.hidden = false;
    }
    const n = tokens[0]!.layers.length;
    for (let i = n - 1; i >= 0; i--) {
      const { layer } = tokens[0]!.layers[i]!;
      const row = tokens.map(({ token, layers }) => cell(token, layer, layers[i]!.next));
      const at = this.rows.push(row) - 1;
      for (const [column, { element }] of row.entries())
        element.addEventListener('click', () => this.#choose(at, column));
      this.body.append(
        h('tr', {}, h('th', { scope: 'row' }, count(layer)), ...row.map(({ element }) => element)),
      );
    }
    this.#at()?.element.setAttribute('tabindex', '0');
  }

  #at(): Cell | undefined {
    return this.rows[this.chosen[0]]?.[this.chosen[1]];
  }

  #choose(row: number, column: number): void {
    const before = this.#at();
    this.chosen = [row, column];
    const now = this.#at()!;
    before?.element.setAttribute('tabindex', '-1');
    before?.element.removeAttribute('aria-selected');
    now.element.setAttribute('tabindex', '0');
    now.element.setAttribute('aria-selected', 'true');
    now.element.focus();
    this.detail.replaceChildren(
      h('h2', {}, I.cell(visible(now.token), count(now.layer))),
      h(
        'ol',
        {},
        ...now.next.map(({ token, logprob }) =>
          h(
            'li',
            {},
            h('span', { class: 'lens-token', dir: 'auto' }, visible(token)),
            h('span', { class: 'lens-share' }, percent.format(Math.exp(logprob))),
          ),
        ),
      ),
    );
  }

  readonly #key = (event: KeyboardEvent): void => {
    const [row, column] = this.chosen;
    const height = this.rows.length;
    const width = this.rows[0]?.length ?? 0;
    const forward = document.documentElement.dir === 'rtl' ? -1 : 1;
    const moves: Readonly<Record<string, readonly [number, number]>> = {
      ArrowUp: [row - 1, column],
      ArrowDown: [row + 1, column],
      ArrowLeft: [row, column - forward],
      ArrowRight: [row, column + forward],
      Home: [row, 0],
      End: [row, width - 1],
      Enter: [row, column],
    };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to[0] >= 0 && to[0] < height && to[1] >= 0 && to[1] < width) this.#choose(...to);
  };
}

function cell(token: string, layer: number, next: readonly TokenLogprob[]): Cell {
  const [best] = next;
  const sure = best === undefined ? 0 : Math.exp(best.logprob);
  const element = h(
    'td',
    { role: 'gridcell', class: shade(sure), dir: 'auto', tabindex: -1, title: percent.format(sure) },
    visible(best?.token ?? ''),
  );
  return { element, token, layer, next };
}
