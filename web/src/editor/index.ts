// The editor page inside the sandboxed frame: code, a model, and its suggestions. This
// file puts the parts together. As the chat it talks to a ChatHost alone; what opens
// models and says how far they are is the chat's.

import { announce, liveRegion } from '../chat/announce';
import { beginning, thisLine } from '../chat/begin';
import { onComeback } from '../chat/comeback';
import { select } from '../chat/controls';
import { h, iconButton, setText } from '../chat/dom';
import { describeError } from '../chat/errors';
import { count, speed } from '../chat/format';
import { icon } from '../chat/icons';
import { adoptLanguage } from '../chat/language';
import { keptChoice, Model } from '../chat/model';
import { say } from '../chat/notice';
import { OpeningView } from '../chat/opening';
import { adoptAccent, siteMark } from '../chat/site';
import { S } from '../chat/strings';
import { isDark, onThemeChange, setTheme, toggleTheme } from '../chat/theme';
import type { ChatHost, ModelEntry } from '../seal/protocol';
import { Code, type CodeLanguage, LANGUAGES } from './code';
import { Completer, type CompleterState } from './completer';
import { SAMPLES } from './samples';
import { E } from './strings';
import { adoptStyles } from './styles';

export function startEditor(host: ChatHost, root: HTMLElement): void {
  adoptLanguage();
  adoptStyles();
  adoptAccent(host.site);
  setTheme(host.preferences.theme);

  let language: CodeLanguage = 'python';
  let state: CompleterState = { kind: 'idle' };
  const model = new Model(host, draw, (notice) => announce(say(notice)));
  model.choice = keptChoice(host);
  const opening = new OpeningView({ open, halt: () => model.halt(), guard: () => model.guard });
  const completer = new Completer(
    () => model.slm,
    (now) => {
      state = now;
      if (now.kind === 'suggested' && now.text !== '') announce(E.announced(now.text));
      drawStatus();
    },
  );

  // ---- the parts

  const choices = h('select', { class: 'choice', 'aria-label': E.model, onchange: choose });
  const languages = select(
    'code-language',
    LANGUAGES.map((one): [string, string] => [one, E.languages[one]]),
    language,
    speak,
  );
  languages.setAttribute('aria-label', E.language);
  const theme = iconButton(icon('moon'), S.toDark, switchTheme, { class: 'bare icon-only' });
  const plain = h('p', { class: 'plain-note', hidden: true }, E.plain);
  const place = h('main', { class: 'code', dir: 'ltr' });
  const status = h('p', { class: 'editor-status' });
  const rate = h('p', { class: 'editor-rate' });
  root.append(
    h(
      'div',
      { class: 'app editor' },
      h(
        'header',
        { class: 'top' },
        h('h1', { class: 'offscreen' }, host.site.headline ?? E.title),
        h('div', { class: 'which' }, siteMark(host.site), choices),
        h('div', { class: 'tools' }, languages, theme),
      ),
      h('div', { class: 'notes' }, opening.element, plain),
      place,
      h(
        'footer',
        { class: 'editor-bottom' },
        h('div', { class: 'editor-line' }, status, rate),
        h('p', { class: 'editor-help', id: 'editor-help' }, E.help),
        h('p', { class: 'editor-help' }, S.statement),
      ),
    ),
    liveRegion(),
  );
  const code = new Code(
    place,
    E.editor,
    { 'Selection deleted': E.deleted },
    SAMPLES[language],
    language,
    completer.extension,
  );
  code.onChange = noteUnsaved;
  code.view.contentDOM.setAttribute('aria-describedby', 'editor-help');

  onThemeChange(drawTheme);
  onComeback(() => void model.look());
  drawTheme();
  draw();
  code.view.focus();
  const first = beginning(host.models, thisLine(), host.guard);
  if (first?.kind === 'open') open(first.entry);
  else if (first?.kind === 'halted') model.resumable(first.entry);
  else if (first?.kind === 'ask') model.ask(first.entry, first.reason);

  // ---- what the person does

  function open(entry: ModelEntry, force = false): void {
    completer.stop();
    void model.open(entry, force);
  }

  function choose(): void {
    const entry = model.models.find(({ name }) => name === choices.value);
    if (entry !== undefined) open(entry);
  }

  /** Another sample comes with the language, as long as nothing has been written. */
  function speak(value: string): void {
    const untouched = code.text === SAMPLES[language];
    language = value as CodeLanguage;
    code.speak(language);
    if (untouched) code.replace(SAMPLES[language]);
    code.view.focus();
  }

  function switchTheme(): void {
    host.keep({ ...host.preferences, theme: toggleTheme() });
    drawTheme();
  }

  function noteUnsaved(): void {
    host.setUnsaved(code.text.trim() !== '' && code.text !== SAMPLES[language]);
  }

  // ---- what is seen

  function draw(): void {
    opening.update(model.state);
    const { entry } = model;
    const none = entry === null ? [h('option', { value: '' }, E.toChoose)] : [];
    choices.replaceChildren(
      ...none,
      ...model.models.map(({ name, title }) => h('option', { value: name }, title)),
    );
    choices.value = entry?.name ?? '';
    plain.hidden = model.slm === null || model.slm.info.has_fim;
    drawStatus();
  }

  function drawStatus(): void {
    setText(status, model.slm === null ? E.closed : sentenceOf(state));
    const { kind } = state;
    const parts: string[] = [];
    if (kind === 'suggested') {
      if (state.dropped > 0) parts.push(E.dropped(count(state.dropped)));
      if (state.rate > 0) parts.push(S.perSecond(speed(state.rate)));
    }
    setText(rate, parts.join(' · '));
  }

  function drawTheme(): void {
    const dark = isDark();
    const label = dark ? S.toLight : S.toDark;
    theme.replaceChildren(icon(dark ? 'sun' : 'moon'), h('span', { class: 'label' }, label));
    theme.title = label;
  }
}

function sentenceOf(state: CompleterState): string {
  switch (state.kind) {
    case 'idle':
      return E.ready;
    case 'asking':
      return E.asking;
    case 'suggested':
      return state.text === '' ? E.nothing : E.suggested;
    case 'failed':
      return `${E.failed}: ${describeError(state.error, false).sentence}`;
  }
}
