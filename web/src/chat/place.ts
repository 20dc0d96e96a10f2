// Where the model computes, as facts and sentences: the device, its memory, the
// forms of its kernels, and each check with its figures. Drawn from what the engine
// reports; it decides nothing.

import type { Check } from '../api/backend';
import type { ModelInfo } from '../api/types';
import { nameOf } from '../gpu/device';
import { h } from './dom';
import { bytes, deviation, duration } from './format';
import { sayAll } from './notice';
import { S } from './strings';

export type Fact = readonly [label: string, value: string | Node | null];

export function factList(facts: readonly Fact[], cls = ''): HTMLElement {
  const rows = facts.flatMap(([label, value]) =>
    value === null ? [] : [h('div', {}, h('dt', {}, label), h('dd', {}, value))],
  );
  return h('dl', { class: `facts ${cls}`.trim() }, ...rows);
}

/** Why it computes where it does; of the processor's threads, where they compute. */
export function whyHere({ backend, backend_notices, variant_notices }: ModelInfo): string {
  return sayAll(backend === 'webgpu' ? backend_notices : [...backend_notices, ...variant_notices]);
}

/** What there is to say of the graphics chip and the checks; nothing on the processor where none were made. */
export function placeFacts({ gpu, checks }: ModelInfo): Fact[] {
  const made = checks.filter(({ state }) => state !== 'absent' || gpu !== null);
  const proof: Fact[] = made.map((check) => [S.checks[check.name], checkFact(check)]);
  if (gpu === null) return proof;
  const forms = Object.entries(gpu.kernels).map(([operation, form]) => `${operation} ${form}`);
  const kernels = [...forms, ...gpu.features].join(', ');
  return [
    [S.chip, nameOf(gpu.adapter)],
    [S.chipMemory, bytes(gpu.memory_bytes)],
    [S.chipPrepared, duration(gpu.compile_ms / 1000)],
    [S.kernel, kernels === '' ? null : h('code', {}, kernels)],
    ...proof,
  ];
}

function checkFact(check: Check): HTMLElement {
  const note = check.state === 'absent' ? S.unchecked : S.checkNotes[check.name];
  return h('span', {}, checkResult(check), h('span', { class: 'why' }, note));
}

/** "right (off by 0.0001%, at most 0.1% is allowed)". */
function checkResult({ state, error, bound }: Check): string {
  const figures = error === null || bound === null ? '' : S.checkFigures(deviation(error), deviation(bound));
  return figures === '' ? S.checkStates[state] : `${S.checkStates[state]} (${figures})`;
}
