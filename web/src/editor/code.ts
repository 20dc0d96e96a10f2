// The editor itself: CodeMirror with the page's colours, made to live in the sealed
// frame. Three things do not work there: inline style elements, and the styles that
// Chromium keeps of what is typed over, which the policy forbids both, and
// dispatchEvent, which disarm.ts takes away.

import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { javascript } from '@codemirror/lang-javascript';
import { python } from '@codemirror/lang-python';
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { Compartment, EditorState, type Extension } from '@codemirror/state';
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
  runScopeHandlers,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { StyleModule } from 'style-mod';

export const LANGUAGES = ['python', 'javascript', 'text'] as const;
export type CodeLanguage = (typeof LANGUAGES)[number];

const EXTENSIONS: Readonly<Record<CodeLanguage, () => Extension>> = {
  python,
  javascript: () => javascript({ typescript: true, jsx: true }),
  text: () => [],
};

// The colours of code in the chat's answers, prose.css.
const colours = HighlightStyle.define([
  {
    tag: [tags.keyword, tags.bool, tags.null, tags.typeName, tags.tagName],
    color: 'light-dark(#7a2f8f, #d3a6ea)',
  },
  { tag: [tags.string, tags.regexp, tags.special(tags.string)], color: 'light-dark(#00694a, #7fd6b0)' },
  {
    tag: [tags.number, tags.standard(tags.variableName), tags.self, tags.meta],
    color: 'light-dark(#98420b, #f0b183)',
  },
  {
    tag: [tags.function(tags.definition(tags.variableName)), tags.propertyName, tags.className],
    color: 'light-dark(#1a558f, #8fc1f2)',
  },
  { tag: tags.comment, color: 'var(--soft)', fontStyle: 'italic' },
]);

const typeOver = EditorView.domEventHandlers({
  beforeinput({ inputType, data }, view) {
    if (inputType !== 'insertText' || data === null || view.state.selection.main.empty) return false;
    view.dispatch(view.state.replaceSelection(data), { userEvent: 'input.type', scrollIntoView: true });
    return true;
  },
});

const sheet = new CSSStyleSheet();

/** In place of style elements, which the policy of the frame forbids. */
StyleModule.mount = (_root, modules) => {
  sheet.replaceSync(
    [modules]
      .flat()
      .map((module) => module.getRules())
      .join('\n'),
  );
  const { adoptedStyleSheets } = document;
  // First, so that the page's own sheets may overrule it.
  if (!adoptedStyleSheets.includes(sheet)) document.adoptedStyleSheets = [sheet, ...adoptedStyleSheets];
};

export class Code {
  readonly view: EditorView;
  onChange = () => {};
  private readonly language = new Compartment();

  /** `phrases`: what CodeMirror says in English, in the page's language. */
  constructor(
    parent: HTMLElement,
    label: string,
    phrases: Readonly<Record<string, string>>,
    text: string,
    language: CodeLanguage,
    more: Extension,
  ) {
    this.view = new EditorView({
      parent,
      state: EditorState.create({
        doc: text,
        selection: { anchor: text.length },
        extensions: [
          more,
          typeOver,
          lineNumbers(),
          history(),
          drawSelection(),
          highlightActiveLine(),
          bracketMatching(),
          indentOnInput(),
          syntaxHighlighting(colours),
          keymap.of([...defaultKeymap, ...historyKeymap]),
          EditorView.lineWrapping,
          EditorState.phrases.of(phrases),
          EditorView.contentAttributes.of({
            'aria-label': label,
            'aria-multiline': 'true',
            spellcheck: 'false',
          }),
          EditorView.updateListener.of(({ docChanged }) => {
            if (docChanged) this.onChange();
          }),
          this.language.of(EXTENSIONS[language]()),
        ],
      }),
    });
    const { contentDOM } = this.view;
    // On Android CodeMirror makes up presses of Enter and Backspace for its own listeners.
    contentDOM.dispatchEvent = (event) => {
      if (event instanceof KeyboardEvent && event.type === 'keydown')
        if (runScopeHandlers(this.view, event, 'editor')) event.preventDefault();
      return !event.defaultPrevented;
    };
  }

  get text(): string {
    return this.view.state.doc.toString();
  }

  /** Another text, and the history with it. */
  replace(text: string): void {
    this.view.dispatch({
      changes: { from: 0, to: this.view.state.doc.length, insert: text },
      selection: { anchor: text.length },
    });
  }

  speak(language: CodeLanguage): void {
    this.view.dispatch({ effects: this.language.reconfigure(EXTENSIONS[language]()) });
  }
}
