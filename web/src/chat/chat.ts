// The chat's behaviour without its looks: sends, retries, edits, stops, and keeps
// conversation, settings and model together. The views listen and draw; this
// file makes no element.

import type { AdapterInfo, Slm } from '../api/types';
import { SlmError } from '../core/error';
import type { ChatHost, ModelEntry } from '../seal/protocol';
import { answer } from './answer';
import { Conversation, type Turn } from './conversation';
import { Model } from './model';
import {
  defaultSampling,
  defaultSettings,
  domainOf,
  NO_DOMAIN,
  newSeed,
  type Settings,
  toAdapters,
  toParams,
} from './sampling';
import { S } from './strings';

export interface ChatEvents {
  /** Other turns are shown than before, or other actions are possible on them. */
  readonly onPath: () => void;
  /** One turn has more text or another state. */
  readonly onTurn: (turn: Turn) => void;
  /** An answer has ended, whichever way. */
  readonly onEnd: (turn: Turn) => void;
  readonly onModel: () => void;
}

interface Run {
  readonly turn: Turn;
  readonly abort: AbortController;
}

export class Chat {
  readonly settings: Settings = defaultSettings();
  readonly model: Model;
  conversation = new Conversation();
  lastSeed: number | null = null;
  private run: Run | null = null;
  private samplingOf: string | null = null;
  private afterAnswer: (() => void) | null = null;

  constructor(
    host: ChatHost,
    private readonly events: ChatEvents,
  ) {
    this.model = new Model(host, () => {
      this.adoptSampling();
      events.onModel();
    });
    this.settings.systemPrompt = host.site.system_prompt ?? '';
  }

  get busy(): boolean {
    return this.run !== null;
  }

  /** The turn being answered, or null. */
  get answering(): Turn | null {
    return this.run?.turn ?? null;
  }

  /** The domains of the open model. */
  get adapters(): readonly AdapterInfo[] {
    return this.model.slm?.adapters.list() ?? [];
  }

  /** The one that answers next, or null for the model alone. */
  get domain(): AdapterInfo | null {
    return domainOf(this.settings, this.adapters);
  }

  send(text: string): void {
    if (this.busy || text.trim() === '') return;
    this.answerTo(this.conversation.add(this.conversation.tip(), 'user', S.you, text));
  }

  /** Asks for another answer in place of `turn`, or for the first one after a question. */
  retry(turn: Turn, dropOldest = this.settings.dropOldest): void {
    const question = turn.role === 'user' ? turn : turn.parent;
    if (this.busy || question === null) return;
    // An answer without a word is no version worth keeping.
    if (turn.role === 'assistant' && turn.text === '') this.conversation.remove(turn);
    this.answerTo(question, dropOldest);
  }

  /** Sends another version of a question; what followed the old one stays with it. */
  edit(turn: Turn, text: string): void {
    if (this.busy || text.trim() === '') return;
    this.answerTo(this.conversation.add(turn.parent, 'user', S.you, text));
  }

  chooseVersion(turn: Turn): void {
    if (this.busy) return;
    this.conversation.choose(turn);
    this.events.onPath();
  }

  stop(): void {
    this.run?.abort.abort();
  }

  newChat(): void {
    this.stop();
    this.run = null; // its end concerns nobody any more
    this.conversation = new Conversation();
    this.events.onPath();
  }

  /** Opens the current model again, with the choice of engine as it is now. */
  reload(): void {
    const { entry } = this.model;
    if (entry === null) return;
    this.stop();
    void this.model.open(entry);
  }

  /** Removes a model from this device, the open one too. */
  async remove(entry: ModelEntry): Promise<void> {
    if (this.model.entry?.name === entry.name) this.stop();
    await this.model.remove(entry);
  }

  /** Fetches the newer version and opens it between two answers. True: it runs. */
  async update(): Promise<boolean> {
    if (!(await this.model.fetchUpdate())) return false;
    if (this.busy) await new Promise<void>((resolve) => (this.afterAnswer = resolve));
    const { entry } = this.model;
    if (entry === null) return false;
    await this.model.open(entry);
    return this.model.slm !== null;
  }

  /** Opens the other version that is on this device. True: it runs. */
  async goBack(): Promise<boolean> {
    this.stop();
    await this.model.goBack();
    return this.model.slm !== null;
  }

  resetSampling(): void {
    Object.assign(this.settings, defaultSampling(this.model.slm?.info ?? null));
  }

  private answerTo(question: Turn, dropOldest = this.settings.dropOldest): void {
    const { shortName } = this.model;
    const who = this.domain === null ? shortName : S.inDomain(shortName, this.domain.title);
    const turn = this.conversation.add(question, 'assistant', who);
    turn.dropOldest = dropOldest;
    const run = { turn, abort: new AbortController() };
    this.run = run;
    this.events.onPath();
    void this.finish(run, this.generate(run, question, dropOldest));
  }

  private async generate({ turn, abort }: Run, question: Turn, dropOldest: boolean): Promise<void> {
    const slm = await this.model.ready(abort.signal);
    const seed = this.settings.seed ?? newSeed();
    this.lastSeed = seed;
    const messages = this.conversation.messages(this.settings.systemPrompt, question);
    const system = messages[0]?.role === 'system' ? 1 : 0;
    this.enter(turn, 'reading');
    const params = {
      ...toParams(this.settings, seed),
      ...toAdapters(this.settings, slm.adapters.list()),
      dropOldest,
    };
    const end = await answer(slm, messages, params, abort.signal, {
      onPrefill: ({ done, total }) => {
        turn.prefill = { done, total };
        this.events.onTurn(turn);
      },
      onDropped: (n) => {
        turn.dropped = Math.min(n, messages.length - system - 1);
        this.events.onPath();
      },
      onText: (piece) => {
        turn.text += piece;
        this.enter(turn, 'writing');
      },
    });
    turn.timings = end.timings;
    if (end.finish === 'length') turn.note = contextIsFull(slm) ? 'context' : 'limit';
    turn.state = 'done';
  }

  private async finish(run: Run, generation: Promise<void>): Promise<void> {
    const { turn, abort } = run;
    try {
      await generation;
    } catch (error) {
      turn.state = abort.signal.aborted ? 'stopped' : 'failed';
      turn.error = error;
      // Before the first word the figures are still those of the request before.
      if (turn.text !== '') turn.timings = this.model.slm?.stats().timings ?? null;
    }
    if (this.run === run) this.run = null;
    this.events.onEnd(turn);
    this.events.onPath();
    if (this.busy) return;
    this.afterAnswer?.();
    this.afterAnswer = null;
  }

  private enter(turn: Turn, state: Turn['state']): void {
    turn.state = state;
    this.events.onTurn(turn);
  }

  /** A newly opened model brings its own sampling; reopening it keeps the person's. */
  private adoptSampling(): void {
    const { slm } = this.model;
    if (slm === null || this.samplingOf === slm.info.name) return;
    this.samplingOf = slm.info.name;
    Object.assign(this.settings, NO_DOMAIN);
    this.resetSampling();
  }
}

function contextIsFull(slm: Slm): boolean {
  const { n_past, n_ctx } = slm.stats();
  return n_past >= n_ctx - 1;
}

/** The code of an error of ours; null for anything unforeseen. */
export function codeOf(error: unknown): SlmError['code'] | null {
  return error instanceof SlmError ? error.code : null;
}
