// The page that looks inside a model, in the sandboxed frame: a text, what the model makes
// of it behind each of its layers, and which features are active in it. This file puts the
// parts together. As the chat it talks to a ChatHost alone; what opens models and says how
// far they are is the chat's.

import { announce, liveRegion } from '../chat/announce';
import { beginning, thisLine } from '../chat/begin';
import { onComeback } from '../chat/comeback';
import { select } from '../chat/controls';
import { button, h, iconButton, setText } from '../chat/dom';
import { listenToDrops } from '../chat/drops';
import { describeError } from '../chat/errors';
import { count } from '../chat/format';
import { icon } from '../chat/icons';
import { adoptLanguage } from '../chat/language';
import { keptChoice, Model } from '../chat/model';
import { say } from '../chat/notice';
import { OpeningView } from '../chat/opening';
import { adoptAccent, siteMark } from '../chat/site';
import { S } from '../chat/strings';
import { isDark, onThemeChange, setTheme, toggleTheme } from '../chat/theme';
import type { ChatHost, ModelEntry } from '../seal/protocol';
import { FeaturesView } from './features';
import { chosenLayers, Looker, type LookState } from './looker';
import type { ReadState } from './reader';
import { I } from './strings';
import { adoptStyles } from './styles';
import { LensTable } from './table';
import { Tabs } from './tabs';

/** One of so many layers is looked at. */
const STEPS = [1, 2, 4];

export function startInspect(host: ChatHost, root: HTMLElement): void {
  adoptLanguage();
  adoptStyles();
  adoptAccent(host.site);
  setTheme(host.preferences.theme);

  let state: LookState = { kind: 'idle' };
  let reading: ReadState = { kind: 'idle' };
  let step = 1;
  const model = new Model(host, draw, (notice) => announce(say(notice)));
  model.choice = keptChoice(host);
  const opening = new OpeningView({ open, halt: () => model.halt(), guard: () => model.guard });
  const table = new LensTable();
  const looker = new Looker(
    (now) => {
      state = now;
      drawStatus();
      if (now.kind === 'done') announce(status.textContent ?? '');
    },
    (tokens) => table.add(tokens),
  );

  // ---- the parts

  const choices = h('select', { class: 'choice', 'aria-label': I.model, onchange: choose });
  const theme = iconButton(icon('moon'), S.toDark, switchTheme, { class: 'bare icon-only' });
  const text = h('textarea', { id: 'inspect-text', rows: 3, dir: 'auto', oninput: noteUnsaved });
  text.value = I.sample;
  const steps = select(
    'inspect-step',
    STEPS.map((n): [string, string] => [String(n), n === 1 ? I.all : I.nth(count(n))]),
    '1',
    (value) => {
      step = Number(value);
    },
  );
  steps.setAttribute('aria-label', I.every);
  const press = button(I.look, lookOrStop, { class: 'primary' });
  const status = h('p', { class: 'inspect-status' });
  const features = new FeaturesView(
    (now) => {
      reading = now;
      drawStatus();
      if (now.kind === 'done') announce(status.textContent ?? '');
    },
    () => text.value,
  );
  const layers = h('div', { class: 'lens-both' }, table.element, table.detail);
  const tabs = new Tabs(
    [
      { id: 'layers', label: I.byLayer, panel: layers },
      { id: 'features', label: I.byFeature, panel: features.element },
    ],
    drawTab,
  );
  const intro = h('p', { class: 'inspect-intro' });
  root.append(
    h(
      'div',
      { class: 'app inspect' },
      h(
        'header',
        { class: 'top' },
        h('h1', { class: 'offscreen' }, host.site.headline ?? I.title),
        h('div', { class: 'which' }, siteMark(host.site), choices),
        h('div', { class: 'tools' }, theme),
      ),
      h('div', { class: 'notes' }, opening.element),
      h(
        'main',
        { class: 'inside' },
        tabs.element,
        intro,
        h('label', { for: 'inspect-text', class: 'inspect-label' }, I.text),
        text,
        h('div', { class: 'inspect-line' }, press, steps, status),
        layers,
        features.element,
      ),
      h('footer', { class: 'inspect-bottom' }, S.statement),
    ),
    liveRegion(),
  );

  listenToDrops(
    () => model.slm !== null,
    ([file]) => {
      tabs.show('features');
      if (file !== undefined) features.take(file);
    },
  );
  onThemeChange(drawTheme);
  onComeback(() => void model.look());
  drawTheme();
  drawTab();
  draw();
  text.focus();
  const first = beginning(host.models, thisLine(), host.guard);
  if (first?.kind === 'open') open(first.entry);
  else if (first?.kind === 'halted') model.resumable(first.entry);
  else if (first?.kind === 'ask') model.ask(first.entry, first.reason);

  // ---- what the person does

  function open(entry: ModelEntry, force = false): void {
    looker.stop();
    table.clear();
    state = { kind: 'idle' };
    void model.open(entry, force);
  }

  function choose(): void {
    const entry = model.models.find(({ name }) => name === choices.value);
    if (entry !== undefined) open(entry);
  }

  function lookOrStop(): void {
    const { slm } = model;
    if (tabs.chosen === 'features') {
      if (features.busy) features.stop();
      else void features.look();
    } else if (looker.busy) looker.stop();
    else if (slm !== null && text.value !== '') {
      table.clear();
      void looker.look(slm, text.value, chosenLayers(slm.info.n_layer, step));
    }
    drawStatus();
  }

  function switchTheme(): void {
    host.keep({ ...host.preferences, theme: toggleTheme() });
    drawTheme();
  }

  function noteUnsaved(): void {
    host.setUnsaved(text.value.trim() !== '' && text.value !== I.sample);
    drawStatus();
  }

  // ---- what is seen

  function drawTab(): void {
    steps.hidden = tabs.chosen === 'features';
    setText(intro, host.site.intro ?? (steps.hidden ? I.introFeatures : I.intro));
    drawStatus();
  }

  function draw(): void {
    opening.update(model.state);
    features.of(model.slm);
    const { entry } = model;
    const none = entry === null ? [h('option', { value: '' }, I.toChoose)] : [];
    choices.replaceChildren(
      ...none,
      ...model.models.map(({ name, title }) => h('option', { value: name }, title)),
    );
    choices.value = entry?.name ?? '';
    drawStatus();
  }

  function drawStatus(): void {
    const { slm } = model;
    const ofFeatures = tabs.chosen === 'features';
    const { busy } = ofFeatures ? features : looker;
    press.disabled = slm === null || text.value === '' || (ofFeatures && !features.possible);
    setText(press, busy ? I.stop : I.look);
    press.classList.toggle('primary', !busy);
    setText(status, slm === null ? I.closed : sentenceOf(ofFeatures ? reading : state));
  }

  function drawTheme(): void {
    const dark = isDark();
    const label = dark ? S.toLight : S.toDark;
    theme.replaceChildren(icon(dark ? 'sun' : 'moon'), h('span', { class: 'label' }, label));
    theme.title = label;
  }
}

function sentenceOf(state: LookState | ReadState): string {
  switch (state.kind) {
    case 'idle':
      return I.ready;
    case 'looking':
      return I.looking(count(state.done), count(state.all));
    case 'reading':
      return I.reading;
    case 'writing':
      return I.writing;
    case 'done':
      return 'layers' in state
        ? I.done(count(state.tokens), count(state.layers))
        : I.doneTokens(count(state.tokens));
    case 'stopped':
      return I.stopped;
    case 'failed':
      return `${I.failed}: ${describeError(state.error, false).sentence}`;
  }
}
