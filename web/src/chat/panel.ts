// A drawer over the page: a modal dialog with a title, a close button and one
// body. It knows nothing of what it shows; the body is drawn anew at each
// opening, so that its numbers are those of the moment.

import { h, iconButton } from './dom';
import { icon } from './icons';
import { S } from './strings';

export class Panel {
  readonly element: HTMLDialogElement;
  private readonly body = h('div', { class: 'panel-body' });

  constructor(
    id: string,
    title: string,
    private readonly draw: () => readonly (Node | null)[],
    onClose: () => void = () => {},
  ) {
    const heading = h('h2', { id: `${id}-title` }, title);
    const close = iconButton(icon('close'), S.close, () => this.close(), { class: 'bare icon-only' });
    this.element = h(
      'dialog',
      { class: 'panel', id, 'aria-labelledby': heading.id },
      h('div', { class: 'panel-head' }, heading, close),
      this.body,
    );
    this.element.addEventListener('close', onClose);
    // A click on the backdrop lands on the dialog itself.
    this.element.addEventListener('click', (event) => {
      if (event.target === this.element) this.close();
    });
  }

  get isOpen(): boolean {
    return this.element.open;
  }

  open(): void {
    this.redraw();
    if (!this.isOpen) this.element.showModal();
    this.body.scrollTop = 0;
  }

  close(): void {
    this.element.close();
  }

  /** The keyboard stays at the button that has taken the place of the one where it was. */
  redraw(): void {
    const focused = this.body.querySelector<HTMLElement>(':focus')?.dataset.action;
    this.body.replaceChildren(...this.draw().filter((node) => node !== null));
    if (focused === undefined) return;
    const actions = [...this.body.querySelectorAll<HTMLElement>('[data-action]')];
    actions.find(({ dataset }) => dataset.action === focused)?.focus();
  }
}
