// How full the context is, with the message in the field: counts what no answer
// has counted, draws the meter, and says above the field when it gets tight and
// what helps. How much fits is budget.ts's to say.

import type { SlmStats } from '../api/types';
import { type Advice, AdviceView } from './advice';
import { estimate, longerContext, TIGHT, usedBy } from './budget';
import type { Chat } from './chat';
import { count } from './format';
import { Meter } from './meter';
import { S } from './strings';

export interface FullnessActions {
  readonly about: () => void;
  readonly lengthen: (n_ctx: number) => void;
}

export class Fullness {
  readonly meter: Meter;
  readonly advice = new AdviceView();
  /** What has just been done; it stays in sight until the next step. */
  private said: Advice | null = null;
  private draft = '';
  private pictures = 0;
  private draftTokens = 0;
  private weighing = false;

  constructor(
    private readonly chat: Chat,
    private readonly actions: FullnessActions,
  ) {
    this.meter = new Meter(actions.about);
  }

  /** The field holds other words. */
  setDraft(text: string, pictures: number): void {
    this.draft = text;
    this.pictures = pictures;
    this.said = null;
    void this.weighDraft();
  }

  /** Says something in place of the context; null takes it back. */
  say(about: Advice | null): void {
    this.said = about;
    this.drawAdvice();
  }

  /** Counts what the field holds, once the count before is there. */
  async weighDraft(): Promise<void> {
    if (this.weighing) return;
    this.weighing = true;
    try {
      for (let counted: string | null = null, seen = 0; counted !== this.draft || seen !== this.pictures; ) {
        counted = this.draft;
        seen = this.pictures;
        const { slm } = this.chat.model;
        // An engine that answers would count only afterwards.
        if (slm === null || this.chat.busy) break;
        const empty = counted.trim() === '' && seen === 0;
        this.draftTokens = empty ? 0 : await estimate(slm, [counted], seen).catch(() => 0);
      }
    } finally {
      this.weighing = false;
    }
    if (this.draft.trim() === '' && this.pictures === 0) this.draftTokens = 0;
    this.draw();
  }

  /** A branch whose answers know no count, as one from a file, is counted. */
  async weighPath(): Promise<void> {
    const { chat } = this;
    const path = chat.conversation.path();
    const tip = path.findLast(({ text }) => text !== '');
    const { slm } = chat.model;
    if (slm === null || chat.busy || tip === undefined || path.some(({ used }) => used !== null)) return;
    const system = chat.settings.systemPrompt.trim();
    const texts = [system, ...path.map(({ text }) => text)].filter((text) => text !== '');
    const pictures = path.reduce((n, turn) => n + turn.pictures.length, 0);
    const tokens = await estimate(slm, texts, pictures).catch(() => null);
    if (tip.used !== null) return;
    tip.used = tokens;
    this.draw();
  }

  draw(): void {
    const { chat } = this;
    const stats = chat.model.slm?.stats() ?? null;
    this.meter.update(stats, this.used(stats), chat.busy ? 0 : this.draftTokens);
    this.drawAdvice();
  }

  private drawAdvice(): void {
    const told = this.said ?? (this.chat.busy ? null : this.tightness());
    this.advice.show(told, this.said !== null);
  }

  /** Of the branch shown; while an answer is written to it, as the engine counts. */
  private used(stats: SlmStats | null): number {
    const known = usedBy(this.chat.conversation.path());
    const state = this.chat.answering?.state;
    return state === 'reading' || state === 'writing' ? (stats?.n_past ?? known) : known;
  }

  private tightness(): Advice | null {
    const { slm } = this.chat.model;
    const tip = this.chat.conversation.tip();
    // An answer that failed or was cut for want of context says so itself.
    if (slm === null || tip?.note === 'context' || tip?.state === 'failed') return null;
    const { n_ctx } = slm.info;
    const before = this.used(null);
    const all = before + this.draftTokens;
    if (all < TIGHT * n_ctx) return null;
    const longer = longerContext(slm.info, all);
    const action =
      longer === null
        ? null
        : { label: S.useTokens(count(longer)), run: () => this.actions.lengthen(longer) };
    const share = Math.round((100 * before) / n_ctx);
    const sentence =
      all > n_ctx && this.draftTokens > 0
        ? S.willNotFit(count(all), count(n_ctx))
        : S.nearlyFull(String(share));
    return { sentence, action };
  }
}
