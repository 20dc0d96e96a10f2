// What survives a reload of the page: a few choices, and what the graphics chip was
// found to be fastest with, each one of a short list. The frame has no storage, so
// the shell keeps them for it; and because the frame may have been taken over by what
// a model wrote, a value that is not in its list is no choice at all. Nothing that a
// person types can be spelled in it.

import type { Backend } from '../api/backend';
import { FORMS, type Form } from '../generated/gpu';

export const CONTEXT_LENGTHS = [512, 1024, 2048, 4096, 8192, 16384, 32768] as const;
export const MAX_THREADS = 8;
/** Where the model computes, if not where it is best. */
export const BACKENDS = ['webgpu', 'cpu'] as const satisfies readonly Backend[];

/** The sliders' grids: value = i * step, from min to max. */
export const GRIDS = {
  temperature: { min: 0, max: 2, step: 0.05 },
  top_p: { min: 0.05, max: 1, step: 0.01 },
  top_k: { min: 0, max: 200, step: 1 },
  min_p: { min: 0, max: 0.5, step: 0.01 },
  repeat_penalty: { min: 1, max: 2, step: 0.01 },
  max_tokens: { min: 32, max: 32768, step: 32 },
} as const;

export type SamplingName = keyof typeof GRIDS;

export interface Preferences {
  /** null follows the system. */
  readonly theme: 'dark' | 'light' | null;
  /** null is the model's own. */
  readonly n_ctx: number | null;
  /** null leaves it to the engine. */
  readonly threads: number | null;
  /** null leaves it to the engine. */
  readonly backend: Backend | null;
  /** The form of the products that the graphics chip was last found to be fastest with; null: none was. */
  readonly matvec: Form | null;
  readonly drop_oldest: boolean;
  /** The model that the sampling below was chosen for; null where none was. */
  readonly model: string | null;
  readonly temperature: number | null;
  readonly top_p: number | null;
  readonly top_k: number | null;
  readonly min_p: number | null;
  readonly repeat_penalty: number | null;
  readonly max_tokens: number | null;
}

export const NO_PREFERENCES: Preferences = {
  theme: null,
  n_ctx: null,
  threads: null,
  backend: null,
  matvec: null,
  drop_oldest: false,
  model: null,
  temperature: null,
  top_p: null,
  top_k: null,
  min_p: null,
  repeat_penalty: null,
  max_tokens: null,
};

export const SAMPLING_NAMES = Object.keys(GRIDS) as SamplingName[];

/** The value of the grid that is nearest. */
export function onGrid(name: SamplingName, value: number): number {
  const { min, max, step } = GRIDS[name];
  return at(step, Math.round(Math.min(max, Math.max(min, value)) / step));
}

/** `value` itself if it is made of listed values and nothing else; null otherwise. `models`: the names
 *  that the shell knows. */
export function readPreferences(value: unknown, models: ReadonlySet<string>): Preferences | null {
  if (typeof value !== 'object' || value === null) return null;
  const found = value as Record<string, unknown>;
  const names = Object.keys(NO_PREFERENCES);
  if (Object.keys(found).length !== names.length || !names.every((name) => Object.hasOwn(found, name)))
    return null;
  const { theme, n_ctx, threads, backend, matvec, drop_oldest, model } = found;
  const lists: readonly (readonly [unknown, readonly unknown[]])[] = [
    [theme, [null, 'dark', 'light']],
    [n_ctx, [null, ...CONTEXT_LENGTHS]],
    [threads, [null, ...Array.from({ length: MAX_THREADS }, (_, i) => i + 1)]],
    [backend, [null, ...BACKENDS]],
    [matvec, [null, ...FORMS]],
    [drop_oldest, [true, false]],
    [model, [null, ...models]],
  ];
  if (!lists.every(([one, allowed]) => allowed.includes(one))) return null;
  for (const name of SAMPLING_NAMES) {
    const one = found[name];
    if (one !== null && !(typeof one === 'number' && Number.isFinite(one) && onGrid(name, one) === one))
      return null;
  }
  return value as Preferences;
}

/** One way to write each value, so that there are as many of them as the grid has points. */
function at(step: number, i: number): number {
  return Number((i * step).toFixed(2));
}
