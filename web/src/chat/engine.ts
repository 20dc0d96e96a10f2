// Draws what the settings say of the engine: where it computes, how long its
// context is, how many threads it has, which take effect with a reload because they
// reshape its memory; and where it computes now, with the proof of it.

import type { Backend } from '../api/backend';
import type { ModelInfo } from '../api/types';
import { BACKENDS, CONTEXT_LENGTHS, MAX_THREADS } from '../seal/preferences';
import { choiceRow, select } from './controls';
import { button, h } from './dom';
import { count } from './format';
import type { EngineChoice } from './model';
import { factList, placeFacts, whyHere } from './place';
import { S } from './strings';

export interface EngineSource {
  readonly choice: EngineChoice;
  readonly reload: (choice: EngineChoice) => void;
  /** Opens the measurement of this device. */
  readonly howFast: () => void;
}

export function drawEngine({ choice: now, reload, howFast }: EngineSource, info: ModelInfo): HTMLElement[] {
  const choice = { ...now };
  const apply = button(S.applyReload, () => reload(choice), { class: 'primary', disabled: true });
  const changed = () => {
    apply.disabled = false;
  };
  const engine = h(
    'section',
    { 'aria-labelledby': 'engine-title' },
    h('div', { class: 'section-head' }, h('h3', { id: 'engine-title' }, S.engine)),
    backendRow(choice, changed),
    contextRow(choice, info, changed),
    threadsRow(choice, changed),
    apply,
  );
  const place = h(
    'section',
    { 'aria-labelledby': 'place-title' },
    h('h3', { id: 'place-title' }, S.place),
    h('p', { class: 'hint' }, whyHere(info)),
    factList(placeFacts(info)),
    button(S.howFast, howFast, { class: 'wide', 'data-action': 'how-fast' }),
  );
  return [engine, place];
}

interface Choice {
  n_ctx?: number;
  threads?: number;
  backend?: 'auto' | Backend;
}

function backendRow(choice: Choice, changed: () => void): HTMLElement {
  const names = { webgpu: S.chip, cpu: S.processor };
  const options: [string, string][] = [
    ['auto', S.auto],
    ...BACKENDS.map((one): [string, string] => [one, names[one]]),
  ];
  const field = select('set-backend', options, choice.backend ?? 'auto', (value) => {
    choice.backend = value as 'auto' | Backend;
    changed();
  });
  return choiceRow(S.computeOn, field, S.computeHint);
}

function contextRow(choice: Choice, info: ModelInfo, changed: () => void): HTMLElement {
  const lengths: number[] = CONTEXT_LENGTHS.filter((n) => n <= info.n_ctx_train);
  if (!lengths.includes(info.n_ctx)) lengths.push(info.n_ctx);
  lengths.sort((a, b) => a - b);
  const options = lengths.map((n): [string, string] => [String(n), count(n)]);
  const field = select('set-n-ctx', options, String(info.n_ctx), (value) => {
    choice.n_ctx = Number(value);
    changed();
  });
  return choiceRow(S.contextLength, field, S.contextHint);
}

function threadsRow(choice: Choice, changed: () => void): HTMLElement {
  const cores = Math.min(MAX_THREADS, navigator.hardwareConcurrency);
  const counts = Array.from({ length: crossOriginIsolated ? cores : 1 }, (_, i) => String(i + 1));
  const options: [string, string][] = [['', S.auto], ...counts.map((n): [string, string] => [n, n])];
  const field = select('set-threads', options, String(choice.threads ?? ''), (value) => {
    if (value === '') delete choice.threads;
    else choice.threads = Number(value);
    changed();
  });
  field.disabled = !crossOriginIsolated;
  return choiceRow(S.threadsLabel, field, crossOriginIsolated ? S.threadsHint : S.threadsOne);
}
