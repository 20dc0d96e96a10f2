// Tells calls from text while an answer is being written. Owns where a call begins
// and ends, and the white space around it. Text that turns out to be no call comes
// out as the text that it is: nothing is lost.

import type { ToolForm } from '../../generated/tool_forms';
import { type Call, readCalls, Unread } from './reader';

export interface ParserOptions {
  /** Of the tools: what calls another is text. */
  readonly names: ReadonlySet<string>;
  /** Ends after the first call. */
  readonly single: boolean;
}

/** Pieces of text and calls, in the order of the answer. */
export type Found = string | Call;

export class ToolParser {
  readonly #form: ToolForm;
  readonly #options: ParserOptions;
  #calls = 0;
  /** Not decided yet. */
  #text = '';
  /** What has opened a call, '' where a brace has. */
  #mark: string | null = null;
  /** Comes out before more text, and not before a call. */
  #space = '';
  /** Some text. */
  #said = false;
  #afterCall = false;

  constructor(form: ToolForm, options: ParserOptions) {
    this.#form = form;
    this.#options = options;
  }

  get calls(): number {
    return this.#calls;
  }

  /** Whether nothing more is wanted of the answer. */
  get done(): boolean {
    return this.#options.single && this.#calls > 0;
  }

  push(text: string): Found[] {
    this.#text += text;
    return this.#decided(false);
  }

  /** What is left at the answer's end. */
  finish(): Found[] {
    const found = this.#decided(true);
    if (this.#space !== '' && this.#calls === 0) found.push(this.#space);
    this.#space = '';
    return found;
  }

  #decided(final: boolean): Found[] {
    const found: Found[] = [];
    while (!this.done && (this.#mark !== null || this.#opens(found, final)) && this.#closes(found, final));
    return found;
  }

  /** Goes on to where a call opens; false where none does yet. */
  #opens(found: Found[], final: boolean): boolean {
    const { open, bare } = this.#form;
    const text = this.#text;
    if (bare && !this.#said && /^[ \t\r\n]*\{/.test(text)) {
      this.#mark = '';
      return true;
    }
    const at = text.indexOf(open);
    if (at >= 0) {
      this.#say(found, text.slice(0, at));
      this.#text = text.slice(at + open.length);
      this.#mark = open;
      return true;
    }
    const decided = text.length - (final ? 0 : begun(text, open));
    this.#say(found, text.slice(0, decided));
    this.#text = text.slice(decided);
    return false;
  }

  /** Takes the call that is open, or what is none; false where more text has to tell. */
  #closes(found: Found[], final: boolean): boolean {
    const text = this.#text;
    const read = this.#read(final);
    if (read === 'wait') return false;
    if (read !== null) {
      const calls = this.#options.single ? read.calls.slice(0, 1) : read.calls;
      found.push(...calls);
      this.#calls += calls.length;
      this.#text = text.slice(read.after);
      this.#mark = null;
      this.#space = '';
      this.#afterCall = true;
      return true;
    }
    if (this.#mark === '') {
      this.#mark = text.slice(0, 1);
      this.#text = text.slice(1);
    }
    this.#say(found, this.#mark ?? '');
    this.#mark = null;
    return true;
  }

  /** The calls of the body that is open; null where it is none. */
  #read(final: boolean): { calls: readonly Call[]; after: number } | 'wait' | null {
    const text = this.#text;
    const { open, close } = this.#form;
    // Without a mark of its own a call ends where the next one opens.
    const ends = places(text, close || open).map((at) => [at, at + close.length] as const);
    if (final || this.#mark === '') ends.push([text.length, text.length]);
    for (const [end, after] of ends) {
      try {
        const calls = readCalls(text.slice(0, end), this.#form);
        if (!calls.every(({ name }) => this.#options.names.has(name))) return null;
        // More calls may follow a bare one.
        return this.#mark === '' && !final ? 'wait' : { calls, after };
      } catch (error) {
        if (!(error instanceof Unread)) throw error;
        // The mark may stand in a text.
        if (!error.short) return null;
      }
    }
    return final ? null : 'wait';
  }

  #say(found: Found[], piece: string): void {
    let text = this.#space + piece;
    if (this.#afterCall) text = text.replace(/^[ \t\r\n]+/, '');
    const said = text.replace(/[ \t\r\n]+$/, '');
    this.#space = text.slice(said.length);
    if (said === '') return;
    found.push(said);
    this.#said = true;
    this.#afterCall = false;
  }
}

/** Characters at the end of `text` that begin `mark`. */
function begun(text: string, mark: string): number {
  let n = Math.min(mark.length - 1, text.length);
  while (n > 0 && !text.endsWith(mark.slice(0, n))) n -= 1;
  return n;
}

function places(text: string, mark: string): number[] {
  const found: number[] = [];
  for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + mark.length)) found.push(at);
  return found;
}
