// Finds features of an autoencoder by words of their labels or by their number. The labels
// come when somebody begins to search; then each letter filters them here.

import type { SaeInfo, SaeLabel } from '../api/types';
import { h, setText } from '../chat/dom';
import { describeError } from '../chat/errors';
import { count } from '../chat/format';
import { FeatureList, type Listed } from './feature_list';
import { I } from './strings';

/** More nobody reads through; one writes another letter. */
const SHOWN = 30;

export interface SearchActions {
  readonly labels: (sae: SaeInfo) => Promise<readonly SaeLabel[]>;
  readonly choose: (feature: Listed) => void;
}

export class FeatureSearch {
  readonly element: HTMLElement;
  private readonly field: HTMLInputElement;
  private readonly note = h('p', { class: 'hint', role: 'status' });
  private readonly list: FeatureList;
  private sae: SaeInfo | null = null;
  private labels: Promise<readonly SaeLabel[]> | null = null;
  private chosen: number | null = null;

  constructor(private readonly actions: SearchActions) {
    this.list = new FeatureList(actions.choose);
    this.field = h('input', {
      type: 'search',
      id: 'feature-search',
      dir: 'auto',
      autocomplete: 'off',
      spellcheck: 'false',
      oninput: () => void this.search(),
    });
    this.element = h(
      'section',
      { class: 'feature-search' },
      h('label', { for: 'feature-search', class: 'inspect-label' }, I.find),
      this.field,
      this.note,
      this.list.element,
    );
  }

  /** Another autoencoder, or none. */
  of(sae: SaeInfo | null): void {
    if (this.sae?.name === sae?.name) return;
    this.sae = sae;
    this.labels = null;
    this.element.hidden = sae === null;
    if (sae === null) return;
    this.field.value = '';
    this.field.placeholder = sae.labels > 0 ? I.findWords : I.findNumber(String(sae.features - 1));
    this.show([], '');
  }

  mark(chosen: number | null): void {
    this.chosen = chosen;
    this.list.mark(chosen);
  }

  private async search(): Promise<void> {
    const { sae } = this;
    const wanted = this.field.value.trim();
    if (sae === null || wanted === '') return this.show([], '');
    this.labels ??= this.actions.labels(sae);
    const { labels } = this;
    let known: readonly SaeLabel[];
    try {
      known = await labels;
    } catch (error) {
      if (this.labels === labels) this.labels = null; // so that the next letter tries again
      if (this.sae === sae) this.show([], `${I.failed}: ${describeError(error, false).sentence}`);
      return;
    }
    // Meanwhile somebody may have typed on, or chosen another one.
    if (this.sae !== sae || this.field.value.trim() !== wanted) return;
    const found = search(known, wanted, sae.features);
    const note =
      found.length > SHOWN ? I.foundFirst(count(SHOWN), count(found.length)) : I.found(count(found.length));
    this.show(found.slice(0, SHOWN), note);
  }

  private show(found: readonly Listed[], note: string): void {
    this.list.show(found, this.chosen);
    setText(this.note, note);
  }
}

/** The feature of that number, then those whose labels have all the words, first where a word begins so. */
export function search(labels: readonly SaeLabel[], wanted: string, features: number): readonly Listed[] {
  const number = /^\d+$/.test(wanted) && Number(wanted) < features ? Number(wanted) : null;
  const words = wanted.toLowerCase().split(/\s+/);
  const starts: Listed[] = [];
  const within: Listed[] = [];
  for (const one of labels) {
    const label = one.label.toLowerCase();
    if (one.feature === number || !words.every((word) => label.includes(word))) continue;
    (words.every((word) => begins(label, word)) ? starts : within).push(one);
  }
  const named = labels.find(({ feature }) => feature === number)?.label ?? null;
  return [...(number === null ? [] : [{ feature: number, label: named }]), ...starts, ...within];
}

/** Whether a word of the text begins so. */
function begins(text: string, word: string): boolean {
  for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1))
    if (at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1]!)) return true;
  return false;
}
