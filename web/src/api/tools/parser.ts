// Tells calls from text while an answer is being written. Owns where a call begins
// and ends, and the white space around it. Text that turns out to be no call comes
// out as the text that it is: nothing is lost.

import type { ToolForm } from '../../generated/tool_forms';
import { type Call, readCalls, Unread } from './reader';

/** What is longer, in characters, or ends at none of so many marks is no call: each is read to. */
export const MOST_BODY = 65536;
export const MOST_ENDS = 32;

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
  /** Of the body that is open: where the next end may begin, and how many were too early. */
  #seen = 0;
  #tried = 0;
  /** The length at which a bare body is read again. */
  #due = 0;
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
      this.#begin('');
      return true;
    }
    const at = text.indexOf(open);
    if (at >= 0) {
      this.#say(found, text.slice(0, at));
      this.#text = text.slice(at + open.length);
      this.#begin(open);
      return true;
    }
    const decided = text.length - (final ? 0 : begun(text, open));
    this.#say(found, text.slice(0, decided));
    this.#text = text.slice(decided);
    return false;
  }

  #begin(mark: string): void {
    this.#mark = mark;
    this.#seen = this.#tried = this.#due = 0;
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

  /** The calls of the body that is open; null where it is none. No end is tried twice. */
  #read(final: boolean): { calls: readonly Call[]; after: number } | 'wait' | null {
    const text = this.#text;
    const { open, close } = this.#form;
    // Without a mark of its own a call ends where the next one opens.
    const mark = close || open;
    for (;;) {
      const end = text.indexOf(mark, this.#seen);
      this.#seen = end < 0 ? Math.max(this.#seen, text.length - mark.length + 1) : end;
      if (this.#seen > MOST_BODY) return null;
      if (end < 0) break;
      if (this.#tried === MOST_ENDS) return null;
      const calls = this.#callsTo(end);
      if (calls !== 'short') return calls && { calls, after: end + close.length };
      // The mark may stand in a text.
      this.#tried += 1;
      this.#seen = end + mark.length;
    }
    if (final) {
      const calls = text.length > MOST_BODY ? null : this.#callsTo(text.length);
      return calls === 'short' ? null : calls && { calls, after: text.length };
    }
    // More calls may follow a bare one, but what is none shall not wait for the answer's end.
    if (this.#mark === '' && text.length >= this.#due) {
      this.#due = text.length + text.length / 8;
      if (this.#callsTo(text.length - begun(text, mark)) === null) return null;
    }
    return 'wait';
  }

  /** The calls up to there; null where they are none, 'short' where more text could make them some. */
  #callsTo(end: number): Call[] | 'short' | null {
    try {
      const calls = readCalls(this.#text.slice(0, end), this.#form);
      return calls.every(({ name }) => this.#options.names.has(name)) ? calls : null;
    } catch (error) {
      if (!(error instanceof Unread)) throw error;
      return error.short ? 'short' : null;
    }
  }

  #say(found: Found[], piece: string): void {
    // Only the piece is looked at, and from its end: a model may write white space without end.
    let end = piece.length;
    while (end > 0 && ' \t\r\n'.includes(piece[end - 1]!)) end -= 1;
    if (end === 0) {
      this.#space += piece;
      return;
    }
    const said = this.#space + piece.slice(0, end);
    this.#space = piece.slice(end);
    found.push(this.#afterCall ? said.replace(/^[ \t\r\n]+/, '') : said);
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
