// The pictures of the message that is being written: buttons to add one from a file
// or the camera, and a row of those that are there, each of which can be taken away.
// There only while the open model sees pictures. A camera's picture comes through
// the system's own camera, where a device has one for that: a sealed frame may not
// use cameras itself.

import { MOST_BYTES } from '../vision/decode';
import { announce } from './announce';
import { h, iconButton } from './dom';
import { bytes } from './format';
import { icon } from './icons';
import { S } from './strings';
import { isPicture, pictureCanvas } from './thumbs';

/** More would fill any context here. */
const MOST = 8;
export interface TrayEvents {
  readonly onChange: () => void;
  /** Why a file was not taken, in a sentence. */
  readonly onRefusal: (sentence: string) => void;
}

export class Tray {
  /** The row of pictures, above the field. */
  readonly row = h('ul', { class: 'tray', hidden: true, 'aria-label': S.picturesOfMessage });
  /** The buttons, beside the field. */
  readonly buttons: HTMLElement;
  private held: readonly Blob[] = [];

  constructor(private readonly events: TrayEvents) {
    const camera = 'capture' in HTMLInputElement.prototype && matchMedia('(pointer: coarse)').matches;
    this.buttons = h(
      'span',
      { class: 'tray-buttons', hidden: true },
      ...this.adder('picture', S.addPicture, { multiple: true }),
      ...(camera ? this.adder('camera', S.takePicture, { capture: 'environment' }) : []),
    );
  }

  get pictures(): readonly Blob[] {
    return this.held;
  }

  /** Whether the open model sees pictures. */
  enable(sees: boolean): void {
    this.buttons.hidden = !sees;
    if (!sees && this.held.length > 0) this.set([]);
  }

  get enabled(): boolean {
    return !this.buttons.hidden;
  }

  async add(files: readonly File[]): Promise<void> {
    for (const file of files) {
      if (this.held.length >= MOST) return this.events.onRefusal(S.tooManyPictures(String(MOST)));
      if (file.size > MOST_BYTES)
        return this.events.onRefusal(S.fileTooLarge(file.name, bytes(file.size), bytes(MOST_BYTES)));
      if (!(await isPicture(file))) return this.events.onRefusal(S.noPicture(file.name));
      // Meanwhile others may have come, or another model that sees nothing.
      if (!this.enabled) return;
      if (this.held.length >= MOST) return this.events.onRefusal(S.tooManyPictures(String(MOST)));
      this.set([...this.held, file]);
      announce(S.pictureAdded(String(this.held.length)));
    }
  }

  /** What is there, which is then there no more. */
  take(): readonly Blob[] {
    const taken = this.held;
    this.set([]);
    return taken;
  }

  private remove(picture: Blob): void {
    const place = this.held.indexOf(picture);
    this.set(this.held.filter((one) => one !== picture));
    const left = this.row.querySelectorAll('button');
    (left[Math.min(place, left.length - 1)] ?? this.buttons.querySelector('button'))?.focus();
    announce(S.pictureRemoved);
  }

  private set(pictures: readonly Blob[]): void {
    this.held = pictures;
    this.row.hidden = pictures.length === 0;
    this.row.replaceChildren(
      ...pictures.map((picture, i) => {
        const place = String(i + 1);
        const remove = iconButton(icon('close'), S.removePicture(place), () => this.remove(picture), {
          class: 'icon-only remove',
        });
        return h('li', {}, pictureCanvas(picture, S.picture(place, String(pictures.length))), remove);
      }),
    );
    this.events.onChange();
  }

  private adder(
    name: 'picture' | 'camera',
    label: string,
    attributes: Readonly<Record<string, string | boolean>>,
  ): HTMLElement[] {
    const field = h('input', {
      type: 'file',
      hidden: true,
      accept: 'image/*',
      ...attributes,
      onchange: () => {
        const files = [...(field.files ?? [])];
        field.value = ''; // the same file may come again
        void this.add(files);
      },
    });
    const open = iconButton(icon(name), label, () => field.click(), {
      class: 'bare icon-only',
      'data-action': name,
    });
    return [open, field];
  }
}
