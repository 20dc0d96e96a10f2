// The field where one writes, and its one button, which sends or stops. Enter
// sends, Shift+Enter breaks the line, and an Enter that ends an input method's
// composition does neither; on a touch keyboard, which has no Shift+Enter, Enter
// breaks the line and the button sends. What is sent while an answer is being
// written waits in the field until that has ended. It knows no model: it hands
// over text and pictures.

import { announce } from './announce';
import { button, h, iconButton } from './dom';
import { icon } from './icons';
import { S } from './strings';
import { Tray } from './tray';

export interface ComposerEvents {
  readonly onSend: (text: string, pictures: readonly Blob[]) => void;
  readonly onStop: () => void;
  /** ArrowUp in the empty field. */
  readonly onRecall: () => void;
  /** The field holds other words, or so many other pictures. */
  readonly onDraft: (text: string, pictures: number) => void;
  readonly onFiles: (files: readonly File[]) => void;
  /** Why a picture was not taken. */
  readonly onRefusal: (sentence: string) => void;
}

/** Whoever points with a finger most likely types on the glass, too. */
const touch = matchMedia('(pointer: coarse)');

/** True for an Enter that means "send", in the composer and where a message is edited. */
export function isSendKey(event: KeyboardEvent): boolean {
  const composing = event.isComposing || event.keyCode === 229; // Safari ends the composition first, and says 229
  if (event.key !== 'Enter' || composing || event.shiftKey || event.altKey) return false;
  return event.ctrlKey || event.metaKey || !touch.matches;
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
  readonly tray: Tray;
  private readonly action: HTMLButtonElement;
  private readonly queue: HTMLElement;
  private busy = false;
  private queued = false;

  constructor(private readonly events: ComposerEvents) {
    this.field = h('textarea', {
      id: 'message',
      rows: 1,
      dir: document.documentElement.dir,
      autocomplete: 'off',
      'aria-label': S.message,
      oninput: () => this.change(),
      onkeydown: (event: KeyboardEvent) => this.onKey(event),
      onpaste: (event: ClipboardEvent) => {
        const files = [...(event.clipboardData?.files ?? [])];
        // Programs put a picture beside the text that they copy: then the text is meant.
        if (files.length === 0 || event.clipboardData?.getData('text/plain') !== '') return;
        event.preventDefault();
        events.onFiles(files);
      },
    });
    this.tray = new Tray({ onChange: () => this.change(), onRefusal: events.onRefusal });
    this.action = iconButton(icon('send'), S.send, () => this.act(), { class: 'send icon-only' });
    this.queue = h(
      'p',
      { class: 'queue', hidden: true },
      S.queued,
      ' ',
      button(S.notYet, () => this.unqueue(), { class: 'quiet' }),
    );
    this.element = h(
      'div',
      {},
      this.queue,
      this.tray.row,
      h('div', { class: 'composer' }, this.tray.buttons, this.field, this.action),
    );
    this.action.disabled = true;
    const hint = (): void => this.field.setAttribute('enterkeyhint', touch.matches ? 'enter' : 'send');
    touch.addEventListener('change', hint); // a tablet that is put on its keyboard
    hint();
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

  /** An answer has ended; `whole`: nobody stopped it, and it did not fail. */
  answered(whole: boolean): void {
    const goes = this.queued && whole;
    this.queueUp(false);
    if (goes) this.send();
  }

  setPlaceholder(text: string, enabled: boolean): void {
    this.field.placeholder = text;
    this.field.disabled = !enabled;
  }

  fill(text: string): void {
    this.field.value = text;
    this.change();
    this.focus();
  }

  /** Puts text where the caret is, as a paragraph of its own. */
  insert(text: string): void {
    const { field } = this;
    const before = field.value.slice(0, field.selectionStart).trimEnd();
    const after = field.value.slice(field.selectionEnd).trimStart();
    const head = before === '' ? text : `${before}\n\n${text}`;
    field.value = `${head}\n\n${after}`;
    field.setSelectionRange(head.length + 2, head.length + 2);
    this.change();
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
    if (this.isEmpty) return;
    if (this.busy) {
      this.queueUp(true);
      announce(S.queued);
      return;
    }
    this.field.value = '';
    const pictures = this.tray.take();
    this.change();
    this.events.onSend(text.trim(), pictures);
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

  private unqueue(): void {
    this.queueUp(false);
    this.focus();
  }

  private queueUp(queued: boolean): void {
    this.queued = queued;
    this.queue.hidden = !queued;
  }

  private get isEmpty(): boolean {
    return this.field.value.trim() === '' && this.tray.pictures.length === 0;
  }

  /** What is changed is not what was sent. */
  private change(): void {
    this.queueUp(false);
    this.update();
    this.events.onDraft(this.field.value, this.tray.pictures.length);
  }

  private update(): void {
    // Empty, it has the page's direction, and so has what stands in it; written words have their own.
    this.field.dir = this.field.value === '' ? document.documentElement.dir : 'auto';
    autoGrow(this.field);
    this.action.disabled = !this.busy && this.isEmpty;
  }
}
