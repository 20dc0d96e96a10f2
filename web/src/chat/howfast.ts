// Draws the measurement of this device: what it does, how far it is, what it found,
// and the button that copies that. Measuring and reckoning are others' business.

import { copyButton } from './copy';
import { button, h } from './dom';
import { describeError } from './errors';
import { failureBox } from './failure';
import { count } from './format';
import { type Measurement, type MeasureState, READ, type Report, WRITTEN } from './measurement';
import { preparing, shareOf } from './opening';
import { factList } from './place';
import { conclusions, deviceFacts, tableOf, textOf } from './report';
import { S } from './strings';

export interface HowFastSource {
  readonly measurement: Measurement;
  /** A model is open and answers nothing now. */
  readonly possible: boolean;
}

export function drawHowFast({ measurement, possible }: HowFastSource): HTMLElement[] {
  const { state } = measurement;
  const note = h('p', {}, S.howFastNote(count(READ), count(WRITTEN)));
  if (state.kind === 'running') return [h('section', {}, note), running(state, measurement)];
  const again = state.kind === 'idle' ? S.measure : S.measureAgain;
  const start = button(again, () => void measurement.start(), {
    class: 'primary',
    disabled: !possible,
    'data-action': 'measure',
  });
  const begin = h('section', {}, note, possible ? null : h('p', { class: 'hint' }, S.howFastClosed), start);
  if (state.kind === 'done') return [begin, result(state.report)];
  if (state.kind === 'failed') return [begin, failureBox(describeError(state.error, false))];
  return [begin];
}

function running(
  { step, progress }: Extract<MeasureState, { kind: 'running' }>,
  measurement: Measurement,
): HTMLElement {
  const share = progress === null ? null : shareOf(progress);
  const bar = h('div', {
    class: share === null ? 'bar is-vague' : 'bar',
    role: 'progressbar',
    'aria-label': S.measuring[step],
    ...(share === null
      ? {}
      : { 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-valuenow': Math.round(100 * share) }),
  });
  bar.style.setProperty('--done', String(share ?? 0));
  const pipelines = progress?.pipelines;
  const detail = pipelines && pipelines.done < pipelines.total ? preparing(pipelines) : '\u00a0';
  return h(
    'section',
    { class: 'measuring' },
    h('p', {}, S.measuring[step]),
    bar,
    h('p', { class: 'hint' }, detail),
    button(S.stop, () => measurement.stop(), { 'data-action': 'measure' }),
  );
}

function result(report: Report): HTMLElement {
  const { head, rows } = tableOf(report);
  const { title } = report.info;
  const table = h(
    'table',
    { class: 'rates' },
    h('caption', {}, title),
    h('thead', {}, h('tr', {}, h('td', {}), ...head.map((name) => h('th', { scope: 'col' }, name)))),
    h(
      'tbody',
      {},
      ...rows.map(({ label, cells }) =>
        h('tr', {}, h('th', { scope: 'row' }, label), ...cells.map((cell) => h('td', {}, cell))),
      ),
    ),
  );
  return h(
    'section',
    { class: 'measured' },
    table,
    factList(deviceFacts(report)),
    ...conclusions(report).map((sentence) => h('p', {}, sentence)),
    copyButton(S.copyResult, () => textOf(report), { class: '', 'data-action': 'copy-result' }),
  );
}
