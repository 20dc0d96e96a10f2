// The line above the field: what has just been done and can be undone, or that
// the context is nearly full and what helps. It draws one sentence and one button
// and decides neither.

import { announce } from './announce';
import { button, h } from './dom';

export interface Advice {
  readonly sentence: string;
  readonly action: { readonly label: string; readonly run: () => void } | null;
}

export class AdviceView {
  readonly element = h('p', { class: 'advice', hidden: true });
  private drawn = '';

  /** null shows nothing. `aloud`: screen readers hear it. */
  show(advice: Advice | null, aloud: boolean): void {
    this.element.hidden = advice === null;
    const key = advice === null ? '' : `${advice.sentence} ${advice.action?.label}`;
    if (advice === null || key !== this.drawn) {
      this.element.replaceChildren(
        ...(advice === null ? [] : [h('span', {}, advice.sentence), this.button(advice)]).filter(
          (node) => node !== null,
        ),
      );
      if (advice !== null && aloud) announce(advice.sentence);
    }
    this.drawn = key;
  }

  private button({ action }: Advice): HTMLElement | null {
    return action === null ? null : button(action.label, action.run);
  }
}
