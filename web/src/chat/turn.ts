// One turn on the screen: who speaks, the words, and what can be done with them.
// A view is made once and updated in place. It reads the turn and calls actions;
// it decides nothing.

import type { Timings } from '../api/types';
import { announce } from './announce';
import { pointed } from './boxes';
import { autoGrow, isSendKey } from './composer';
import { pictureAbove, type Turn, together } from './conversation';
import { copyButton } from './copy';
import { button, h, iconButton, setText } from './dom';
import { describeError, type Remedy } from './errors';
import { failureBox } from './failure';
import { count, speed } from './format';
import { icon } from './icons';
import { MarkdownView } from './markdown';
import { say } from './notice';
import { type Outliner, PointingView } from './pointing';
import { questionBody } from './question';
import { refusalBox } from './refusal';
import { S } from './strings';
import { pictureCanvas } from './thumbs';

export interface TurnActions {
  readonly retry: (turn: Turn, dropOldest?: boolean) => void;
  readonly edit: (turn: Turn, text: string, pictures: readonly Blob[]) => void;
  readonly show: (turn: Turn) => void;
  readonly newChat: () => void;
  readonly reload: (turn: Turn) => void;
  /** Goes on with an answer that was cut. */
  readonly resume: (turn: Turn, dropOldest?: boolean) => void;
  /** Reopens the model with a longer context and answers, or goes on. */
  readonly lengthen: (turn: Turn, n_ctx: number) => void;
  readonly openSettings: () => void;
  /** Turns the question of an answer into a field. */
  readonly rewrite: (turn: Turn) => void;
  /** Has the open model make masks. */
  readonly outline: Outliner;
}

export interface TurnContext {
  /** The versions of this turn, itself included. */
  readonly versions: readonly Turn[];
  /** No action may change the conversation now. */
  readonly busy: boolean;
  /** A model that is not open yet is on its way. */
  readonly coming: boolean;
  /** The open model sees pictures. */
  readonly sees: boolean;
  /** The last turn: its actions are always in sight. */
  readonly last: boolean;
  /** Figures of the answer being written. */
  readonly live: Timings | null;
  /** The context length that would do, where one was too short; null: there is none. */
  readonly longer: number | null;
}

/** A prompt of which so much was cached has no speed worth telling. */
const MOSTLY = 0.9;

export class TurnView {
  readonly element: HTMLElement;
  private readonly who = h('h2', { class: 'who' });
  private readonly figures = h('div', { class: 'figures' });
  private readonly words = h('div', { class: 'words' });
  private readonly pointing: PointingView;
  private readonly status = h('div', { class: 'turn-status' });
  private readonly foot = h('div', { class: 'actions' });
  /** One for each picture of a question, which are taken away while it is edited. */
  private readonly seen: readonly HTMLLIElement[];
  private readonly markdown: MarkdownView | null;
  /** What says that the model is at work. It stays one element, for its fade-in begins anew in another. */
  private readonly working = h('div', { class: 'late' });
  private readonly workingNote = h('p', { class: 'note' });
  private readonly workingBar = h('div', { class: 'bar' });
  private drawnFoot = '';
  private drawnStatus = '';

  constructor(
    readonly turn: Turn,
    private readonly actions: TurnActions,
  ) {
    this.markdown = turn.role === 'assistant' ? new MarkdownView() : null;
    this.pointing = new PointingView(actions.outline);
    this.who.id = `turn-${turn.id}`;
    this.who.textContent = turn.who;
    this.words.append(this.markdown?.element ?? questionBody(turn.text));
    this.seen = turn.pictures.map((picture, i) =>
      h('li', {}, pictureCanvas(picture, S.picture(String(i + 1), String(turn.pictures.length)))),
    );
    const pictures = this.seen.length === 0 ? null : h('ul', { class: 'pictures' }, ...this.seen);
    this.working.append(this.workingNote, this.workingBar);
    this.element = h(
      'article',
      { class: `turn ${turn.role}`, 'aria-labelledby': this.who.id },
      h('div', { class: 'margin' }, this.who, this.figures),
      h('div', { class: 'body' }, pictures, this.words, this.pointing.element, this.status, this.foot),
    );
  }

  update(context: TurnContext): void {
    const { turn } = this;
    const running = turn.state === 'waiting' || turn.state === 'reading' || turn.state === 'writing';
    this.element.classList.toggle('is-writing', turn.state === 'writing' && !turn.paused);
    this.element.classList.toggle('is-last', context.last);
    this.drawAnswer(running);
    this.drawFigures(context);
    this.drawStatus(context, running);
    this.drawFoot(context, running);
  }

