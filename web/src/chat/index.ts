// The chat page inside the sandboxed frame. This file puts the parts together
// and routes what happens to those that draw it; each part has its own file.
// It talks to a ChatHost alone: no network, no storage, no globals but the DOM.

import type { SlmStats } from '../api/types';
import type { ChatHost, ModelEntry } from '../seal/protocol';
import { announce, liveRegion } from './announce';
import { drawCard } from './card';
import { Chat } from './chat';
import { Composer } from './composer';
import type { Turn } from './conversation';
import { copyButton } from './copy';
import { h, iconButton, setText } from './dom';
import { describeError } from './errors';
import { icon, mark } from './icons';
import { listenToKeys } from './keys';
import { adoptLanguage } from './language';
import { Meter } from './meter';
import { OpeningView } from './opening';
import { Panel } from './panel';
import { drawPicker } from './picker';
import { drawSettings } from './settings';
import { adoptAccent, siteMark } from './site';
import { S } from './strings';
import { adoptStyles } from './styles';
import { isDark, onThemeChange, toggleTheme } from './theme';
import { Transcript } from './transcript';
import type { TurnContext } from './turn';
import { UpdateView } from './update';
import { WelcomeView } from './welcome';

/** The meter need not follow every token. */
const METER_MS = 250;
/** Coming back to a page that was open for so long, one may find a new version. */
const LOOK_MS = 10 * 60 * 1000;

export function startChat(host: ChatHost, root: HTMLElement): void {
  adoptLanguage();
  adoptStyles();
  adoptAccent(host.site);
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
    openSettings: () => settingsPanel.open(),
  });
  const composer = new Composer({ onSend: send, onStop: () => chat.stop(), onRecall: editLast });
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
  const settingsPanel: Panel = new Panel('settings', S.settings, () =>
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
    h('div', { class: 'column' }, composer.element, meter.element),
  );
  root.append(
    h('div', { class: 'app' }, h('div', {}, header, updateView.element), scroller, bottom),
    card.element,
    picker.element,
    settingsPanel.element,
    liveRegion(),
  );

  listenToKeys({
    canStop: () => chat.busy,
    stop: () => chat.stop(),
    retry: () => {
      const tip = chat.conversation.tip();
      if (tip !== null) go(() => chat.retry(tip));
    },
    newChat,
    focusComposer: () => composer.focus(),
    blocked: () => card.isOpen || picker.isOpen || settingsPanel.isOpen,
  });
  let lookedAt = performance.now();
  document.addEventListener('visibilitychange', () => {
    const now = performance.now();
    if (document.hidden || now - lookedAt < LOOK_MS) return;
    lookedAt = now;
    void chat.model.look();
  });
  onThemeChange(drawTheme);
  drawTheme();
  drawModel();
  drawPath();
  composer.focus();
  // Before the first layout a field may refuse the focus.
  requestAnimationFrame(() => {
    if (document.activeElement === document.body) composer.focus();
  });
  const first = modelToOpen(host.models);
  if (first !== null) open(first);

  // ---- what the person does

  function send(text: string): void {
    go(() => chat.send(text));
  }

  function go(action: () => void): void {
    transcript.follow();
    action();
    if (chat.busy) announce(S.answering(chat.model.shortName));
    composer.focus();
  }

  function newChat(): void {
    chat.newChat();
    composer.focus();
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
    toggleTheme();
    drawTheme();
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
    meter.update(stats);
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
    composer.setBusy(chat.busy);
    meter.update(stats);
  }

  function contextOf(turn: Turn, stats: SlmStats | null): TurnContext {
    const live = turn === chat.answering ? (stats?.timings ?? null) : null;
    return {
      versions: chat.conversation.siblings(turn),
      busy: chat.busy,
      last: turn === chat.conversation.tip(),
      live: turn.state === 'writing' ? live : null,
    };
  }

  function sayEnd(turn: Turn): void {
    // Drawn first: the words are read from the page, without their marks.
    transcript.update(turn, contextOf(turn, null));
    if (turn.state === 'stopped') announce(S.stopped);
    else if (turn.state === 'done') announce(S.said(turn.who, transcript.plainText(turn)));
  }

  function drawModel(): void {
    const { state, entry, slm } = chat.model;
    setText(name, entry?.title ?? S.choose);
    setText(domain, chat.domain?.title ?? '');
    domain.hidden = chat.domain === null;
    modelButton.setAttribute('aria-label', aboutModel());
    composer.setPlaceholder(placeholder(), state.kind !== 'none');
    openingView.update(state);
    updateView.update(chat.model, chat.busy);
    welcome.update(chat.model);
    meter.update(slm?.stats() ?? null);
    pick.hidden = chat.model.models.length < 2;
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
    const copy = copyButton(S.copyAll, () => chat.conversation.toMarkdown(), {
      class: 'bare',
      title: S.copyAll,
    });
    copy.replaceChildren(icon('copy'), h('span', { class: 'label' }, S.copyAll));
    return copy;
  }
}

/** In place of the chat, when it cannot even begin. */
export function showFailure(error: unknown, root: HTMLElement): void {
  adoptLanguage();
  adoptStyles();
  const { sentence } = describeError(error, false);
  root.replaceChildren(
    h('div', { class: 'fatal', role: 'alert' }, mark(), h('h1', {}, S.noStart), h('p', {}, sentence)),
  );
}

/** What to open unasked: what is on the device; else the only model there is,
 *  unless the person has asked the browser to save data. */
function modelToOpen(models: readonly ModelEntry[]): ModelEntry | null {
  const stored = models.find((entry) => entry.stored);
  if (stored !== undefined) return stored;
  const { connection } = navigator as Navigator & { connection?: { readonly saveData?: boolean } };
  return models.length === 1 && connection?.saveData !== true ? (models[0] ?? null) : null;
}
