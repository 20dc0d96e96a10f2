// Draws the tab's conversations: the one shown, to copy or save; those before it,
// to go back to or delete; and a file, to open. What a click does, the caller
// knows.

import type { Conversation } from './conversation';
import { copyButton } from './copy';
import { button, h } from './dom';
import { S } from './strings';
import { toMarkdown } from './transfer';

export interface TalksSource {
  readonly conversations: readonly Conversation[];
  readonly shown: Conversation;
  /** A sentence: why the last file was not opened, or not written. */
  readonly refusal: string | null;
  /** Puts back what was deleted last; null: nothing was. */
  readonly undo: (() => void) | null;
  readonly show: (conversation: Conversation) => void;
  readonly remove: (conversation: Conversation) => void;
  readonly save: (kind: 'md' | 'json') => void;
  readonly openFile: (file: File) => void;
}

export function drawTalks(source: TalksSource): (Node | null)[] {
  const { shown, refusal, undo } = source;
  const kept = source.conversations.filter((one) => !one.empty).reverse();
  return [
    h(
      'section',
      {},
      h('h3', {}, S.thisConversation),
      h(
        'div',
        { class: 'talks' },
        ...(shown.empty
          ? []
          : [
              copyButton(S.copyAll, () => toMarkdown(shown), { class: '' }),
              button(S.saveMarkdown, () => source.save('md'), { 'data-action': 'save-md' }),
              button(S.saveJson, () => source.save('json'), { 'data-action': 'save-json' }),
            ]),
        openButton(source),
      ),
      refusal === null ? null : h('p', { class: 'failure', role: 'alert' }, refusal),
    ),
    h(
      'section',
      {},
      h('h3', {}, S.inThisTab),
      undo === null ? null : h('p', {}, S.deleted, ' ', button(S.undo, undo, { 'data-action': 'undo' })),
      kept.length === 0
        ? h('p', { class: 'hint' }, S.noConversations)
        : h('ul', { class: 'models' }, ...kept.map((one) => line(one, source))),
      h('p', { class: 'hint' }, S.whereMemory),
    ),
  ];
}

function line(conversation: Conversation, { shown, show, remove }: TalksSource): HTMLElement {
  const here = conversation === shown;
  const { title } = conversation;
  const { length } = conversation.path();
  return h(
    'li',
    {},
    h('span', { dir: 'auto' }, title),
    h('span', { class: 'detail' }, here ? S.isShown : S.messages(length, String(length))),
    h(
      'span',
      { class: 'model-actions' },
      here
        ? null
        : button(S.open, () => show(conversation), { class: 'quiet', 'aria-label': S.openNamed(title) }),
      button(S.delete, () => remove(conversation), {
        class: 'quiet',
        'aria-label': S.deleteNamed(title),
      }),
    ),
  );
}

function openButton({ openFile }: TalksSource): HTMLElement {
  const field = h('input', {
    type: 'file',
    hidden: true,
    accept: '.json,.md,.markdown,.txt,application/json,text/markdown,text/plain',
    onchange: () => {
      const file = field.files?.[0];
      if (file !== undefined) openFile(file);
    },
  });
  return h(
    'span',
    {},
    button(S.openFile, () => field.click()),
    field,
  );
}
