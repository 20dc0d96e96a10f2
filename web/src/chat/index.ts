// The chat page inside the sandboxed frame. This file puts the parts together
// and routes what happens to those that draw it; each part has its own file.
// It talks to a ChatHost alone: no network, no storage, no globals but the DOM.

import type { SlmStats } from '../api/types';
import type { ChatHost, ModelEntry } from '../seal/protocol';
import { type Advice, AdviceView } from './advice';
import { later } from './again';
import { announce, liveRegion } from './announce';
import { beginning, thisLine } from './begin';
import { estimate, longerContext, TIGHT, usedBy } from './budget';
import { drawCard } from './card';
import { Chat } from './chat';
import { Composer } from './composer';
import type { Conversation, Turn } from './conversation';
import { copyButton } from './copy';
import { button, h, iconButton, setText } from './dom';
import { codeOf, describeError, isAway } from './errors';
import { exactWords } from './failure';
import { keepFocus } from './focus';
import { count } from './format';
import { icon, mark } from './icons';
import { listenToKeys } from './keys';
import { adoptLanguage } from './language';
import { Meter } from './meter';
import { OpeningView } from './opening';
import { Panel } from './panel';
import { drawPicker } from './picker';
import { Paper } from './print';
import { saveFile } from './save';
import { drawSettings } from './settings';
import { adoptAccent, siteMark } from './site';
import { S } from './strings';
import { adoptStyles } from './styles';
import { drawTalks } from './talks';
import { readFiles, readTextFile } from './textfile';
import { isDark, onThemeChange, setTheme, toggleTheme } from './theme';
import { Transcript } from './transcript';
import { fromFile, isSaved, toJson, toMarkdown } from './transfer';
import type { TurnContext } from './turn';
import { UpdateView } from './update';
import { WelcomeView } from './welcome';

/** The meter need not follow every token. */
const METER_MS = 250;
/** Coming back to a page that was open for so long, one may find a new version. */
const LOOK_MS = 10 * 60 * 1000;
/** Longer than any conversation that a tab holds. */
const MAX_FILE_BYTES = 50e6;