  /** Turns a question into a field, and its pictures into some that can be taken away. */
  startEdit(): void {
    if (this.element.classList.contains('is-editing')) return;
    const gone = new Set<number>();
    const kept = (): readonly Blob[] => this.turn.pictures.filter((_, i) => !gone.has(i));
    const removers = this.seen.map((item, i) => {
      const remove = (): void => {
        gone.add(i);
        item.hidden = true;
        (removers.find((_, other) => !gone.has(other)) ?? field).focus();
        announce(S.pictureRemoved);
      };
      return iconButton(icon('close'), S.removePicture(String(i + 1)), remove, { class: 'icon-only remove' });
    });
    for (const [i, item] of this.seen.entries()) item.append(removers[i]!);
    const close = (): void => {
      for (const remover of removers) remover.remove();
      for (const item of this.seen) item.hidden = false;
      this.words.replaceChildren(questionBody(this.turn.text));
      this.element.classList.remove('is-editing');
      this.foot.querySelector<HTMLElement>('[data-action=edit]')?.focus();
    };
    const resend = (): void => {
      if (field.value.trim() === '' && kept().length === 0) return;
      close();
      this.actions.edit(this.turn, field.value.trim(), kept());
    };
    const field = h('textarea', {
      class: 'edit',
      dir: 'auto',
      'aria-label': S.editLabel,
      oninput: () => autoGrow(field),
      onkeydown: (event: KeyboardEvent) => {
        if (event.key === 'Escape') close();
        else if (isSendKey(event)) resend();
        else return;
        event.preventDefault();
        event.stopPropagation();
      },
    });
    field.value = this.turn.text;
    const buttons = h(
      'div',
      { class: 'edit-actions' },
      button(S.resend, resend, { class: 'primary' }),
      button(S.cancel, close),
    );
    this.words.replaceChildren(field, buttons);
    this.element.classList.add('is-editing');
    autoGrow(field);
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
  }

  /** Keeps the keyboard where it was when another version has taken this place. */
  focusVersions(): void {
    this.foot.querySelector<HTMLElement>('.versions button:enabled')?.focus();
  }

  /** There are older turns to leave out, and that was not tried yet. */
  private canDrop(): boolean {
    return this.turn.parent?.parent !== null && !this.turn.dropOldest;
  }

  /** Among the remedies of a failure. */
  private offersRetry(): boolean {
    const { remedies } = describeError(this.turn.error, false);
    return remedies.some((remedy) => remedy === 'retry' || remedy === 'reload');
  }

  private drawAnswer(running: boolean): void {
    const { turn, markdown } = this;
    if (markdown === null) return;
    const picture = pictureAbove(turn);
    const { text, found } = picture === null ? { text: turn.text, found: [] } : pointed(turn.text);
    markdown.show(text, running);
    if (picture !== null) this.pointing.show(picture, found);
  }

  private drawFigures({ live }: TurnContext): void {
    const timings = together(this.turn.before, live ?? this.turn.timings);
    const lines: string[] = [];
    if (timings !== null && timings.decode_tokens > 0) {
      const { decode_tokens, decode_tokens_per_second, prefill_tokens_per_second } = timings;
      if (decode_tokens_per_second > 0) lines.push(S.perSecond(speed(decode_tokens_per_second)));
      lines.push(S.tokens(decode_tokens, count(decode_tokens)));
      const { cached_tokens, prefill_tokens } = timings;
      if (cached_tokens >= MOSTLY * (cached_tokens + prefill_tokens) && cached_tokens > 0)
        lines.push(S.promptCached);
      else if (prefill_tokens_per_second > 0) lines.push(S.promptPerSecond(speed(prefill_tokens_per_second)));
    }
    while (this.figures.childElementCount > lines.length) this.figures.lastElementChild?.remove();
    while (this.figures.childElementCount < lines.length) this.figures.append(h('span'));
    lines.forEach((line, i) => {
      const span = this.figures.children[i];
      if (span !== undefined) setText(span, line);
    });
  }

  private drawStatus({ busy, last, longer, coming, sees }: TurnContext, running: boolean): void {
    const { turn } = this;
    if (turn.state === 'reading') this.drawWorking(sees);
    const prefill = turn.state === 'reading' ? '' : turn.prefill?.done;
    const key = `${turn.state} ${turn.paused} ${turn.trouble?.code} ${coming} ${prefill} ${turn.note} ${turn.text === ''} ${turn.timings?.decode_tokens} ${busy} ${last} ${longer}`;
    if (key === this.drawnStatus) return;
    this.drawnStatus = key;
    const told = running ? this.progress(coming) : this.ending(last && !busy, longer);
    this.status.replaceChildren(...this.trouble(), ...told);
  }

  /** What became of the graphics chip: why it waits, or that it did. */
  private trouble(): Node[] {
    const { trouble, paused } = this.turn;
    return trouble === null ? [] : [h('p', { class: 'note' }, paused ? say(trouble) : S.interrupted)];
  }

  private progress(coming: boolean): Node[] {
    const { state, paused } = this.turn;
    if (paused) return [];
    if (state === 'reading') return [this.working];
    return state === 'waiting' ? [h('p', { class: 'note' }, coming ? S.waiting : S.waitingClosed)] : [];
  }

