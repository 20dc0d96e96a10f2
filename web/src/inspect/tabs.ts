// The two ways to look inside, as tabs of the ARIA practices: the arrow keys go from one
// to the other. What the panels hold is none of its business.

import { h } from '../chat/dom';
import { I } from './strings';

export interface Tab {
  readonly id: string;
  readonly label: string;
  readonly panel: HTMLElement;
}

export class Tabs {
  readonly element: HTMLElement;
  private readonly buttons: readonly HTMLButtonElement[];
  private now = 0;

  constructor(
    private readonly tabs: readonly Tab[],
    private readonly onChange: (id: string) => void,
  ) {
    this.buttons = tabs.map(({ id, label, panel }, i) => {
      panel.id = `panel-${id}`;
      panel.setAttribute('role', 'tabpanel');
      panel.setAttribute('aria-labelledby', `tab-${id}`);
      const attributes = { id: `tab-${id}`, role: 'tab', type: 'button', 'aria-controls': panel.id };
      return h('button', { ...attributes, onclick: () => this.choose(i), onkeydown: this.#key }, label);
    });
    this.element = h('div', { class: 'tabs', role: 'tablist', 'aria-label': I.views }, ...this.buttons);
    this.draw();
  }

  get chosen(): string {
    return this.tabs[this.now]!.id;
  }

  show(id: string): void {
    this.choose(this.tabs.findIndex((tab) => tab.id === id));
  }

  private choose(i: number): void {
    if (i === this.now) return;
    this.now = i;
    this.draw();
    this.onChange(this.chosen);
  }

  private draw(): void {
    for (const [i, button] of this.buttons.entries()) {
      button.setAttribute('aria-selected', String(i === this.now));
      button.tabIndex = i === this.now ? 0 : -1;
      this.tabs[i]!.panel.hidden = i !== this.now;
    }
  }

  readonly #key = (event: KeyboardEvent): void => {
    const forward = document.documentElement.dir === 'rtl' ? -1 : 1;
    const n = this.buttons.length;
    const to = {
      ArrowRight: this.now + forward,
      ArrowLeft: this.now - forward,
      Home: 0,
      End: n - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.choose((to + n) % n);
    this.buttons[this.now]!.focus();
  };
}
