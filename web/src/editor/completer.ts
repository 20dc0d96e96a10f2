// When the model is asked for a suggestion, and with what: after a pause in typing,
// with all that is before the cursor and behind it. One request at a time; a newer
// one, or any other move of the person, ends the one before. It draws nothing.

import { type Extension, Prec } from '@codemirror/state';
import { EditorView, keymap } from '@codemirror/view';
import type { Slm } from '../api/types';
import { ghostOf, ghostText, suggest } from './ghost';

const PAUSE_MS = 400;
const MAX_TOKENS = 64;
/** A suggestion ends with its paragraph: more than that nobody can judge at a glance. */
const STOP = ['\n\n'];

export type CompleterState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'asking' }
  /** It is whole: `text` is '' where the model had nothing to say. */
  | { readonly kind: 'suggested'; readonly text: string; readonly rate: number; readonly dropped: number }
  | { readonly kind: 'failed'; readonly error: unknown };

export class Completer {
  private timer = 0;
  private request: AbortController | null = null;

  constructor(
    /** The open model, or null. */
    private readonly slm: () => Slm | null,
    private readonly onState: (state: CompleterState) => void,
  ) {}

  /** What an editor needs for it. */
  get extension(): Extension {
    return [
      ghostText(() => this.stop()),
      Prec.high(keymap.of([{ key: 'Ctrl-Space', run: (view) => this.now(view) }])),
      EditorView.updateListener.of(({ view, docChanged, selectionSet }) => {
        // What goes on as it was suggested is no reason to suggest something else.
        if (ghostOf(view.state) !== '') return;
        if (docChanged) this.soon(view);
        else if (selectionSet) this.stop();
      }),
    ];
  }

  stop(): void {
    clearTimeout(this.timer);
    this.request?.abort();
    this.request = null;
    this.onState({ kind: 'idle' });
  }

  private soon(view: EditorView): void {
    this.stop();
    this.timer = setTimeout(() => this.now(view), PAUSE_MS);
  }

  private now(view: EditorView): boolean {
    this.stop();
    const slm = this.slm();
    const { main } = view.state.selection;
    if (slm === null || !main.empty || view.composing || view.state.doc.length === 0) return true;
    void this.ask(slm, view, main.head);
    return true;
  }

  private async ask(slm: Slm, view: EditorView, at: number): Promise<void> {
    const request = new AbortController();
    this.request = request;
    this.onState({ kind: 'asking' });
    const { doc } = view.state;
    let text = '';
    let rate = 0;
    let dropped = 0;
    try {
      const behind = slm.info.has_fim ? { suffix: doc.sliceString(at), fim: {} } : {};
      const chunks = await slm.completions.create(
        {
          prompt: doc.sliceString(0, at),
          ...behind,
          parse_special: false,
          context_overflow: 'trim',
          temperature: 0,
          max_tokens: MAX_TOKENS,
          stop: STOP,
          stream: true,
        },
        { signal: request.signal },
      );
      for await (const chunk of chunks) {
        if (this.request !== request) return;
        // What a guard says in place of a suggestion is none.
        if (chunk.guard?.refused) {
          text = '';
          suggest(view, '');
          continue;
        }
        text += chunk.choices[0].text;
        rate = chunk.timings?.decode_tokens_per_second ?? rate;
        dropped = chunk.dropped_tokens ?? dropped;
        // Some of it may have been typed meanwhile, as it was suggested.
        const typed = view.state.sliceDoc(at, view.state.selection.main.head);
        // White space alone would look like nothing.
        if (text.trim() !== '' && text.startsWith(typed)) suggest(view, text.trimEnd().slice(typed.length));
      }
      this.onState({ kind: 'suggested', text: text.trimEnd(), rate, dropped });
    } catch (error) {
      if (this.request === request && !request.signal.aborted) this.onState({ kind: 'failed', error });
    } finally {
      if (this.request === request) this.request = null;
    }
  }
}