  /** How much of the prompt is read. A model that is shown no pictures looks at none. */
  private drawWorking(sees: boolean): void {
    const { prefill } = this.turn;
    const known = prefill !== null && prefill.done < prefill.total;
    this.workingBar.hidden = !known;
    if (known) this.workingBar.style.setProperty('--done', String(prefill.done / prefill.total));
    const looks = sees && (this.turn.parent?.pictures.length ?? 0) > 0;
    const starting = looks ? S.looking : S.thinking;
    const label = known ? S.reading(count(prefill.done), count(prefill.total)) : starting;
    setText(this.workingNote, label);
  }

  /** `open`: the turn can be gone on with. */
  private ending(open: boolean, longer: number | null): Node[] {
    const { turn, actions } = this;
    if (turn.role === 'user') return [];
    if (turn.state === 'failed') {
      const failure = describeError(turn.error, turn.parent?.parent !== null && !turn.dropOldest);
      const ways: Record<Remedy, readonly [label: string, run: () => void] | null> = {
        drop: [S.dropOldest, () => actions.retry(turn, true)],
        retry: [S.tryAgain, () => actions.retry(turn)],
        newChat: [S.newChat, () => actions.newChat()],
        reload: [S.reloadModel, () => actions.reload(turn)],
        lengthen:
          longer === null ? null : [S.useAndAnswer(count(longer)), () => actions.lengthen(turn, longer)],
      };
      const buttons = failure.remedies
        .flatMap((remedy) => (ways[remedy] === null ? [] : [ways[remedy]]))
        .map(([label, run], i) => button(label, run, { class: i === 0 ? 'primary' : '' }));
      return [failureBox(failure, ...buttons)];
    }
    if (turn.refusal !== null) {
      const rewrite = button(S.rewrite, () => actions.rewrite(turn), { class: 'primary' });
      return [refusalBox(turn.refusal, ...(open ? [rewrite] : []))];
    }
    const resume = button(S.goOn, () => actions.resume(turn), { class: 'primary' });
    const remedies = (...offered: (Node | null)[]): Node[] =>
      open && turn.text !== '' ? [h('div', { class: 'remedies' }, ...offered)] : [];
    if (turn.state === 'stopped') return [h('p', { class: 'note' }, S.stopped), ...remedies(resume)];
    if (turn.note === 'context') {
      const more =
        longer === null
          ? null
          : button(S.useAndGoOn(count(longer)), () => actions.lengthen(turn, longer), { class: 'primary' });
      const drop = button(S.dropAndGoOn, () => actions.resume(turn, true));
      return [h('p', { class: 'note' }, S.contextEnded), ...remedies(more, this.canDrop() ? drop : null)];
    }
    if (turn.note === 'limit') {
      const n = turn.timings?.decode_tokens ?? 0;
      const settings = button(S.settings, () => actions.openSettings());
      return [
        h('p', { class: 'note' }, S.limitReached(S.tokens(n, count(n)))),
        ...remedies(resume, settings),
      ];
    }
    return turn.text.trim() === '' ? [h('p', { class: 'note' }, S.emptyAnswer)] : [];
  }

  private drawFoot({ versions, busy }: TurnContext, running: boolean): void {
    const { turn, actions } = this;
    const index = versions.indexOf(turn);
    const key = `${turn.state} ${busy} ${index} ${versions.length} ${turn.text === ''}`;
    if (key === this.drawnFoot) return;
    this.drawnFoot = key;
    const focused = this.foot.contains(document.activeElement)
      ? (document.activeElement as HTMLElement).dataset.action
      : undefined;
    const parts: Node[] = [];
    if (!running) {
      if (turn.text !== '') parts.push(copyButton(S.copy, () => turn.text, { 'data-action': 'copy' }));
      const change = { class: 'quiet', disabled: busy };
      if (turn.role === 'user') {
        parts.push(button(S.edit, () => this.startEdit(), { ...change, 'data-action': 'edit' }));
      } else if (turn.state !== 'failed' || !this.offersRetry()) {
        parts.push(button(S.retry, () => actions.retry(turn), { ...change, 'data-action': 'retry' }));
      }
      if (versions.length > 1) parts.push(this.versionSwitch(versions, index, busy));
    }
    this.foot.replaceChildren(...parts);
    if (focused !== undefined) this.foot.querySelector<HTMLElement>(`[data-action=${focused}]`)?.focus();
  }

  private versionSwitch(versions: readonly Turn[], index: number, busy: boolean): HTMLElement {
    const to = (target: number): (() => void) => {
      const version = versions[target];
      return () => version !== undefined && this.actions.show(version);
    };
    const before = { class: 'quiet icon-only', disabled: busy || index === 0, 'data-action': 'before' };
    const after = {
      class: 'quiet icon-only',
      disabled: busy || index === versions.length - 1,
      'data-action': 'after',
    };
    return h(
      'span',
      { class: 'versions' },
      iconButton(icon('left'), S.previousVersion, to(index - 1), before),
      h('span', { class: 'version' }, S.version(index + 1, versions.length)),
      iconButton(icon('right'), S.nextVersion, to(index + 1), after),
    );
  }
}