export function startChat(host: ChatHost, root: HTMLElement): void {
  adoptLanguage();
  /** Why the last file was not opened. */
  let refusal: string | null = null;
  let undoDelete: (() => void) | null = null;
  let advice: Advice | null = null;
  let draft = '';
  let draftTokens = 0;
  let weighing = false;
  let wasReady = false;
  const paperSheet = adoptStyles();
  adoptAccent(host.site);
  setTheme(host.preferences.theme);
  const chat = new Chat(host, { onPath: drawPath, onTurn: touch, onEnd: sayEnd, onModel: drawModel });
  const scroller = h('main', { class: 'scroll', id: 'conversation' });
  const open = (entry: ModelEntry, force = false): void => {
    void chat.model.open(entry, force);
    composer.focus();
  };
  const updateView = new UpdateView({
    update,
    halt: () => chat.model.haltUpdate(),
    later: () => {
      chat.model.later = true;
      chat.model.setUpdate({ kind: 'none' });
      composer.focus();
    },
  });
  const openingView = new OpeningView({ open, halt: () => chat.model.halt() });
  const welcome = new WelcomeView(host.site, { open, send });
  const transcript = new Transcript(scroller, {
    retry: (turn, dropOldest) => go(() => chat.retry(turn, dropOldest)),
    edit: (turn, text) => go(() => chat.edit(turn, text)),
    show: (turn) => {
      chat.chooseVersion(turn);
      transcript.focusVersions(turn);
    },
    newChat,
    reload: (turn) => {
      chat.reload();
      go(() => chat.retry(turn));
    },
    resume: (turn, dropOldest) => go(() => chat.resume(turn, dropOldest)),
    lengthen: (turn, n_ctx) => {
      chat.lengthen(n_ctx);
      go(() => (turn.text === '' || turn.state === 'failed' ? chat.retry(turn) : chat.resume(turn)));
    },
    openSettings: () => settingsPanel.open(),
  });
  const composer = new Composer({
    onSend: send,
    onStop: () => chat.stop(),
    onRecall: editLast,
    onDraft: (text) => {
      draft = text;
      advice = null;
      noteUnsaved();
      void weigh();
    },
    onFiles: (files) => void takeFiles(files),
  });
  const adviceView = new AdviceView();
  const card = new Panel('card', S.aboutShort, () =>
    drawCard({
      site: host.site,
      state: chat.model.state,
      entry: chat.model.entry,
      models: chat.model.models,
      open: (entry) => {
        card.close();
        open(entry);
      },
      remove: (entry) => void chat.remove(entry),
      update: () => {
        card.close();
        update();
      },
      goBack: () => {
        card.close();
        void runOther(chat.goBack());
      },
      forget: (entry) => void chat.model.forget(entry),
    }),
  );
  const picker = new Panel('picker', S.others, () =>
    drawPicker({
      models: chat.model.models,
      current: chat.model.entry,
      open: (entry) => {
        picker.close();
        open(entry);
      },
      remove: (entry) => void chat.remove(entry),
    }),
  );
  const settingsPanel: Panel = new Panel(
    'settings',
    S.settings,
    () =>
      drawSettings({
        settings: chat.settings,
        info: chat.model.slm?.info ?? null,
        adapters: chat.adapters,
        choice: chat.model.choice,
        lastSeed: chat.lastSeed,
        reset: () => chat.resetSampling(),
        reload: (choice) => {
          chat.model.choice = choice;
          settingsPanel.close();
          chat.reload();
        },
        redraw: () => settingsPanel.redraw(),
        onDomain: drawModel,
      }),
    () => {
      chat.keep();
      noteUnsaved();
    },
  );
  const talks: Panel = new Panel(
    'talks',
    S.conversations,
    () =>
      drawTalks({
        conversations: chat.conversations,
        shown: chat.conversation,
        refusal,
        undo: undoDelete,
        show: (conversation) => {
          talks.close();
          show(conversation);
        },
        remove,
        save,
        openFile: (file) => void openFile(file),
      }),
    () => {
      refusal = null;
      undoDelete = null;
    },
  );
  const meter = new Meter(() => card.open());

  const name = h('span', { class: 'name', dir: 'auto' });
  const domain = h('span', { class: 'domain' });
  const modelButton = h(
    'button',
    { type: 'button', class: 'model', onclick: () => card.open() },
    siteMark(host.site),
    name,
    domain,
  );
  const pick = iconButton(icon('choose'), S.choose, () => picker.open(), { class: 'bare icon-only pick' });
  const theme = iconButton(icon('moon'), S.toDark, switchTheme, { class: 'bare icon-only' });
  const copyAll = iconCopy();
  const header = h(
    'header',
    { class: 'top' },
    h('div', { class: 'which' }, modelButton, pick),
    h(
      'div',
      { class: 'tools' },
      iconButton(icon('plus'), S.newChat, newChat, { class: 'bare' }),
      iconButton(icon('list'), S.conversations, () => talks.open(), { class: 'bare' }),
      copyAll,
      iconButton(icon('sliders'), S.settings, () => settingsPanel.open(), { class: 'bare' }),
      theme,
    ),
  );
  const bottom = h(
    'footer',
    { class: 'bottom' },
    transcript.jump,
    meter.line,
    h('div', { class: 'column' }, adviceView.element, composer.element, meter.element),
  );
  const app = h('div', { class: 'app' }, h('div', {}, header, updateView.element), scroller, bottom);
  const paper = new Paper(paperSheet, app, scroller, (size) => host.paper(size));
  root.append(app, card.element, picker.element, settingsPanel.element, talks.element, liveRegion());

  listenToKeys({
    canStop: () => chat.busy,
    stop: () => chat.stop(),
    retry: () => {
      const tip = chat.conversation.tip();
      if (tip !== null) go(() => chat.retry(tip));
    },
    newChat,
    focusComposer: () => composer.focus(),
    blocked: () => card.isOpen || picker.isOpen || settingsPanel.isOpen || talks.isOpen,
  });
  let lookedAt = performance.now();
  document.addEventListener('visibilitychange', () => {
    const now = performance.now();
    if (document.hidden || now - lookedAt < LOOK_MS) return;
    lookedAt = now;
    void chat.model.look();
  });
  onThemeChange(drawTheme);
  keepFocus(root, composer.field);
  listenToDrops();
  drawTheme();
  drawModel();
  drawPath();
  composer.focus();
  // Before the first layout a field may refuse the focus.
  requestAnimationFrame(() => {
    if (document.activeElement === document.body) composer.focus();
  });
  const first = beginning(host.models, thisLine());
  if (first?.kind === 'open') open(first.entry);
  else if (first?.kind === 'halted') chat.model.resumable(first.entry);
  else if (first?.kind === 'ask') chat.model.ask(first.entry, first.reason);

  // ---- what the person does

  function send(text: string): void {
    advice = null;
    go(() => chat.send(text));
  }

  function go(action: () => void): void {
    transcript.follow();
    action();
    if (chat.busy) announce(isComing() ? S.answering(chat.model.shortName) : S.waitingClosed);
    composer.focus();
  }

  function newChat(): void {
    const former = chat.newChat();
    const undo = former && { label: S.undo, run: () => show(former) };
    if (undo !== null) advise({ sentence: S.keptFormer, action: undo });
    composer.focus();
  }

  function show(conversation: Conversation): void {
    transcript.follow();
    chat.show(conversation);
    composer.focus();
  }

  function remove(conversation: Conversation): void {
    const putBack = chat.forget(conversation);
    undoDelete = () => {
      putBack();
      undoDelete = null;
      talks.redraw();
    };
    talks.redraw();
    talks.element.querySelector<HTMLElement>('[data-action=undo]')?.focus();
  }

  function save(kind: 'md' | 'json'): void {
    const day = new Date().toISOString().slice(0, 10);
    const { conversation } = chat;
    if (kind === 'md') saveFile(`chat-${day}.md`, 'text/markdown', toMarkdown(conversation));
    else saveFile(`chat-${day}.json`, 'application/json', toJson(conversation));
  }

  async function openFile(file: File): Promise<void> {
    try {
      const opened = fromFile(await readTextFile(file, MAX_FILE_BYTES));
      talks.close();
      show(opened);
    } catch (error) {
      refusal = (error as Error).message;
      talks.redraw();
    }
  }

  async function takeFiles(files: readonly File[]): Promise<void> {
    try {
      const [only] = files;
      if (files.length === 1 && only?.name.endsWith('.json')) {
        const text = await readTextFile(only, MAX_FILE_BYTES);
        if (isSaved(text)) return show(fromFile(text));
      }
      composer.insert(await readFiles(files));
    } catch (error) {
      advise({ sentence: (error as Error).message, action: null });
    }
  }

  function listenToDrops(): void {
    const mark = (on: boolean) => document.body.classList.toggle('is-dropping', on);
    document.addEventListener('dragover', (event) => {
      if (!event.dataTransfer?.types.includes('Files')) return;
      event.preventDefault(); // else the browser would open the file in place of the chat
      mark(true);
    });
    document.addEventListener('dragleave', ({ relatedTarget }) => relatedTarget === null && mark(false));
    document.addEventListener('drop', (event) => {
      mark(false);
      const files = [...(event.dataTransfer?.files ?? [])];
      if (files.length === 0) return;
      event.preventDefault();
      if (composer.field.disabled) return;
      void takeFiles(files);
    });
  }

  function editLast(): void {
    const last = chat.conversation.path().findLast(({ role }) => role === 'user');
    if (last !== undefined && !chat.busy) transcript.startEdit(last);
  }

  function update(): void {
    void runOther(chat.update());
  }

  /** Says it when another version runs. */
  async function runOther(change: Promise<boolean>): Promise<void> {
    const { entry } = chat.model;
    if (!(await change)) return;
    const now = chat.model.entry;
    if (now !== null && now.name === entry?.name) announce(S.updated(now.title, now.version));
  }

  function switchTheme(): void {
    chat.keep(toggleTheme());
    drawTheme();
  }

  // ---- what there is to lose, and how much fits

  /** Counts what the field holds, once the count before is there. */
  async function weigh(): Promise<void> {
    if (weighing) return;
    weighing = true;
    try {
      for (let counted: string | null = null; counted !== draft; ) {
        counted = draft;
        const { slm } = chat.model;
        // An engine that answers would count only afterwards.
        if (slm === null || chat.busy) break;
        draftTokens = counted.trim() === '' ? 0 : await estimate(slm, [counted]).catch(() => 0);
      }
    } finally {
      weighing = false;
    }
    if (draft.trim() === '') draftTokens = 0;
    drawMeter();
  }

  /** A branch whose answers know no count, as one from a file, is counted. */
  async function weighPath(path: readonly Turn[]): Promise<void> {
    const tip = path.findLast(({ text }) => text !== '');
    const { slm } = chat.model;
    if (slm === null || chat.busy || tip === undefined || path.some(({ used }) => used !== null)) return;
    const system = chat.settings.systemPrompt.trim();
    const texts = [system, ...path.map(({ text }) => text)].filter((text) => text !== '');
    const tokens = await estimate(slm, texts).catch(() => null);
    if (tip.used !== null) return;
    tip.used = tokens;
    drawMeter();
  }

  function noteUnsaved(): void {
    const instructed = chat.settings.systemPrompt.trim() !== (host.site.system_prompt ?? '').trim();
    const typed = instructed || composer.field.value.trim() !== '';
    host.setUnsaved(typed || chat.conversations.some(({ empty }) => !empty));
  }

  /** What has just been done stays in sight until the next step. */
  function advise(about: Advice): void {
    advice = about;
    drawAdvice();
  }

  function drawMeter(): void {
    const stats = chat.model.slm?.stats() ?? null;
    meter.update(stats, used(stats), chat.busy ? 0 : draftTokens);
    drawAdvice();
  }

  /** Of the branch shown; while an answer is written to it, as the engine counts. */
  function used(stats: SlmStats | null): number {
    const known = usedBy(chat.conversation.path());
    const state = chat.answering?.state;
    return state === 'reading' || state === 'writing' ? (stats?.n_past ?? known) : known;
  }

  function drawAdvice(): void {
    const told = advice ?? (chat.busy ? null : tightness());
    adviceView.show(told, advice !== null);
  }

  function tightness(): Advice | null {
    const { slm } = chat.model;
    const tip = chat.conversation.tip();
    // An answer that failed or was cut for want of context says so itself.
    if (slm === null || tip?.note === 'context' || tip?.state === 'failed') return null;
    const { n_ctx } = slm.info;
    const before = used(null);
    const all = before + draftTokens;
    if (all < TIGHT * n_ctx) return null;
    const longer = longerContext(slm.info, all);
    const action =
      longer === null ? null : { label: S.useTokens(count(longer)), run: () => lengthen(longer) };
    const share = Math.round((100 * before) / n_ctx);
    const sentence =
      all > n_ctx && draftTokens > 0 ? S.willNotFit(count(all), count(n_ctx)) : S.nearlyFull(String(share));
    return { sentence, action };
  }

  function lengthen(n_ctx: number): void {
    chat.lengthen(n_ctx);
    composer.focus();
  }

  // ---- what is drawn

  let touched: Turn | null = null;
  let meterDrawnAt = 0;

  /** Draws a growing turn once per frame, however many tokens arrive. */
  function touch(turn: Turn): void {
    if (touched === null) requestAnimationFrame(drawTouched);
    touched = turn;
  }

  function drawTouched(now: number): void {
    const turn = touched;
    touched = null;
    if (turn === null || chat.answering !== turn) return;
    const stats = chat.model.slm?.stats() ?? null;
    transcript.update(turn, contextOf(turn, stats));
    if (now - meterDrawnAt < METER_MS) return;
    meterDrawnAt = now;
    drawMeter();
  }

  function drawPath(): void {
    const path = chat.conversation.path();
    const stats = chat.model.slm?.stats() ?? null;
    transcript.show(path, (turn) => contextOf(turn, stats));
    const empty = path.length === 0;
    const shown = empty ? welcome.element : transcript.element;
    if (scroller.firstElementChild !== shown) {
      scroller.replaceChildren(shown);
      (empty ? welcome.slot : scroller).append(openingView.element);
    }
    copyAll.hidden = empty;
    paper.changed();
    composer.setBusy(chat.busy);
    noteUnsaved();
    drawMeter();
    void weighPath(path);
  }

  function contextOf(turn: Turn, stats: SlmStats | null): TurnContext {
    const live = turn === chat.answering ? (stats?.timings ?? null) : null;
    return {
      versions: chat.conversation.siblings(turn),
      busy: chat.busy,
      coming: isComing(),
      last: turn === chat.conversation.tip(),
      live: turn.state === 'writing' ? live : null,
      longer: turn.state === 'failed' || turn.note === 'context' ? chat.roomFor(turn) : null,
    };
  }

  /** The model is open or on its way. */
  function isComing(): boolean {
    const { kind } = chat.model.state;
    return kind === 'ready' || kind === 'opening';
  }

  function sayEnd(turn: Turn): void {
    // Drawn first: the words are read from the page, without their marks.
    transcript.update(turn, contextOf(turn, null));
    paper.changed();
    if (turn.state === 'stopped') announce(S.stopped);
    else if (turn.state === 'done') announce(S.said(turn.who, transcript.plainText(turn)));
    queueMicrotask(() => {
      composer.answered(turn.state === 'done');
      void weigh();
    });
  }

  function drawModel(): void {
    const { state, entry, slm } = chat.model;
    setText(name, entry?.title ?? S.choose);
    setText(domain, chat.domain?.title ?? '');
    domain.hidden = chat.domain === null;
    modelButton.setAttribute('aria-label', aboutModel());
    composer.setPlaceholder(placeholder(), state.kind !== 'none');
    openingView.update(state);
    const { answering } = chat;
    if (answering?.state === 'waiting') transcript.update(answering, contextOf(answering, null));
    // Before the offer of a new version, which one should hear last.
    if (slm !== null && !wasReady && !chat.busy) announce(S.ready(chat.model.shortName));
    wasReady = slm !== null;
    updateView.update(chat.model, chat.busy);
    welcome.update(chat.model);
    drawMeter();
    pick.hidden = chat.model.models.length < 2;
    void weigh();
    void weighPath(chat.conversation.path());
    for (const panel of [card, picker]) if (panel.isOpen && state.kind !== 'opening') panel.redraw();
  }

  function aboutModel(): string {
    const { entry } = chat.model;
    if (entry === null) return S.choose;
    return chat.domain === null ? S.aboutModel(entry.title) : S.aboutInDomain(entry.title, chat.domain.title);
  }

  function placeholder(): string {
    const { state, slm } = chat.model;
    if (state.kind === 'none') return S.placeholderNone;
    if (slm === null) return state.kind === 'opening' ? S.placeholderLoading : S.placeholderClosed;
    return slm.info.has_chat_template ? S.placeholder(chat.model.shortName) : S.placeholderBase;
  }

  function drawTheme(): void {
    const dark = isDark();
    const label = dark ? S.toLight : S.toDark;
    theme.replaceChildren(icon(dark ? 'sun' : 'moon'), h('span', { class: 'label' }, label));
    theme.title = label;
  }

  function iconCopy(): HTMLButtonElement {
    const copy = copyButton(S.copyAll, () => toMarkdown(chat.conversation), {
      class: 'bare copy-all',
      title: S.copyAll,
    });
    copy.replaceChildren(icon('copy'), h('span', { class: 'label' }, S.copyAll));
    return copy;
  }
}

/** In place of the chat, when it cannot even begin. Resolves when it is time to try again, by itself where
 *  the site was away, or when the person says so. */
export function showFailure(error: unknown, root: HTMLElement, failures: number): Promise<void> {
  adoptLanguage();
  adoptStyles();
  const { sentence, exact } = describeError(error, false);
  const away = isAway(error);
  return new Promise((resolve) => {
    const end = () => {
      callOff();
      again.disabled = true;
      resolve();
    };
    const again = button(S.tryAgain, end, { class: 'primary' });
    const callOff = away ? later(failures, end) : () => {};
    // The shell has hung up: nothing that one could ask would be answered.
    const way = codeOf(error) === 'invalid_argument' ? null : h('div', { class: 'remedies' }, again);
    const words = away ? `${sentence} ${S.triesAgain}` : sentence;
    const focused = root.contains(document.activeElement);
    root.replaceChildren(
      h(
        'div',
        { class: 'fatal', role: 'alert' },
        mark(),
        h('h1', {}, S.noStart),
        h('p', {}, words),
        way,
        exactWords(exact),
      ),
    );
    if (focused) again.focus();
  });
}
