// Draws the choices: the domain where the model has any, system prompt and
// sampling, which take effect with the next answer; engine.ts draws the engine's.

import type { AdapterInfo, ModelInfo } from '../api/types';
import { hint, select } from './controls';
import { button, h } from './dom';
import { drawEngine, type EngineSource } from './engine';
import { readNumber } from './number';
import { clamp, domainOf, type Settings, type Slider, STRENGTH, sliders } from './sampling';
import { S } from './strings';

export interface SettingsSource extends EngineSource {
  readonly settings: Settings;
  readonly info: ModelInfo | null;
  readonly adapters: readonly AdapterInfo[];
  readonly lastSeed: number | null;
  readonly reset: () => void;
  readonly redraw: () => void;
  /** Another domain is chosen. */
  readonly onDomain: () => void;
}

export function drawSettings(source: SettingsSource): (Node | null)[] {
  const { settings, info } = source;
  const reset = button(
    S.reset,
    () => {
      source.reset();
      source.redraw();
    },
    { class: 'quiet' },
  );
  return [
    source.adapters.length === 0 ? null : domains(source),
    systemPrompt(settings),
    h(
      'section',
      { 'aria-labelledby': 'sampling-title' },
      h('div', { class: 'section-head' }, h('h3', { id: 'sampling-title' }, S.sampling), reset),
      ...sliders(info?.n_ctx ?? 2048).map((slider) => sliderRow(slider, settings)),
      seedRow(source),
    ),
    overflowRow(settings),
    ...(info === null ? [] : drawEngine(source, info)),
  ];
}

function domains({ settings, adapters, onDomain }: SettingsSource): HTMLElement {
  const strength = sliderRow(STRENGTH, settings);
  const current = domainOf(settings, adapters)?.name ?? '';
  const options = adapters.map(({ name, title }): [string, string] => [name, title]);
  const choice = select('set-domain', [['', S.domainNone], ...options], current, (value) => {
    settings.domain = value === '' ? null : value;
    strength.hidden = value === '';
    onDomain();
  });
  choice.setAttribute('aria-describedby', 'hint-domain');
  strength.hidden = current === '';
  return h(
    'section',
    { class: 'domains' },
    h('label', { for: choice.id, class: 'h3' }, S.domain),
    choice,
    hint('hint-domain', S.domainHint),
    strength,
  );
}

function systemPrompt(settings: Settings): HTMLElement {
  const field = h('textarea', {
    id: 'system-prompt',
    rows: 4,
    dir: 'auto',
    'aria-describedby': 'system-hint',
    oninput: () => (settings.systemPrompt = field.value),
  });
  field.value = settings.systemPrompt;
  return h(
    'section',
    {},
    h('label', { for: field.id, class: 'h3' }, S.systemPrompt),
    field,
    hint('system-hint', S.systemHint),
  );
}

function sliderRow(slider: Slider, settings: Settings): HTMLElement {
  const { name, min, max, step } = slider;
  const range = h('input', {
    type: 'range',
    id: `set-${name}`,
    min,
    max,
    step,
    'aria-describedby': `hint-${name}`,
  });
  const exact = numberField(
    slider.label,
    slider,
    () => settings[name],
    (value) => {
      if (value !== null) settings[name] = value;
      show();
    },
  );
  const show = (): void => {
    const value = clamp(settings[name], slider);
    range.value = exact.value = String(value);
    exact.setAttribute('aria-valuenow', String(value));
  };
  range.addEventListener('input', () => {
    settings[name] = Number(range.value);
    show();
  });
  show();
  return h(
    'div',
    { class: 'row' },
    h('label', { for: range.id }, slider.label),
    exact,
    range,
    hint(`hint-${name}`, slider.hint),
  );
}

function seedRow({ settings, lastSeed, redraw }: SettingsSource): HTMLElement {
  const range = { min: 0, max: Number.MAX_SAFE_INTEGER, step: 1 };
  const show = (): void => {
    field.value = settings.seed === null ? '' : String(settings.seed);
  };
  const field = numberField(
    S.seedLabel,
    range,
    () => settings.seed ?? 0,
    (value) => {
      // Here an emptied field says something: any seed.
      if (value !== null) settings.seed = value;
      else if (field.value.trim() === '') settings.seed = null;
      show();
    },
  );
  field.id = 'set-seed';
  field.placeholder = S.seedAny;
  field.setAttribute('aria-describedby', 'hint-seed');
  show();
  const keep =
    lastSeed === null || lastSeed === settings.seed
      ? null
      : button(
          S.keepSeed(lastSeed),
          () => {
            settings.seed = lastSeed;
            redraw();
          },
          { class: 'quiet' },
        );
  return h(
    'div',
    { class: 'row' },
    h('label', { for: field.id }, S.seedLabel),
    field,
    hint('hint-seed', S.seedHint),
    keep,
  );
}

function overflowRow(settings: Settings): HTMLElement {
  const box = h('input', {
    type: 'checkbox',
    id: 'set-overflow',
    'aria-describedby': 'hint-overflow',
    onchange: () => (settings.dropOldest = box.checked),
  });
  box.checked = settings.dropOldest;
  return h(
    'section',
    {},
    h('div', { class: 'check' }, box, h('label', { for: box.id }, S.overflowLabel)),
    hint('hint-overflow', S.overflowHint),
  );
}

/** A field for one number, taken when it is left or Enter is pressed: null for what is no number, else
 *  the nearest that the range allows. The arrow keys take a step. */
function numberField(
  label: string,
  range: Pick<Slider, 'min' | 'max' | 'step'>,
  now: () => number,
  take: (value: number | null) => void,
): HTMLInputElement {
  const { min, max, step } = range;
  const read = (): number | null => {
    const value = readNumber(field.value);
    return value === null ? null : clamp(Number.isInteger(step) ? Math.round(value) : value, range);
  };
  const field = h('input', {
    type: 'text',
    class: 'number',
    role: 'spinbutton',
    inputmode: Number.isInteger(step) ? 'numeric' : 'decimal',
    autocomplete: 'off',
    'aria-label': label,
    'aria-valuemin': min,
    'aria-valuemax': max,
    onchange: () => take(read()),
    onkeydown: (event: KeyboardEvent) => {
      const direction = event.key === 'ArrowUp' ? 1 : event.key === 'ArrowDown' ? -1 : 0;
      if (direction === 0) return;
      event.preventDefault();
      const steps = Math.round((read() ?? now()) / step) + direction;
      take(clamp(Number((steps * step).toFixed(2)), range));
    },
  });
  return field;
}
