// The first screen: what this is, in one headline and one sentence; the choice
// of a model where there is one; a few things to try. Shown while nothing has
// been said.

import type { ModelEntry, Site } from '../seal/protocol';
import { button, h } from './dom';
import { bytes } from './format';
import type { Model } from './model';
import { S } from './strings';

export interface WelcomeActions {
  readonly open: (entry: ModelEntry) => void;
  readonly send: (text: string) => void;
}

export class WelcomeView {
  readonly element = h('section', { class: 'welcome' });
  /** Where the progress of opening a model stands, between the pitch and the examples. */
  readonly slot = h('div');
  private drawn = '';

  constructor(
    private readonly site: Site,
    private readonly actions: WelcomeActions,
  ) {}

  update(model: Model): void {
    const base = model.slm !== null && !model.slm.info.has_chat_template;
    const key = `${model.state.kind === 'none'} ${model.entry?.name} ${base}`;
    if (key === this.drawn) return;
    this.drawn = key;
    const parts = model.entry === null ? this.choice(model.models) : this.invitation(model.entry, base);
    const { headline, intro } = this.site;
    this.element.replaceChildren(
      h('h1', { dir: 'auto' }, headline ?? S.headline),
      ...(intro === null ? [] : [h('p', { class: 'intro', dir: 'auto' }, intro)]),
      ...parts,
    );
  }

  private choice(models: readonly ModelEntry[]): Node[] {
    if (models.length === 0) return [h('p', { class: 'failure', role: 'alert' }, S.noModels)];
    return [
      h('p', { class: 'pitch' }, S.chooseNote),
      this.slot,
      h(
        'ul',
        { class: 'lines', 'aria-label': S.choose },
        ...models.map((entry) => h('li', {}, this.offer(entry))),
      ),
    ];
  }

  private offer(entry: ModelEntry): HTMLElement {
    const need = entry.memory === null ? [] : [S.need(bytes(entry.memory))];
    const detail = entry.stored ? S.storedHere : [S.download(bytes(entry.size)), ...need].join(', ');
    const line = button('', () => this.actions.open(entry), { class: 'line' });
    const words = h('span', {}, h('span', { class: 'offer-title' }, entry.title));
    if (entry.good_for !== null) words.append(h('span', { class: 'good-for' }, entry.good_for));
    line.append(words, h('span', { class: 'detail' }, detail));
    return line;
  }

  private invitation(entry: ModelEntry, base: boolean): Node[] {
    const own = base ? S.baseExamples : S.examples;
    const examples = this.site.examples.length > 0 ? this.site.examples : own;
    const lines = examples.map((text) =>
      h(
        'li',
        {},
        button(text, () => this.actions.send(text), { class: 'line' }),
      ),
    );
    return [
      h('p', { class: 'pitch' }, base ? S.basePitch(entry.title) : S.pitch(entry.title)),
      this.slot,
      h('ul', { class: 'lines', 'aria-label': S.examplesLabel }, ...lines),
    ];
  }
}
