// A suggestion behind the cursor, in grey: what is shown, how it is taken whole, by
// the word or not at all. It goes with the first change that it did not foresee;
// letters that are typed as it says only make it shorter. It knows no model.

import { type EditorState, type Extension, Prec, StateEffect, StateField } from '@codemirror/state';
import { type Command, Decoration, EditorView, keymap, WidgetType } from '@codemirror/view';

interface Ghost {
  readonly at: number;
  readonly text: string;
}

/** null takes it away. */
const setGhost = StateEffect.define<Ghost | null>();

class GhostText extends WidgetType {
  constructor(readonly text: string) {
    super();
  }

  override eq(other: GhostText): boolean {
    return other.text === this.text;
  }

  override toDOM(): HTMLElement {
    const span = document.createElement('span');
    span.className = 'ghost';
    span.textContent = this.text;
    // It is announced when it is whole; here it would be read as if it had been written.
    span.setAttribute('aria-hidden', 'true');
    return span;
  }
}

const ghostField = StateField.define<Ghost | null>({
  create: () => null,
  update(ghost, transaction) {
    for (const effect of transaction.effects) if (effect.is(setGhost)) return effect.value;
    if (ghost === null) return null;
    const { main } = transaction.newSelection;
    if (!transaction.docChanged) return main.empty && main.head === ghost.at ? ghost : null;
    const typed = transaction.newDoc.sliceString(ghost.at, main.head);
    const grown = transaction.newDoc.length - transaction.startState.doc.length;
    const foreseen = main.empty && grown > 0 && typed.length === grown && ghost.text.startsWith(typed);
    const text = ghost.text.slice(typed.length);
    return foreseen && text !== '' ? { at: main.head, text } : null;
  },
  provide: (field) =>
    EditorView.decorations.from(field, (ghost) =>
      ghost === null
        ? Decoration.none
        : Decoration.set(Decoration.widget({ widget: new GhostText(ghost.text), side: 1 }).range(ghost.at)),
    ),
});

/** What is suggested behind the cursor; '' for nothing. */
export function ghostOf(state: EditorState): string {
  return state.field(ghostField)?.text ?? '';
}

export function suggest(view: EditorView, text: string): void {
  const { head } = view.state.selection.main;
  view.dispatch({ effects: setGhost.of(text === '' ? null : { at: head, text }) });
}

/** Writes the first `length` letters of the suggestion. False: there is none. */
function take(length: (text: string) => number): Command {
  return (view) => {
    const ghost = view.state.field(ghostField);
    if (ghost === null) return false;
    const taken = ghost.text.slice(0, length(ghost.text));
    const rest = ghost.text.slice(taken.length);
    const at = ghost.at + taken.length;
    view.dispatch({
      changes: { from: ghost.at, insert: taken },
      selection: { anchor: at },
      effects: setGhost.of(rest === '' ? null : { at, text: rest }),
      userEvent: 'input.complete',
      scrollIntoView: true,
    });
    return true;
  };
}

const takeAll = take((text) => text.length);
const takeWord = take((text) => /^\s*(\w+|[^\w\s]+|$)/.exec(text)?.[0].length ?? text.length);

/** `onDismiss`: the person does not want it; what is still being written may stop. */
export function ghostText(onDismiss: () => void): Extension {
  const dismiss: Command = (view) => {
    if (ghostOf(view.state) === '') return false;
    onDismiss();
    suggest(view, '');
    return true;
  };
  return [
    ghostField,
    Prec.highest(
      keymap.of([
        { key: 'Tab', run: takeAll },
        { key: 'Ctrl-ArrowRight', mac: 'Alt-ArrowRight', run: takeWord },
        { key: 'Escape', run: dismiss },
      ]),
    ),
  ];
}
