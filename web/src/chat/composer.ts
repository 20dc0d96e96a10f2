// The field where one writes, and its one button, which sends or stops. Enter
// sends, Shift+Enter breaks the line, and an Enter that ends an input method's
// composition does neither. It knows no model: it hands over text.

import { h, iconButton } from './dom';
import { icon } from './icons';
import { S } from './strings';

export interface ComposerEvents {
  readonly onSend: (text: string) => void;
  readonly onStop: () => void;
  /** ArrowUp in the empty field. */
  readonly onRecall: () => void;
}

/** True for an Enter that means "send", in the composer and where a message is edited. */
export function isSendKey(event: KeyboardEvent): boolean {
  const composing = event.isComposing || event.keyCode === 229; // Safari ends the composition first, and says 229
  return (
    event.key === 'Enter' &&
    !composing &&
    !event.shiftKey &&
    !event.ctrlKey &&
    !event.metaKey &&
    !event.altKey
  );
}

/** A field as tall as its text; CSS bounds it. */
export function autoGrow(field: HTMLTextAreaElement): void {
  field.style.height = 'auto';
  // The borders are not part of scrollHeight.
  field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
}

export class Composer {
  readonly field: HTMLTextAreaElement;
  readonly element: HTMLElement;
  private readonly action: HTMLButtonElement;
  private busy = false;

  constructor(private readonly events: ComposerEvents) {
    this.field = h('textarea', {
      id: 'message',
      rows: 1,
      dir: document.documentElement.dir,
      enterkeyhint: 'send',
      autocomplete: 'off',
      'aria-label': S.message,
      oninput: () => this.update(),
      onkeydown: (event: KeyboardEvent) => this.onKey(event),
    });
    this.action = iconButton(icon('send'), S.send, () => this.act(), { class: 'send icon-only' });
    this.element = h('div', { class: 'composer' }, this.field, this.action);
    this.action.disabled = true;
  }

  setBusy(busy: boolean): void {
    if (this.busy === busy) return;
    this.busy = busy;
    const label = busy ? S.stop : S.send;
    this.action.replaceChildren(icon(busy ? 'stop' : 'send'), h('span', { class: 'label' }, label));
    this.action.title = label;
    this.action.classList.toggle('is-stop', busy);
    this.update();
  }

  setPlaceholder(text: string, enabled: boolean): void {
    this.field.placeholder = text;
    this.field.disabled = !enabled;
  }

  fill(text: string): void {
    this.field.value = text;
    this.update();
    this.focus();
  }

  focus(): void {
    this.field.focus({ preventScroll: true });
  }

  private act(): void {
    if (this.busy) this.events.onStop();
    else this.send();
    this.focus();
  }

  private send(): void {
    const text = this.field.value;
    if (this.busy || text.trim() === '') return;
    this.field.value = '';
    this.update();
    this.events.onSend(text.trim());
  }

  private onKey(event: KeyboardEvent): void {
    if (isSendKey(event)) {
      event.preventDefault();
      this.send();
    } else if (event.key === 'ArrowUp' && this.field.value === '') {
      event.preventDefault();
      this.events.onRecall();
    }
  }

  private update(): void {
    // Empty, it has the page's direction, and so has what stands in it; written words have their own.
    this.field.dir = this.field.value === '' ? document.documentElement.dir : 'auto';
    autoGrow(this.field);
    this.action.disabled = !this.busy && this.field.value.trim() === '';
  }
}
