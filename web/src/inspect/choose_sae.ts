// Which autoencoder takes the tokens apart: one of the pack, or a file of this device, from
// the system's dialog or dropped on the page. It owns the choice; reading is the caller's.

import type { SaeInfo, Slm } from '../api/types';
import { button, h, setText } from '../chat/dom';
import { failureBox } from '../chat/failure';
import { count } from '../chat/format';
import { I } from './strings';

/** The longest that the engine takes. */
const MAX_NAME = 100;

export class SaeChoice {
  readonly element: HTMLElement;
  private readonly label = h('label', { for: 'sae', class: 'inspect-label' }, I.sae);
  private readonly select: HTMLSelectElement;
  private readonly open: HTMLButtonElement;
  private readonly facts = h('p', { class: 'hint' });
  private readonly trouble = h('div');
  private slm: Slm | null = null;
  /** Files of this device, which nobody else keeps. */
  private readonly own = new Set<string>();
  private opening = false;
  chosen: SaeInfo | null = null;

  constructor(private readonly onChange: () => void) {
    const field = h('input', {
      type: 'file',
      hidden: true,
      accept: '.gguf',
      onchange: () => {
        const [file] = field.files ?? [];
        field.value = ''; // the same file may come again
        if (file !== undefined) void this.take(file);
      },
    });
    this.select = h('select', { id: 'sae', onchange: () => this.choose(this.select.value) });
    this.open = button(I.openSae, () => field.click());
    this.element = h(
      'div',
      { class: 'sae-choice' },
      h('div', { class: 'sae-line' }, this.label, this.select, this.open, field),
      this.facts,
      this.trouble,
    );
    this.draw();
  }

  /** The open model, or null. */
  of(slm: Slm | null): void {
    if (this.slm === slm) return;
    this.slm = slm;
    this.own.clear();
    this.trouble.replaceChildren();
    this.chosen = slm?.saes.list()[0] ?? null;
    this.draw();
    this.onChange();
  }

  /** A file of this device. */
  async take(file: File): Promise<void> {
    const { slm } = this;
    if (slm === null || this.opening) return;
    this.opening = true;
    this.trouble.replaceChildren();
    this.draw();
    try {
      const name = freeName(
        file.name,
        slm.saes.list().map((one) => one.name),
      );
      const info = await slm.saes.load(file, { name });
      if (this.slm !== slm) return; // it went with its model
      this.free(slm);
      this.own.add(name);
      this.chosen = info;
      this.onChange();
    } catch (error) {
      const exact = error instanceof Error ? error.message : String(error);
      if (this.slm === slm)
        this.trouble.replaceChildren(failureBox({ sentence: I.noSae(file.name), exact, remedies: [] }));
    } finally {
      this.opening = false;
      this.draw();
    }
  }

  private choose(name: string): void {
    const found = this.slm?.saes.list().find((one) => one.name === name);
    if (found === undefined || this.slm === null) return;
    if (this.chosen?.name !== name) this.free(this.slm);
    this.chosen = found;
    this.draw();
    this.onChange();
  }

  /** The one that was chosen, where it is the pack's: it is in storage, and read again when it is chosen again. */
  private free(slm: Slm): void {
    if (this.chosen !== null && !this.own.has(this.chosen.name)) slm.saes.remove(this.chosen.name);
  }

  private draw(): void {
    const { slm, chosen } = this;
    const known = slm?.saes.list() ?? [];
    this.select.replaceChildren(...known.map(({ name, title }) => h('option', { value: name }, title)));
    this.select.value = chosen?.name ?? '';
    this.select.hidden = this.label.hidden = known.length === 0;
    this.open.disabled = slm === null || this.opening;
    setText(this.open, this.opening ? I.openingSae : I.openSae);
    setText(this.facts, this.factsOf());
  }

  private factsOf(): string {
    const { slm, chosen } = this;
    if (chosen === null) return slm === null ? '' : I.noSaes;
    const { layer, site, features, labels, license } = chosen;
    const facts = I.saeFacts(count(layer), I.sites[site], count(features), count(labels));
    return license === null ? facts : `${facts} · ${license}`;
  }
}

/** A file's name without its ending, and a number where another one has it. */
export function freeName(file: string, taken: readonly string[]): string {
  const stem = file.replace(/\.gguf$/i, '').slice(0, MAX_NAME - 10) || 'file';
  for (let n = 1; ; n++) {
    const name = n === 1 ? stem : `${stem} ${n}`;
    if (!taken.includes(name)) return name;
  }
}
