// The strip under the header that says that there is a newer version, fetches it
// when asked, and says why it did not come. It waits to be noticed: it takes no
// focus, interrupts no answer and is gone for this visit when one says "Later".

import type { LoadProgress } from '../api/types';
import type { ModelEntry } from '../seal/protocol';
import { announce } from './announce';
import { button, h, setText } from './dom';
import { describeError } from './errors';
import { exactWords } from './failure';
import { bytes, duration } from './format';
import type { Model, UpdateState } from './model';
import { S } from './strings';

export interface UpdateActions {
  readonly update: () => void;
  readonly halt: () => void;
  readonly later: () => void;
}

type Kind = UpdateState['kind'] | 'offer' | 'refused';

export class UpdateView {
  readonly element = h('aside', { class: 'update', 'aria-label': S.update, hidden: true });
  private readonly words = h('p');
  private readonly bar = h('div', {
    class: 'bar',
    role: 'progressbar',
    'aria-label': S.update,
    'aria-valuemin': 0,
    'aria-valuemax': 100,
  });
  private readonly details = h('div', { class: 'update-details', hidden: true });
  private readonly foot = h('div', { class: 'update-actions' });
  private drawn = '';

  constructor(private readonly actions: UpdateActions) {
    this.element.append(this.words, this.foot, this.details, this.bar);
  }

  /** `busy`: an answer is being written, which a version that was fetched waits for. */
  update(model: Model, busy: boolean): void {
    const { entry, update, later, slm } = model;
    let kind: Kind = update.kind;
    if (kind === 'none' && entry !== null && slm !== null && !later) kind = offerOf(entry);
    if (kind === 'fetched' && !busy) kind = 'none'; // it opens right now
    const failure = update.kind === 'failed' ? describeError(update.error, false) : null;
    const sentence = failure?.sentence ?? sentenceOf(kind, entry);
    const exact = failure?.exact ?? (kind === 'refused' ? (entry?.refused ?? null) : null);
    const key = `${kind} ${sentence} ${exact}`;
    if (key !== this.drawn) {
      const focused = this.element.contains(document.activeElement);
      this.drawn = key;
      this.element.hidden = kind === 'none';
      setText(this.words, sentence);
      const details = exactWords(exact);
      this.details.replaceChildren(...(details === null ? [] : [details]));
      this.details.hidden = details === null;
      this.foot.replaceChildren(...this.buttons(kind));
      this.bar.hidden = kind !== 'fetching';
      if (kind !== 'none') announce(sentence);
      // Who pressed a button of the strip goes on from where it was.
      if (focused) this.foot.querySelector('button')?.focus();
    }
    if (update.kind === 'fetching') this.drawProgress(update.progress);
  }

  private buttons(kind: Kind): HTMLElement[] {
    const { update, halt, later } = this.actions;
    const go = (label: string) => button(label, update, { class: 'primary' });
    switch (kind) {
      case 'offer':
        return [go(S.update), button(S.later, later)];
      case 'failed':
        return [go(S.tryAgain), button(S.later, later)];
      case 'refused':
        return [button(S.close, later)];
      case 'fetching':
        return [button(S.cancel, halt)];
      default:
        return [];
    }
  }

  private drawProgress(progress: LoadProgress | null): void {
    const known = progress !== null && progress.total > 0;
    this.bar.classList.toggle('is-vague', !known);
    this.bar.style.setProperty('--done', String(known ? progress.loaded / progress.total : 0));
    if (!known) {
      this.bar.removeAttribute('aria-valuenow');
      return;
    }
    const { loaded, total, remaining } = progress;
    this.bar.setAttribute('aria-valuenow', String(Math.round((100 * loaded) / total)));
    const parts = [S.fetching, S.amount(bytes(loaded), bytes(total))];
    if (remaining !== null) parts.push(S.left(duration(remaining)));
    setText(this.words, parts.join(' · '));
  }
}

/** What the entry alone gives reason to say. What one has gone back from is not offered again. */
function offerOf(entry: ModelEntry): Kind {
  if (entry.update !== null && !entry.update.declined) return 'offer';
  return entry.refused !== null ? 'refused' : 'none';
}

function sentenceOf(kind: Kind, entry: ModelEntry | null): string {
  if (entry === null) return '';
  switch (kind) {
    case 'offer': {
      const { version, bytes: n } = entry.update!;
      return S.newVersion(entry.title, version, n === 0 ? S.nothingToFetch : S.toFetch(bytes(n)));
    }
    case 'refused':
      return S.refused;
    case 'fetching':
      return S.fetching;
    case 'fetched':
      return S.fetched;
    default:
      return '';
  }
}
