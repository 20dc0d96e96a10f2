// The chat page inside the sandboxed frame. This file puts the parts together and
// says what each click leads to; each part has its own file. It talks to a
// ChatHost alone: no network, no storage, no globals but the DOM.

import type { ChatHost, ModelEntry } from '../seal/protocol';
import { announce, liveRegion } from './announce';
import { beginning, thisLine } from './begin';
import { Chat } from './chat';
import { onComeback } from './comeback';
import { Composer } from './composer';
import type { Conversation } from './conversation';
import { h } from './dom';
import { Drawers } from './drawers';
import { listenToDrops } from './drops';
import { takeFiles } from './files';
import { keepFocus } from './focus';
import { Fullness } from './fullness';
import { HeaderView } from './header';
import { listenToKeys } from './keys';
import { adoptLanguage } from './language';
import { say } from './notice';
import { OpeningView } from './opening';
import { Paper } from './print';
import { Screen } from './screen';
import { adoptAccent } from './site';
import { S } from './strings';
import { adoptStyles } from './styles';
import { setTheme } from './theme';
import { Transcript } from './transcript';
import { UpdateView } from './update';
import { WelcomeView } from './welcome';

export function startChat(host: ChatHost, root: HTMLElement): void {
  adoptLanguage();
  const paperSheet = adoptStyles();
  adoptAccent(host.site);
  setTheme(host.preferences.theme);
  const chat = new Chat(host, {
    onPath: () => screen.drawPath(),
    onTurn: (turn) => screen.touch(turn),
    onEnd: (turn) => screen.sayEnd(turn),
    onModel: () => screen.drawModel(),
    onNotice: (notice, turn) => {
      const sentence = say(notice);
      if (turn === null) fullness.say({ sentence, action: null });
      else {
        screen.touch(turn);
        announce(sentence);
      }
    },
  });

  // ---- the parts

  const update = new UpdateView({
    update: updateModel,
    halt: () => chat.model.haltUpdate(),
    later: () => {
      chat.model.later = true;
      chat.model.setUpdate({ kind: 'none' });
      composer.focus();
    },
  });
  const opening = new OpeningView({ open, halt: () => chat.model.halt(), guard: () => chat.model.guard });
  const welcome = new WelcomeView(host.site, { open, send });
  const scroller = h('main', { class: 'scroll', id: 'conversation' });
  const transcript = new Transcript(scroller, {
    retry: (turn, dropOldest) => go(() => chat.retry(turn, dropOldest)),
    edit: (turn, text, pictures) => go(() => chat.edit(turn, text, pictures)),
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
    openSettings: () => drawers.settings.open(),
    rewrite: ({ parent }) => {
      if (parent !== null) transcript.startEdit(parent);
    },
    outline: (codes) => {
      const { slm } = chat.model;
      if (slm === null) return null;
      return slm.info.vision?.masks === true ? slm.mask(codes) : 'none';
    },
  });
  const composer = new Composer({
    onSend: send,
    onStop: () => chat.stop(),
    onRecall: editLast,
    onDraft: (text, pictures) => {
      noteUnsaved();
      fullness.setDraft(text, pictures);
    },
    onFiles: (files) => void take(files),
    onRefusal: refuse,
  });
  const fullness = new Fullness(chat, {
    about: () => drawers.card.open(),
    lengthen: (n_ctx) => {
      chat.lengthen(n_ctx);
      composer.focus();
    },
  });
  const drawers = new Drawers(host, chat, {
    open,
    update: updateModel,
    goBack: () => void runOther(chat.goBack()),
    show,
    onDomain: () => screen.drawModel(),
    onSettings: () => {
      chat.keep();
      noteUnsaved();
    },
  });
  const header = new HeaderView(host.site, chat, {
    about: () => drawers.card.open(),
    choose: () => drawers.picker.open(),
    newChat,
    openTalks: () => drawers.talks.open(),
    openSettings: () => drawers.settings.open(),
  });
  const { meter, advice } = fullness;
  const bottom = h(
    'footer',
    { class: 'bottom' },
    transcript.jump,
    meter.line,
    h('div', { class: 'column' }, advice.element, composer.element, meter.element),
  );
  const app = h('div', { class: 'app' }, h('div', {}, header.element, update.element), scroller, bottom);
  const paper = new Paper(paperSheet, app, scroller, (size) => host.paper(size));
  const screen = new Screen(
    chat,
    { header, update, scroller, welcome, opening, transcript, fullness, composer, drawers, paper },
    noteUnsaved,
  );
  root.append(app, ...drawers.elements, liveRegion());

  listenToKeys({
    canStop: () => chat.busy,
    stop: () => chat.stop(),
    retry: () => {
      const tip = chat.conversation.tip();
      if (tip !== null) go(() => chat.retry(tip));
    },
    newChat,
    focusComposer: () => composer.focus(),
    blocked: () => drawers.anyOpen,
  });
  onComeback(() => void chat.model.look());
  keepFocus(root, composer.field);
  listenToDrops(
    () => !composer.field.disabled,
    (files) => void take(files),
  );
  screen.drawModel();
  screen.drawPath();
  composer.focus();
  // Before the first layout a field may refuse the focus.
  requestAnimationFrame(() => {
    if (document.activeElement === document.body) composer.focus();
  });
  const first = beginning(host.models, thisLine(), host.guard);
  if (first?.kind === 'open') open(first.entry);
  else if (first?.kind === 'halted') chat.model.resumable(first.entry);
  else if (first?.kind === 'ask') chat.model.ask(first.entry, first.reason);

  // ---- what the person does

  function open(entry: ModelEntry, force = false): void {
    void chat.model.open(entry, force);
    composer.focus();
  }

  function send(text: string, pictures: readonly Blob[] = []): void {
    fullness.say(null);
    go(() => chat.send(text, pictures));
  }

  function go(action: () => void): void {
    transcript.follow();
    action();
    if (chat.busy) announce(screen.isComing ? S.answering(chat.model.shortName) : S.waitingClosed);
    composer.focus();
  }

  function newChat(): void {
    const former = chat.newChat();
    const undo = former && { label: S.undo, run: () => show(former) };
    if (undo !== null) fullness.say({ sentence: S.keptFormer, action: undo });
    composer.focus();
  }

  function show(conversation: Conversation): void {
    transcript.follow();
    chat.show(conversation);
    composer.focus();
  }

  async function take(files: readonly File[]): Promise<void> {
    const pictures = files.filter(({ type }) => type.startsWith('image/') && type !== 'image/svg+xml');
    const others = files.filter((file) => !pictures.includes(file));
    if (pictures.length > 0) {
      if (composer.tray.enabled) await composer.tray.add(pictures);
      else refuse(chat.model.slm === null ? S.notYetPictures : S.seesNoPictures(chat.model.shortName));
    }
    if (others.length === 0) return composer.focus();
    try {
      const taken = await takeFiles(others);
      if (typeof taken === 'string') composer.insert(taken);
      else show(taken);
    } catch (error) {
      refuse((error as Error).message);
    }
  }

  function refuse(sentence: string): void {
    fullness.say({ sentence, action: null });
  }

  function editLast(): void {
    const last = chat.conversation.path().findLast(({ role }) => role === 'user');
    if (last !== undefined && !chat.busy) transcript.startEdit(last);
  }

  function updateModel(): void {
    void runOther(chat.update());
  }

  /** Says it when another version runs. */
  async function runOther(change: Promise<boolean>): Promise<void> {
    const { entry } = chat.model;
    if (!(await change)) return;
    const now = chat.model.entry;
    if (now !== null && now.name === entry?.name) announce(S.updated(now.title, now.version));
  }

  /** Whether leaving the page loses something. */
  function noteUnsaved(): void {
    const instructed = chat.settings.systemPrompt.trim() !== (host.site.system_prompt ?? '').trim();
    const typed = instructed || composer.field.value.trim() !== '' || composer.tray.pictures.length > 0;
    host.setUnsaved(typed || chat.conversations.some(({ empty }) => !empty));
  }
}
