// The model card: what the model is and under which licence, how it runs on this
// machine and why so, what runs where, and the site's other models. Facts only,
// as the engine and the shell report them.

import type { ModelInfo } from '../api/types';
import { nameOf } from '../gpu/device';
import type { ModelEntry, Site } from '../seal/protocol';
import type { Confirm } from './confirm';
import { copyButton } from './copy';
import { button, h } from './dom';
import { bytes, count, parameters } from './format';
import type { ModelState } from './model';
import { say } from './notice';
import { drawPicker } from './picker';
import { type Fact, factList, placeFacts, whyHere } from './place';
import { S } from './strings';

export interface CardSource {
  readonly site: Site;
  readonly state: ModelState;
  /** The model of `state`, as it is described now. */
  readonly entry: ModelEntry | null;
  readonly models: readonly ModelEntry[];
  readonly guard: ModelEntry | null;
  readonly open: (entry: ModelEntry) => void;
  readonly remove: (entry: ModelEntry) => void;
  readonly update: () => void;
  readonly goBack: () => void;
  readonly forget: (entry: ModelEntry) => void;
  readonly confirm: Confirm;
}

export function drawCard(source: CardSource): (Node | null)[] {
  const { state, entry, models, guard, open, remove, confirm } = source;
  const ready = state.kind === 'ready' ? state : null;
  return [
    entry === null ? null : section(S.model, factList(modelFacts(entry, ready?.slm.info ?? null))),
    entry === null ? null : versions(entry, source),
    ready === null ? null : section(S.here, factList(engineFacts(ready))),
    section(S.where, ...whereabouts(entry, ready?.slm.info ?? null, guard)),
    instructions(source.site),
    section(S.others, ...drawPicker({ models, guard, current: entry, open, remove, confirm })),
    section(
      S.keys,
      factList(
        S.keyList.map(([keys, action]): Fact => [action, keyboard(keys)]),
        'keys',
      ),
    ),
  ];
}

function modelFacts(entry: ModelEntry, info: ModelInfo | null): Fact[] {
  const licence = h('span', {}, entry.license ?? S.licenceUnknown);
  if (entry.license_url !== null) {
    const url = entry.license_url;
    licence.append(
      ' ',
      copyButton(url, () => url, { class: 'url', 'aria-label': S.copyUrl(url), title: S.linkNote }),
    );
  }
  const facts: Fact[] = [
    [S.name, entry.title],
    [S.versionFact, entry.version],
    [S.licence, licence],
    [S.source, entry.source],
    [S.parameters, parameters(entry.parameters)],
  ];
  if (info === null) return [...facts, [S.architecture, entry.architecture], [S.weights, bytes(entry.size)]];
  const types = Object.entries(info.types).sort(([, a], [, b]) => b - a);
  const weights = types.map(([type, size]) => `${type} ${bytes(size)}`).join(', ');
  return [
    ...facts,
    [S.architecture, `${info.architecture}, ${S.layers(count(info.n_layer), count(info.n_embd))}`],
    [S.weights, weights === '' ? bytes(entry.size) : weights],
    [S.trainedContext, S.tokensUnit(count(info.n_ctx_train))],
    [S.vocabulary, S.tokensUnit(count(info.n_vocab))],
    [S.picturesFact, info.vision === null ? null : S.seesPictures(count(info.vision.n_tokens))],
    [S.languages, info.languages.length === 0 ? null : info.languages.join(', ')],
  ];
}

function engineFacts({ slm, storage, room }: Extract<ModelState, { kind: 'ready' }>): Fact[] {
  const { info } = slm;
  const kept = storage.kind === 'opfs' ? S.storedOpfs : S.storedMemory;
  const why = whyHere(info);
  const context = h('span', {}, S.tokensUnit(count(info.n_ctx)));
  if (room.notice !== null) context.append(h('span', { class: 'why' }, say(room.notice)));
  return [
    [S.variant, h('span', {}, h('code', {}, info.variant), h('span', { class: 'why' }, why))],
    ...(info.gpu === null
      ? ([
          [S.threadsLabel, String(info.threads)],
          [S.kernel, h('code', {}, info.dot)],
        ] as const)
      : []),
    ...placeFacts(info),
    [S.context, context],
    [S.memoryLabel, bytes(slm.stats().memory_bytes)],
    [S.stored, storage.notice === null ? kept : say(storage.notice)],
  ];
}

function whereabouts(
  entry: ModelEntry | null,
  info: ModelInfo | null,
  guard: ModelEntry | null,
): HTMLElement[] {
  const sentences: string[] = [S.statement];
  if (entry !== null) sentences.push(S.whereModel(entry.title, bytes(entry.size)));
  if (info?.gpu) sentences.push(S.whereGpu(nameOf(info.gpu.adapter)));
  else if (info !== null) sentences.push(S.whereCompute(S.threadCount(info.threads)));
  if (guard !== null) sentences.push(S.whereGuard(guard.title));
  sentences.push(S.whereFrame, S.whereMemory);
  return sentences.map((sentence, i) => h('p', { class: i === 0 ? 'lead' : '' }, sentence));
}

/** Nobody is to talk to a model that was told something without being able to read it. */
function instructions({ system_prompt }: Site): HTMLElement | null {
  if (system_prompt === null) return null;
  return section(
    S.siteInstructions,
    h('p', {}, S.siteInstructionsNote),
    h('p', { class: 'instructions', dir: 'auto' }, system_prompt),
  );
}

function versions(entry: ModelEntry, { update, goBack, forget, confirm }: CardSource): HTMLElement | null {
  const { update: newer, previous } = entry;
  if (newer === null && previous === null) return null;
  const named = (version: string | null, otherwise: string) =>
    version === null ? otherwise : S.namedVersion(version);
  const lines: HTMLElement[] = [];
  if (newer !== null)
    lines.push(
      line(
        named(newer.version, S.aNewVersion),
        newer.bytes === 0 ? S.nothingToFetch : S.toFetch(bytes(newer.bytes)),
        button(S.update, update, { class: 'quiet', 'data-action': 'update' }),
      ),
    );
  if (previous !== null) {
    const title = named(previous.version, S.theVersionBefore);
    const size = bytes(previous.size);
    lines.push(
      line(
        title,
        S.keptSize(size),
        button(S.goBack(previous.version), goBack, { class: 'quiet', 'data-action': 'back' }),
        confirm.button({
          key: 'forget',
          label: S.removeStored,
          name: S.removeNamed(title, size),
          subject: title,
          question: S.removeSure(size),
          run: () => forget(entry),
        }),
      ),
    );
  }
  return section(S.versions, h('ul', { class: 'models' }, ...lines));
}

function line(title: string, detail: string, ...actions: readonly (Node | null)[]): HTMLElement {
  return h(
    'li',
    {},
    h('span', {}, title),
    h('span', { class: 'detail' }, detail),
    h('span', { class: 'model-actions' }, ...actions),
  );
}

function keyboard(keys: string): HTMLElement {
  const caps = keys.split(' ').map((key) => h('kbd', {}, key));
  return h('span', {}, ...caps.flatMap((cap, i) => (i === 0 ? [cap] : [' ', cap])));
}

function section(title: string, ...children: Node[]): HTMLElement {
  return h('section', {}, h('h3', {}, title), ...children);
}
