// Draws what has changed: the chat and its model say that something is different,
// and each view is given what it shows of it. A growing answer is drawn once a
// frame, its figures a few times a second. It changes nothing but the page.

import type { SlmStats } from '../api/types';
import { announce } from './announce';
import type { Chat } from './chat';
import type { Composer } from './composer';
import type { Turn } from './conversation';
import type { Drawers } from './drawers';
import type { Fullness } from './fullness';
import type { HeaderView } from './header';
import type { OpeningView } from './opening';
import type { Paper } from './print';
import { refusalSentence } from './refusal';
import { S } from './strings';
import type { Transcript } from './transcript';
import type { TurnContext } from './turn';
import type { UpdateView } from './update';
import type { WelcomeView } from './welcome';

/** The meter need not follow every token. */
const METER_MS = 250;

export interface Views {
  readonly header: HeaderView;
  readonly update: UpdateView;
  /** Holds the conversation, or the first screen. */
  readonly scroller: HTMLElement;
  readonly welcome: WelcomeView;
  readonly opening: OpeningView;
  readonly transcript: Transcript;
  readonly fullness: Fullness;
  readonly composer: Composer;
  readonly drawers: Drawers;
  readonly paper: Paper;
}

export class Screen {
  private touched: Turn | null = null;
  private meterDrawnAt = 0;
  private wasReady = false;

  constructor(
    private readonly chat: Chat,
    private readonly views: Views,
    private readonly noteUnsaved: () => void,
  ) {}

  /** The model is open or on its way. */
  get isComing(): boolean {
    const { kind } = this.chat.model.state;
    return kind === 'ready' || kind === 'opening';
  }

  /** Draws a growing turn once per frame, however many tokens arrive. */
  touch(turn: Turn): void {
    if (this.touched === null) requestAnimationFrame((now) => this.drawTouched(now));
    this.touched = turn;
  }

  drawPath(): void {
    const { header, scroller, welcome, opening, transcript, fullness, composer, paper } = this.views;
    const { chat } = this;
    const path = chat.conversation.path();
    const stats = chat.model.slm?.stats() ?? null;
    transcript.show(path, (turn) => this.contextOf(turn, stats));
    const empty = path.length === 0;
    const shown = empty ? welcome.element : transcript.element;
    if (scroller.firstElementChild !== shown) {
      scroller.replaceChildren(shown);
      (empty ? welcome.slot : scroller).append(opening.element);
    }
    header.updatePath();
    paper.changed();
    composer.setBusy(chat.busy);
    this.noteUnsaved();
    fullness.draw();
    void fullness.weighPath();
  }

  drawModel(): void {
    const { header, update, welcome, opening, transcript, fullness, composer, drawers } = this.views;
    const { answering, busy, model } = this.chat;
    const { state, slm } = model;
    header.updateModel();
    composer.setPlaceholder(this.placeholder(), state.kind !== 'none');
    // Between two models nobody knows; what was added stays.
    if (slm !== null || state.kind === 'none') composer.tray.enable(slm?.info.vision != null);
    opening.update(state);
    if (answering?.state === 'waiting') transcript.update(answering, this.contextOf(answering, null));
    // Before the offer of a new version, which one should hear last.
    if (slm !== null && !this.wasReady && !busy) announce(S.ready(model.shortName));
    this.wasReady = slm !== null;
    update.update(model, busy);
    welcome.update(model);
    fullness.draw();
    void fullness.weighDraft();
    void fullness.weighPath();
    if (state.kind !== 'opening') drawers.redrawModels();
  }

  sayEnd(turn: Turn): void {
    const { transcript, paper, composer, fullness } = this.views;
    // Drawn first: the words are read from the page, without their marks.
    transcript.update(turn, this.contextOf(turn, null));
    paper.changed();
    if (turn.state === 'stopped') announce(S.stopped);
    else if (turn.refusal !== null) announce(refusalSentence(turn.refusal));
    else if (turn.state === 'done') announce(S.said(turn.who, transcript.plainText(turn)));
    queueMicrotask(() => {
      composer.answered(turn.state === 'done');
      void fullness.weighDraft();
    });
  }

  private drawTouched(now: number): void {
    const turn = this.touched;
    this.touched = null;
    if (turn === null || this.chat.answering !== turn) return;
    const stats = this.chat.model.slm?.stats() ?? null;
    this.views.transcript.update(turn, this.contextOf(turn, stats));
    if (now - this.meterDrawnAt < METER_MS) return;
    this.meterDrawnAt = now;
    this.views.fullness.draw();
  }

  private contextOf(turn: Turn, stats: SlmStats | null): TurnContext {
    const { chat } = this;
    const live = turn === chat.answering ? (stats?.timings ?? null) : null;
    return {
      versions: chat.conversation.siblings(turn),
      busy: chat.busy,
      coming: this.isComing,
      sees: (chat.model.slm?.info.vision ?? null) !== null,
      last: turn === chat.conversation.tip(),
      live: turn.state === 'writing' ? live : null,
      longer: turn.state === 'failed' || turn.note === 'context' ? chat.roomFor(turn) : null,
    };
  }

  private placeholder(): string {
    const { state, slm, shortName } = this.chat.model;
    if (state.kind === 'none') return S.placeholderNone;
    if (slm === null) return state.kind === 'opening' ? S.placeholderLoading : S.placeholderClosed;
    return slm.info.has_chat_template ? S.placeholder(shortName) : S.placeholderBase;
  }
}
