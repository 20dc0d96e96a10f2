// The chat's behaviour without its looks: sends, retries, edits, stops, and keeps
// conversation, settings and model together. The views listen and draw; this
// file makes no element.

import type { BackendNotice, GpuInfo } from '../api/backend';
import type { AdapterInfo, Slm } from '../api/types';
import { FORMS } from '../generated/gpu';
import { onGrid, type Preferences, SAMPLING_NAMES } from '../seal/preferences';
import type { ChatHost, ModelEntry } from '../seal/protocol';
import { answer } from './answer';
import { longerContext, tokensOf } from './budget';
import { Conversation, type Turn, together } from './conversation';
import { codeOf } from './errors';
import { keptChoice, Model } from './model';
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
  /** Something has become of the graphics chip; `turn` is the answer that waits for it, if one does. */
  readonly onNotice: (notice: BackendNotice, turn: Turn | null) => void;
}

interface Run {
  readonly turn: Turn;
  readonly abort: AbortController;
}

/** What a graphics chip does once and then would do again. */
const FAILURES: ReadonlySet<BackendNotice['code']> = new Set([
  'gpu_wrong',
  'gpu_senseless',
  'gpu_failed',
  'gpu_given_up',
]);

export class Chat {
  readonly settings: Settings = defaultSettings();
  readonly model: Model;
  conversation = new Conversation();
  /** The tab's conversations, the one shown among them, oldest first. */
  readonly conversations: Conversation[] = [this.conversation];
  lastSeed: number | null = null;
  private run: Run | null = null;
  /** The model whose sampling is in force, and what it brought. */
  private own: { readonly model: string; readonly sampling: ReturnType<typeof defaultSampling> } | null =
    null;
  private kept: Preferences;
  private afterAnswer: (() => void) | null = null;

