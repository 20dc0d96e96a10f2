// The choices that a person can make, their ranges and their defaults, and how
// they become the parameters of a request. No DOM here; settings.ts draws them.

import type { AdapterInfo, AdapterUse, ModelInfo, SamplingParams } from '../api/types';
import { GRIDS, SAMPLING_NAMES, type SamplingName } from '../seal/preferences';
import { S } from './strings';

export interface Settings {
  systemPrompt: string;
  temperature: number;
  top_p: number;
  top_k: number;
  min_p: number;
  repeat_penalty: number;
  max_tokens: number;
  /** null: a new one for each answer. */
  seed: number | null;
  dropOldest: boolean;
  /** The adapter that answers, by name; null: the model alone. */
  domain: string | null;
  /** How strongly it acts. */
  strength: number;
}

export type SliderName = SamplingName | 'strength';

export interface Slider {
  readonly name: SliderName;
  readonly label: string;
  readonly hint: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
}

/** The sliders of a model whose context holds n_ctx tokens. */
export function sliders(n_ctx: number): readonly Slider[] {
  return SAMPLING_NAMES.map((name) => {
    const { min, max, step } = GRIDS[name];
    return slider(name, min, name === 'max_tokens' ? Math.max(n_ctx, 2 * step) : max, step);
  });
}

export const STRENGTH: Slider = slider('strength', 0, 2, 0.05);

function slider(name: SliderName, min: number, max: number, step: number): Slider {
  return { name, ...S.sliders[name], min, max, step };
}

/** What applies where the model's manifest says nothing: the core's own defaults, but for
 *  a mild penalty and an end to long answers, since small models tend to go in circles. */
const DEFAULTS = {
  temperature: 0.8,
  top_p: 0.95,
  top_k: 40,
  min_p: 0.05,
  repeat_penalty: 1.1,
  max_tokens: 1024,
} as const;

export function defaultSampling(info: ModelInfo | null): Pick<Settings, SamplingName | 'seed'> {
  const max_tokens = Math.min(DEFAULTS.max_tokens, info?.n_ctx ?? Infinity);
  return { ...DEFAULTS, ...info?.sampling, max_tokens, seed: null };
}

export function defaultSettings(): Settings {
  return { systemPrompt: '', dropOldest: false, ...NO_DOMAIN, ...defaultSampling(null) };
}

/** The model alone, and what a domain begins with. */
export const NO_DOMAIN = { domain: null, strength: 1 } as const;

/** The domain that is chosen, if the model has it. */
export function domainOf(settings: Settings, adapters: readonly AdapterInfo[]): AdapterInfo | null {
  return adapters.find(({ name }) => name === settings.domain) ?? null;
}

/** The adapters of a request; a model without any is asked as before. */
export function toAdapters(
  settings: Settings,
  adapters: readonly AdapterInfo[],
): { readonly adapters?: readonly AdapterUse[] } {
  if (adapters.length === 0) return {};
  const domain = domainOf(settings, adapters);
  return { adapters: domain === null ? [] : [{ name: domain.name, scale: settings.strength }] };
}

/** The nearest value that a slider allows; NaN becomes its least. */
export function clamp(value: number, { min, max }: Pick<Slider, 'min' | 'max'>): number {
  return Math.min(max, Math.max(min, Number.isNaN(value) ? min : value));
}

/** A seed that people can read out to one another. */
export function newSeed(): number {
  return Math.floor(Math.random() * 1e6);
}

export function toParams(settings: Settings, seed: number): SamplingParams {
  const { temperature, top_p, top_k, min_p, repeat_penalty, max_tokens } = settings;
  return { temperature, top_p, top_k, min_p, repeat_penalty, max_tokens, seed };
}
