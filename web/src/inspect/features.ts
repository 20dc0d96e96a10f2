// Features: the autoencoder, the text as its tokens, what is active at the chosen one, the
// chosen feature all over the text, a search and steering. This file puts these parts
// together; what is asked of the model, the reader knows.

import type { Slm } from '../api/types';
import { announce } from '../chat/announce';
import { button, h, setText } from '../chat/dom';
import { count } from '../chat/format';
import { SaeChoice } from './choose_sae';
import { FeatureList, type Listed } from './feature_list';
import { greatest, Reader, type ReadState } from './reader';
import { FeatureSearch } from './search';
import { Steering } from './steering';
import { I } from './strings';
import { TokenStrip } from './tokens';
import { amount, visible } from './visible';

export class FeaturesView {
  readonly element: HTMLElement;
  private readonly reader: Reader;
  private readonly choice = new SaeChoice(() => this.changed());
  private readonly strip = new TokenStrip((place) => this.choose(place));
  private readonly strongest = new FeatureList((feature) => void this.pick(feature));
  private readonly search: FeatureSearch;
  private readonly steering: Steering;
  private readonly head = h('h2');
  private readonly where = h('p', { class: 'hint' });
  private readonly feature = h('section', { class: 'feature-chosen', 'aria-live': 'polite', hidden: true });
  private readonly detail = h('section', { class: 'feature-detail', 'aria-live': 'polite' });
  private readonly body: HTMLElement;
  private slm: Slm | null = null;
  private picked: Listed | null = null;

  constructor(
    private readonly onState: (state: ReadState) => void,
    /** The text as it stands in the field. */
    private readonly text: () => string,
  ) {
    this.reader = new Reader((state) => {
      this.steering.setBusy(state.kind === 'writing');
      this.element.setAttribute('aria-busy', String(this.reader.busy));
      onState(state);
    });
    this.search = new FeatureSearch({
      labels: (sae) => this.slm?.saes.labels(sae.name) ?? Promise.resolve([]),
      choose: (feature) => void this.pick(feature),
    });
    this.steering = new Steering({
      goOn: (steer) => void this.goOn(steer),
      stop: () => this.reader.stop(),
    });
    this.feature.append(
      h(
        'div',
        { class: 'feature-head' },
        this.head,
        button(I.unpick, () => this.unpick(), { class: 'quiet' }),
      ),
      this.where,
    );
    this.body = h(
      'div',
      { class: 'features-both', hidden: true },
      h('div', { class: 'features-text' }, this.feature, this.strip.element),
      h('div', { class: 'features-side' }, this.detail, this.search.element),
      this.steering.element,
    );
    this.element = h('div', {}, this.choice.element, this.body);
    this.rest();
  }

  get busy(): boolean {
    return this.reader.busy;
  }

  /** Whether there is an autoencoder to look with. */
  get possible(): boolean {
    return this.choice.chosen !== null;
  }

  stop(): void {
    this.reader.stop();
  }

  /** Another model, or none yet. */
  of(slm: Slm | null): void {
    if (this.slm === slm) return;
    this.slm = slm;
    this.choice.of(slm);
  }

  /** A file that was dropped. */
  take(file: File): void {
    void this.choice.take(file);
  }

  async look(): Promise<void> {
    const { slm } = this;
    const { chosen } = this.choice;
    const text = this.text();
    if (slm === null || chosen === null || text === '') return;
    const picked = this.picked;
    this.clear();
    const reading = await this.reader.read(slm, chosen, text);
    if (reading === null) return;
    this.strip.show(reading.tokens);
    this.body.hidden = false;
    // What was looked for is looked for in the new text, too.
    if (picked !== null) await this.pick(picked);
  }

  private clear(): void {
    this.unpick();
    this.reader.clear();
    this.strip.show([]);
    this.rest();
  }

  /** No token is chosen. */
  private rest(): void {
    this.detail.replaceChildren(h('p', { class: 'lens-hint' }, I.pickToken));
  }

  /** Another autoencoder, whose features are others. */
  private changed(): void {
    const looked = this.reader.reading !== null;
    this.clear();
    this.body.hidden = true;
    this.search.of(this.choice.chosen);
    this.onState({ kind: 'idle' });
    if (looked) void this.look();
  }

  private choose(place: number): void {
    const token = this.reader.reading?.tokens[place];
    if (token === undefined) return;
    const active = token.features ?? [];
    this.strongest.show(active, this.picked?.feature ?? null);
    this.detail.replaceChildren(
      h('h2', {}, I.strongest(visible(token.token))),
      place === 0 ? h('p', { class: 'hint' }, I.first) : '',
      active.length === 0 ? h('p', {}, I.none) : this.strongest.element,
    );
  }

  private async pick(feature: Listed): Promise<void> {
    this.picked = feature;
    this.mark();
    this.feature.hidden = false;
    const name = I.feature(String(feature.feature));
    setText(this.head, feature.label === null ? name : `${name}: ${feature.label}`);
    setText(this.where, '…');
    // What is shown and steered until then, and if it fails, is not the one before.
    this.strip.tint(null);
    this.steering.show(null, null, 0);
    const found = await this.reader.activations(feature.feature);
    if (this.picked !== feature) return;
    if (found === null) {
      setText(this.where, '');
      return;
    }
    this.strip.tint(found);
    const n = found.filter((one) => one > 0).length;
    const where = n === 0 ? I.inactive : I.active(count(n), count(found.length), amount(greatest(found)));
    setText(this.where, where);
    this.steering.show(this.reader.reading, feature.feature, greatest(found));
  }

  private unpick(): void {
    this.picked = null;
    this.mark();
    this.feature.hidden = true;
    this.strip.tint(null);
    this.steering.show(null, null, 0);
  }

  private mark(): void {
    const chosen = this.picked?.feature ?? null;
    this.strongest.mark(chosen);
    this.search.mark(chosen);
  }

  private async goOn(steer: Parameters<Reader['goOn']>[0]): Promise<void> {
    if (!(await this.reader.goOn(steer, (steered, piece) => this.steering.write(steered, piece)))) return;
    this.steering.end();
    announce(I.continued);
  }
}
