// The models of the site as a list to choose from: what each is good for, what it
// takes, and what of it is on this device, which can be removed, the open one and
// half a download too, once that has been asked. It draws entries and decides
// nothing.

import type { ModelEntry } from '../seal/protocol';
import type { Confirm } from './confirm';
import { button, h } from './dom';
import { bytes, parameters } from './format';
import { S } from './strings';

export interface PickerSource {
  readonly models: readonly ModelEntry[];
  /** It is not talked to, but it can be removed. */
  readonly guard: ModelEntry | null;
  /** The one that is open or being opened. */
  readonly current: ModelEntry | null;
  readonly open: (entry: ModelEntry) => void;
  readonly remove: (entry: ModelEntry) => void;
  readonly confirm: Confirm;
}

export function drawPicker(source: PickerSource): HTMLElement[] {
  const { guard } = source;
  const models = guard === null ? source.models : [...source.models, guard];
  const kept = models.reduce((sum, entry) => sum + entry.kept, 0);
  return [
    h('ul', { class: 'models' }, ...models.map((entry) => line(entry, source))),
    ...(kept > 0 ? [h('p', { class: 'hint total' }, S.keptInAll(bytes(kept)))] : []),
  ];
}

function line(entry: ModelEntry, { current, guard, open, remove, confirm }: PickerSource): HTMLElement {
  const isOpen = entry.name === current?.name;
  return h(
    'li',
    {},
    h('span', { dir: 'auto' }, entry.title),
    h('span', { class: 'detail' }, where(entry, isOpen)),
    goodFor(entry, guard),
    // Isolated, each: marks between figures of two scripts would go astray.
    h(
      'span',
      { class: 'size' },
      h('bdi', {}, parameters(entry.parameters)),
      ' · ',
      h('bdi', {}, bytes(entry.size)),
    ),
    h(
      'span',
      { class: 'model-actions' },
      isOpen || entry === guard
        ? null
        : button(entry.stored ? S.open : S.download(bytes(entry.size)), () => open(entry), {
            class: 'quiet',
            'data-action': `open ${entry.name}`,
          }),
      entry.kept > 0
        ? confirm.button({
            key: `remove ${entry.name}`,
            label: S.removeStored,
            name: S.removeNamed(entry.title, bytes(entry.kept)),
            subject: entry.title,
            question: S.removeSure(bytes(entry.kept)),
            run: () => remove(entry),
          })
        : null,
    ),
  );
}

function goodFor(entry: ModelEntry, guard: ModelEntry | null): HTMLElement | null {
  const words = entry === guard ? S.guardsHere : entry.good_for;
  return words === null ? null : h('span', { class: 'good-for' }, words);
}

function where(entry: ModelEntry, isOpen: boolean): string {
  if (isOpen) return S.isOpen;
  if (entry.stored) return S.keptSize(bytes(entry.kept));
  return entry.kept > 0 ? S.keptPartly(bytes(entry.kept)) : S.notHere;
}