  constructor(
    private readonly host: ChatHost,
    private readonly events: ChatEvents,
  ) {
    this.kept = host.preferences;
    this.settings.dropOldest = this.kept.drop_oldest;
    this.model = new Model(
      host,
      () => {
        this.adoptSampling();
        this.rememberForm();
        events.onModel();
      },
      (notice) => this.noteTrouble(notice),
    );
    this.settings.systemPrompt = host.site.system_prompt ?? '';
    this.model.choice = keptChoice(host);
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

  send(text: string, pictures: readonly Blob[] = []): void {
    if (this.busy || (text.trim() === '' && pictures.length === 0)) return;
    this.answerTo(this.conversation.add(this.conversation.tip(), 'user', S.you, text, pictures));
  }

  /** Asks for another answer in place of `turn`, or for the first one after a question. */
  retry(turn: Turn, dropOldest = this.settings.dropOldest): void {
    const question = turn.role === 'user' ? turn : turn.parent;
    if (this.busy || question === null) return;
    // Nothing more comes from an engine that has stopped.
    if (this.model.slm !== null && isDead(turn.error)) this.reload();
    // An answer without a word is no version worth keeping.
    if (turn.role === 'assistant' && turn.text === '') this.conversation.remove(turn);
    this.answerTo(question, dropOldest);
  }

  /** Goes on with an answer that was cut, from its last word. */
  resume(turn: Turn, dropOldest = this.settings.dropOldest): void {
    if (this.busy || turn.role !== 'assistant' || turn.text === '') return;
    if (this.model.slm !== null && isDead(turn.error)) this.reload();
    const before = together(turn.before, turn.timings);
    const anew = {
      state: 'waiting',
      note: null,
      refusal: null,
      error: null,
      trouble: null,
      prefill: null,
      timings: null,
    };
    Object.assign(turn, { ...anew, before });
    this.begin(turn, dropOldest);
  }

  /** The context length that would do for an answer that had too little; null where there is none. */
  roomFor(turn: Turn | null): number | null {
    const info = this.model.slm?.info;
    return info === undefined
      ? null
      : longerContext(info, (turn && (tokensOf(turn.error) ?? turn.used)) ?? info.n_ctx);
  }

  /** Opens the model again with room for `n_ctx` tokens. */
  lengthen(n_ctx: number): void {
    this.model.choice = { ...this.model.choice, n_ctx };
    this.keep();
    this.reload();
  }

  /** Sends another version of a question; what followed the old one stays with it. */
  edit(turn: Turn, text: string, pictures: readonly Blob[]): void {
    if (this.busy || (text.trim() === '' && pictures.length === 0)) return;
    this.answerTo(this.conversation.add(turn.parent, 'user', S.you, text, pictures));
  }

  chooseVersion(turn: Turn): void {
    if (this.busy) return;
    this.conversation.choose(turn);
    this.events.onPath();
  }

  stop(): void {
    this.run?.abort.abort();
  }

  /** Begins another conversation. The one before is kept, and returned; null: there was none. */
  newChat(): Conversation | null {
    this.leave();
    const former = this.conversation;
    if (former.empty) {
      this.events.onPath();
      return null;
    }
    this.show(new Conversation());
    return former;
  }

  /** Shows another of the tab's conversations, or one that is new to it. */
  show(conversation: Conversation): void {
    this.leave();
    const list = this.conversations;
    if (this.conversation.empty && this.conversation !== conversation)
      list.splice(list.indexOf(this.conversation), 1);
    if (!list.includes(conversation)) list.push(conversation);
    this.conversation = conversation;
    this.events.onPath();
  }

  /** Takes a conversation off the list; what it returns puts it back in its place. */
  forget(conversation: Conversation): () => void {
    const list = this.conversations;
    const place = list.indexOf(conversation);
    const shown = conversation === this.conversation;
    if (shown) this.leave();
    list.splice(place, 1);
    if (shown) {
      this.conversation = new Conversation();
      list.push(this.conversation);
    }
    this.events.onPath();
    return () => {
      list.splice(place, 0, conversation);
      if (shown) this.show(conversation);
      else this.events.onPath();
    };
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

  /** Has the choices outlive the page, as far as they are ones of a list. */
  keep(theme: Preferences['theme'] = this.kept.theme): void {
    const { choice } = this.model;
    const { own } = this;
    // Before any model was open it is not known what differs from its own.
    const sampling =
      own === null
        ? {}
        : Object.fromEntries(
            SAMPLING_NAMES.map((name) => [
              name,
              this.settings[name] === own.sampling[name] ? null : onGrid(name, this.settings[name]),
            ]),
          );
    const kept = {
      ...this.kept,
      theme,
      n_ctx: choice.n_ctx ?? null,
      threads: choice.threads ?? null,
      backend: this.chosenBackend(),
      drop_oldest: this.settings.dropOldest,
      ...sampling,
    };
    const chosen = SAMPLING_NAMES.some((name) => kept[name] !== null);
    this.kept = own === null ? kept : { ...kept, model: chosen ? own.model : null };
    this.host.keep(this.kept);
  }

  resetSampling(): void {
    Object.assign(this.settings, defaultSampling(this.model.slm?.info ?? null));
  }

  /** What the start of a graphics chip has found shortens the next one, until the chip fails. What an emulated
   *  one finds holds of no other. */
  private rememberForm(): void {
    const { slm } = this.model;
    if (slm === null) return;
    const { gpu } = slm.info;
    if (gpu !== null) this.keepForm(gpu.emulated ? {} : gpu.kernels);
  }

  private keepForm(kernels: GpuInfo['kernels']): void {
    const matvec = FORMS.find((form) => form === kernels.matvec) ?? null;
    this.model.choice = { ...this.model.choice, kernels };
    if (matvec === this.kept.matvec) return;
    this.kept = { ...this.kept, matvec };
    this.host.keep(this.kept);
  }

  /** Not what only the page's address asks for. */
  private chosenBackend(): Preferences['backend'] {
    const { backend = 'auto' } = this.model.choice;
    if (backend === this.host.backend) return this.kept.backend;
    return backend === 'auto' ? null : backend;
  }

  private answerTo(question: Turn, dropOldest = this.settings.dropOldest): void {
    const { shortName } = this.model;
    const who = this.domain === null ? shortName : S.inDomain(shortName, this.domain.title);
    const turn = this.conversation.add(question, 'assistant', who);
    this.begin(turn, dropOldest);
  }

  private begin(turn: Turn, dropOldest: boolean): void {
    turn.dropOldest = dropOldest;
    const run = { turn, abort: new AbortController() };
    this.run = run;
    this.events.onPath();
    void this.finish(run, this.generate(run, dropOldest));
  }

  private async generate({ turn, abort }: Run, dropOldest: boolean): Promise<void> {
    const slm = await this.model.ready(abort.signal);
    const seed = this.settings.seed ?? newSeed();
    this.lastSeed = seed;
    const messages = this.conversation.messages(this.settings.systemPrompt, turn, slm.info.vision !== null);
    const system = messages[0]?.role === 'system' ? 1 : 0;
    this.enter(turn, 'reading');
    const params = {
      ...toParams(this.settings, seed),
      ...toAdapters(this.settings, slm.adapters.list()),
      dropOldest,
    };
    const end = await answer(slm, messages, params, abort.signal, {
      onPrefill: ({ done, total }) => {
        turn.paused = false;
        turn.prefill = { done, total };
        this.events.onTurn(turn);
      },
      onDropped: (n) => {
        turn.dropped = Math.min(n, messages.length - system - 1);
        this.events.onPath();
      },
      onText: (piece) => {
        turn.paused = false;
        turn.text += piece;
        this.enter(turn, 'writing');
      },
    });
    turn.timings = end.timings;
    turn.refusal = end.refusal;
    turn.used = slm.stats().n_past;
    if (end.finish === 'length') turn.note = contextIsFull(slm) ? 'context' : 'limit';
    turn.state = 'done';
  }

  private async finish(run: Run, generation: Promise<void>): Promise<void> {
    const { turn, abort } = run;
    try {
      await generation;
    } catch (error) {
      const { slm } = this.model;
      // Before the first word the figures are still those of the request before.
      if (turn.state === 'writing') turn.timings = slm?.stats().timings ?? null;
      turn.state = abort.signal.aborted ? 'stopped' : 'failed';
      turn.error = error;
      turn.used = tokensOf(error) ?? (turn.text === '' ? null : (slm?.stats().n_past ?? null));
    }
    turn.paused = false;
    if (this.run === run) {
      this.run = null;
      this.events.onEnd(turn);
      this.events.onPath();
    }
    if (this.busy) return;
    this.afterAnswer?.();
    this.afterAnswer = null;
  }

  /** An answer that is being written waits, and goes on by itself. */
  private noteTrouble(notice: BackendNotice): void {
    if (FAILURES.has(notice.code)) this.keepForm({});
    const turn = this.answering?.state === 'waiting' ? null : this.answering;
    if (turn !== null) Object.assign(turn, { trouble: notice, paused: true });
    this.events.onNotice(notice, turn);
  }

  private enter(turn: Turn, state: Turn['state']): void {
    turn.state = state;
    this.events.onTurn(turn);
  }

  /** Before another conversation is shown: the answer being written ends, and concerns nobody any more. */
  private leave(): void {
    this.stop();
    this.run = null;
  }

  /** A newly opened model brings its own sampling; reopening it keeps the person's. */
  private adoptSampling(): void {
    const { slm } = this.model;
    if (slm === null || this.own?.model === slm.info.name) return;
    this.own = { model: slm.info.name, sampling: defaultSampling(slm.info) };
    Object.assign(this.settings, NO_DOMAIN);
    this.resetSampling();
    if (this.kept.model !== slm.info.name) return;
    for (const name of SAMPLING_NAMES) this.settings[name] = this.kept[name] ?? this.settings[name];
  }
}

function contextIsFull(slm: Slm): boolean {
  const { n_past, n_ctx } = slm.stats();
  return n_past >= n_ctx - 1;
}

/** After these the engine answers nothing until it is loaded again. */
function isDead(error: unknown): boolean {
  return ['crashed', 'disposed', 'out_of_memory'].includes(codeOf(error) ?? '');
}
