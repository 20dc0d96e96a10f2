// Steers by the chosen feature: how strongly, and how the text goes on with it and
// without, side by side. It asks nobody itself.

import type { Steer } from '../api/types';
import { button, h, setText } from '../chat/dom';
import { count } from '../chat/format';
import type { Reading } from './reader';
import { I } from './strings';
import { amount } from './visible';

/** Of what is usual, at first and at most: a push that shows, and one that garbles. */
const FIRST = 1;
const MOST = 4;

export interface SteeringActions {
  readonly goOn: (steer: Extract<Steer, { sae: string }>) => void;
  readonly stop: () => void;
}

export class Steering {
  readonly element: HTMLElement;
  private readonly range: HTMLInputElement;
  private readonly number: HTMLInputElement;
  private readonly press: HTMLButtonElement;
  private readonly note = h('p', { class: 'hint', id: 'steer-note' });
  private readonly controls: HTMLElement;
  private readonly sides: HTMLElement;
  private readonly outputs: readonly [plain: Side, steered: Side];
  private busy = false;
  private of: { readonly reading: Reading; readonly feature: number } | null = null;

  constructor(private readonly actions: SteeringActions) {
    this.range = h('input', {
      type: 'range',
      'aria-label': I.strength,
      oninput: () => this.take(this.range),
    });
    this.number = h('input', {
      type: 'number',
      class: 'number',
      step: 'any',
      id: 'steer-strength',
      'aria-describedby': 'steer-note',
      oninput: () => this.take(this.number),
    });
    this.press = button(I.goOn, () => this.run());
    this.controls = h(
      'div',
      { class: 'steer-controls' },
      h('label', { for: 'steer-strength' }, I.strength),
      this.range,
      this.number,
      this.press,
    );
    this.outputs = [new Side(), new Side()];
    this.sides = h(
      'div',
      { class: 'steer-sides', hidden: true },
      ...this.outputs.map(({ element }) => element),
    );
    this.element = h(
      'section',
      { class: 'steering', hidden: true },
      h('h2', {}, I.steer),
      this.controls,
      this.note,
      this.sides,
    );
  }

  /** Another feature, or none. `most` is how active it is in the text. */
  show(reading: Reading | null, feature: number | null, most: number): void {
    this.element.hidden = reading === null || feature === null;
    this.sides.hidden = true;
    this.of = null;
    if (reading === null || feature === null) return;
    const { sae, usual } = reading;
    const can = sae.site !== 'heads';
    this.controls.hidden = !can;
    setText(this.note, can ? I.steerNote(count(sae.layer)) : I.noSteer);
    if (!can) return;
    this.of = { reading, feature };
    const unit = round(Math.max(most, usual) || 1);
    Object.assign(this.range, {
      min: String(-MOST * unit),
      max: String(MOST * unit),
      step: String(unit / 4),
    });
    this.range.value = this.number.value = String(FIRST * unit);
  }

  /** Whether the text is being continued. */
  setBusy(busy: boolean): void {
    this.busy = busy;
    setText(this.press, busy ? I.stop : I.goOn);
  }

  write(steered: boolean, piece: string): void {
    this.outputs[steered ? 1 : 0].write(piece);
  }

  /** Both are whole. */
  end(): void {
    for (const output of this.outputs) output.end();
  }

  private take(from: HTMLInputElement): void {
    const other = from === this.range ? this.number : this.range;
    if (Number.isFinite(from.valueAsNumber)) other.value = from.value;
  }

  private run(): void {
    if (this.busy) {
      this.actions.stop();
      return;
    }
    const strength = this.number.valueAsNumber;
    if (this.of === null || !Number.isFinite(strength)) return;
    const { reading, feature } = this.of;
    this.outputs[0].begin(I.without, reading.text);
    this.outputs[1].begin(I.with(String(feature), amount(strength)), reading.text);
    this.sides.hidden = false;
    this.actions.goOn({ sae: reading.sae.name, feature, strength });
  }
}

/** A text that is being continued. */
class Side {
  readonly element = h('section', { class: 'steer-side' });
  private readonly head = h('h3');
  private readonly before = h('span', { class: 'steer-prompt' });
  private readonly after = h('span', { class: 'steer-words' });

  constructor() {
    this.element.append(this.head, h('p', { dir: 'auto' }, this.before, this.after));
  }

  begin(title: string, prompt: string): void {
    setText(this.head, title);
    setText(this.before, prompt);
    setText(this.after, '');
  }

  write(piece: string): void {
    this.after.append(piece);
  }

  end(): void {
    if (this.after.textContent?.trim() !== '') return;
    this.after.replaceChildren(' ', h('bdi', { class: 'hint' }, I.nothing));
  }
}

/** A number of one digit, so that what is typed and pulled is one. */
export function round(value: number): number {
  const ten = 10 ** Math.floor(Math.log10(value));
  return Math.max(1, Math.round(value / ten)) * ten;
}
