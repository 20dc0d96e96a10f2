// A model on its way: what is being done, how much, how fast, how long still;
// whether to fetch it at all; or why it did not come, how much of it is here, and
// what to do; what it will take of this device, and why it got a shorter context.
// It draws a ModelState and knows nothing of downloads.

import type { LoadProgress } from '../api/types';
import { SlmError } from '../core/error';
import type { ModelEntry } from '../seal/protocol';
import { missingOf } from './begin';
import { button, h, setText } from './dom';
import { describeError, isAway } from './errors';
import { failureBox } from './failure';
import { bytes, count, duration } from './format';
import type { ModelState } from './model';
import { say } from './notice';
import { S } from './strings';

type Pipelines = NonNullable<LoadProgress['pipelines']>;

export interface OpeningActions {
  readonly open: (entry: ModelEntry, force?: boolean) => void;
  readonly halt: () => void;
  /** It comes along with a model. */
  readonly guard: () => ModelEntry | null;
}

export class OpeningView {
  readonly element = h('section', { class: 'opening', hidden: true });
  private readonly title = h('p', { class: 'opening-title' });
  private readonly numbers = h('p', { class: 'opening-numbers' });
  private readonly note = h('p', { class: 'opening-note', hidden: true });
  private readonly bar = h('div', {
    class: 'bar',
    role: 'progressbar',
    'aria-valuemin': 0,
    'aria-valuemax': 100,
  });
  private readonly progress: HTMLElement;
  private drawn: ModelState['kind'] | null = null;
  private drawnEnd = '';

  constructor(private readonly actions: OpeningActions) {
    const cancel = button(S.cancel, () => actions.halt(), { class: 'quiet' });
    this.progress = h(
      'div',
      {},
      h('div', { class: 'opening-head' }, this.title, cancel),
      this.bar,
      this.numbers,
      this.note,
    );
  }

  update(state: ModelState): void {
    const notice = state.kind === 'opening' || state.kind === 'ready' ? state.room?.notice : null;
    const note = notice ? say(notice) : null;
    this.element.hidden = state.kind === 'none' || (state.kind === 'ready' && note === null);
    this.note.hidden = note === null;
    setText(this.note, note ?? '');
    const focused = this.element.contains(document.activeElement);
    if (state.kind === 'opening') this.drawProgress(state);
    else if (state.kind === 'ready') this.element.replaceChildren(this.note);
    else if (!this.element.hidden) this.drawEnd(state);
    this.drawn = state.kind;
    // Who was at a button of the one state goes on at that of the next.
    if (focused && !this.element.contains(document.activeElement))
      this.element.querySelector('button')?.focus();
  }

  private drawProgress({ entry, room, progress }: Extract<ModelState, { kind: 'opening' }>): void {
    if (this.drawn !== 'opening') {
      this.progress.append(this.note);
      this.element.replaceChildren(this.progress);
    }
    const title = titleOf(entry, progress);
    setText(this.title, title);
    const known = progress !== null && progress.total > 0;
    const share = progress === null ? null : shareOf(progress);
    this.bar.classList.toggle('is-vague', share === null);
    this.bar.style.setProperty('--done', String(share ?? 0));
    this.bar.setAttribute('aria-label', title);
    if (share === null) this.bar.removeAttribute('aria-valuenow');
    else this.bar.setAttribute('aria-valuenow', String(Math.round(100 * share)));
    const need = room?.needed ?? entry.memory;
    const fetching =
      progress === null ? !entry.stored : progress.phase === 'download' || progress.phase === 'lost';
    const parts = known ? numbers(progress) : fetching ? [bytes(entry.size)] : [];
    if (fetching && need !== null && !progress?.guard) parts.push(S.need(bytes(need)));
    setText(this.numbers, parts.join(' · ') || '\u00a0');
  }

  private drawEnd(state: ModelState): void {
    const failure = state.kind === 'failed' ? describeError(state.error, false) : null;
    const key = `${state.kind} ${'entry' in state ? state.entry.name : ''} ${failure?.exact}`;
    // Tried again by itself and failed as before: nothing to announce once more.
    if (this.drawn === state.kind && key === this.drawnEnd) return;
    this.drawnEnd = key;
    if (state.kind === 'asking') {
      const { entry, reason } = state;
      const missing = bytes(missingOf(entry) + missingOf(this.actions.guard()));
      this.question(S.ask[reason](entry.title, missing), S.download(missing), entry);
    } else if (state.kind === 'halted') {
      const { entry, kept } = state;
      const amount = kept > 0 ? ` ${S.kept(bytes(kept), bytes(entry.size))}` : '';
      const label = kept > 0 ? S.resume : S.download(bytes(entry.size));
      this.question(`${S.halted(entry.title)}${amount}`, label, entry);
    } else if (state.kind === 'failed' && failure !== null) {
      const { entry, error, kept } = state;
      const parts = [failure.sentence];
      if (kept > 0 && !entry.stored) parts.push(S.kept(bytes(kept), bytes(entry.size)));
      if (isAway(error)) parts.push(S.triesAgain);
      const again = this.again(entry, error);
      const buttons = again === null ? [] : [again];
      this.element.replaceChildren(failureBox({ ...failure, sentence: parts.join(' ') }, ...buttons));
    }
  }

  private question(sentence: string, label: string, entry: ModelEntry): void {
    const go = button(label, () => this.actions.open(entry), { class: 'primary' });
    this.element.replaceChildren(h('p', {}, sentence), h('div', { class: 'remedies' }, go));
  }

  /** The way on: none where a hard limit stands in it. */
  private again(entry: ModelEntry, error: unknown): HTMLElement | null {
    const details = error instanceof SlmError ? error.details : undefined;
    if (details === undefined || !('estimate' in details))
      return button(S.tryAgain, () => this.actions.open(entry), { class: 'primary' });
    return details.estimate ? button(S.tryAnyway, () => this.actions.open(entry, true)) : null;
  }
}

/** The graphics chip's programs compile while the model loads; what is left of them then is waited for. */
function titleOf(entry: ModelEntry, progress: LoadProgress | null): string {
  if (progress === null) return S.opening(entry.title);
  const { phase, pipelines } = progress;
  const doing = phase === 'compile' && pipelines ? preparing(pipelines) : S.phase[phase];
  return progress.guard ? S.ofGuard(doing) : doing;
}

export const preparing = ({ done, total }: Pipelines): string => S.preparing(count(done), count(total));

/** null: nobody knows. */
export function shareOf({ phase, loaded, total, pipelines }: LoadProgress): number | null {
  if (total > 0) return loaded / total;
  return phase === 'compile' && pipelines && pipelines.total > 0 ? pipelines.done / pipelines.total : null;
}

function numbers({ loaded, total, rate, remaining, pipelines }: LoadProgress): string[] {
  const parts = [S.amount(bytes(loaded), bytes(total))];
  if (rate !== null) parts.push(S.rate(bytes(rate)));
  if (remaining !== null) parts.push(S.left(duration(remaining)));
  if (pipelines && pipelines.done < pipelines.total) parts.push(preparing(pipelines));
  return parts;
}
