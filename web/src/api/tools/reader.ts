// What stands between the marks of a form, as calls: names, and arguments as JSON
// text. Owns the syntaxes of bodies. A body is what a model wrote: it is read to its
// last character or not at all, to a limited depth, and nothing in it is run. Numbers
// stay as they are written; JSON is written without white space, so that TypeScript
// and Python say the same.

import type { ToolForm } from '../../generated/tool_forms';

/** Nobody's arguments are so deep, and the stack is not either. */
const MOST_DEPTH = 64;

const SPACE = /[ \t\r\n]*/y;
const NAME = /[A-Za-z0-9_.-]+/y;
const WORD = /[A-Za-z0-9_.+-]+/y;
const BARE_KEY = /[^\s:,{}[\]]+/y;
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
const ESCAPE = /\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))/gs;
const ESCAPED = new Map(
  Object.entries({ b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', '/': '/', '\\': '\\', '"': '"', "'": "'" }),
);
const WORDS = new Map(
  Object.entries({
    true: 'true', True: 'true', false: 'false', False: 'false', null: 'null', None: 'null',
  }), // biome-ignore format: one line
);

export interface Call {
  readonly name: string;
  /** The text of a JSON object. */
  readonly arguments: string;
}

/** A body that is none. */
export class Unread extends Error {
  /** More text could make it one. */
  readonly short: boolean;

  constructor(short: boolean) {
    super('not a call of a tool');
    this.short = short;
  }
}

/** The calls of a body, one or more. Throws Unread. */
export function readCalls(text: string, form: ToolForm): Call[] {
  let short = false;
  for (const body of form.bodies) {
    try {
      return new Reader(text, body, form.quote).calls();
    } catch (error) {
      if (!(error instanceof Unread)) throw error;
      short ||= error.short;
    }
  }
  throw new Unread(short);
}

type Body = ToolForm['bodies'][number];
type Member = readonly [key: string, value: string];

class Reader {
  readonly #text: string;
  readonly #body: Body;
  readonly #quotes: readonly string[];
  #at = 0;
  #depth = 0;

  constructor(text: string, body: Body, quote: string) {
    this.#text = text;
    this.#body = body;
    this.#quotes = body === 'pairs' ? [quote] : body === 'python' ? ['"', "'"] : ['"'];
  }

  calls(): Call[] {
    const found = {
      json: () => this.#json(),
      python: () => this.#python(),
      pairs: () => this.#pairs(),
      args: () => this.#args(),
    }[this.#body]();
    this.#end();
    return found;
  }

  /** The JSON of a text that is one value. */
  whole(): string {
    try {
      const value = this.#value();
      this.#end();
      return value;
    } catch (error) {
      throw error instanceof Unread ? new Unread(false) : error;
    }
  }

  // ---- calls

  #json(): Call[] {
    const found: Call[] = [];
    if (this.#take('[')) {
      do found.push(this.#jsonCall());
      while (this.#take(','));
      this.#expect(']');
      return found;
    }
    do found.push(this.#jsonCall());
    while (this.#take(';') || this.#next('{'));
    return found;
  }

  #jsonCall(): Call {
    this.#expect('{');
    const fields = new Map(this.#members('}', ':'));
    const name = fields.get('name') ?? '';
    let given = fields.get('arguments') ?? fields.get('parameters') ?? '{}';
    // Some put the object into a text, as OpenAI does.
    if (given.startsWith('"')) given = new Reader(JSON.parse(given) as string, 'json', '').whole();
    if (!name.startsWith('"') || !given.startsWith('{')) throw new Unread(false);
    return { name: JSON.parse(name) as string, arguments: given };
  }

  #python(): Call[] {
    const found: Call[] = [];
    const listed = this.#take('[');
    do {
      const name = this.#run(NAME);
      this.#expect('(');
      found.push({ name, arguments: object(this.#members(')', '=')) });
    } while (this.#take(','));
    if (listed) this.#expect(']');
    return found;
  }

  #pairs(): Call[] {
    const found: Call[] = [];
    do {
      this.#expect('call:');
      const name = this.#run(NAME);
      this.#expect('{');
      found.push({ name, arguments: object(this.#members('}', ':')) });
    } while (this.#next('call:'));
    return found;
  }

  #args(): Call[] {
    const name = this.#run(NAME);
    if (this.#take('[CALL_ID]')) this.#run(NAME);
    if (!this.#take('[ARGS]') && !this.#next('{')) this.#fail('[ARGS]');
    if (!this.#next('{')) this.#fail('{');
    return [{ name, arguments: this.#value() }];
  }

  // ---- values, as JSON

  #value(): string {
    this.#depth += 1;
    if (this.#depth > MOST_DEPTH) throw new Unread(false);
    const value = this.#nested();
    this.#depth -= 1;
    return value;
  }

  #nested(): string {
    if (this.#take('{')) return object(this.#members('}', ':'));
    if (this.#take('[')) return this.#items(']');
    if (this.#body === 'python' && this.#take('(')) return this.#items(')');
    const text = this.#string();
    return text === null ? this.#word() : JSON.stringify(text);
  }

  #items(end: string): string {
    const items: string[] = [];
    while (!this.#take(end)) {
      if (items.length > 0) {
        this.#expect(',');
        if (this.#body === 'python' && this.#take(end)) break;
      }
      items.push(this.#value());
    }
    return `[${items.join(',')}]`;
  }

  #members(end: string, colon: string): Member[] {
    const members: Member[] = [];
    while (!this.#take(end)) {
      if (members.length > 0) this.#expect(',');
      const key = this.#string() ?? this.#bareKey(colon);
      this.#expect(colon);
      members.push([key, this.#value()]);
    }
    return members;
  }

  #bareKey(colon: string): string {
    if (this.#body === 'pairs') return this.#run(BARE_KEY);
    return colon === '=' ? this.#run(NAME) : this.#fail('"');
  }

  /** null where there is none. */
  #string(): string | null {
    for (const quote of this.#quotes) {
      if (!this.#take(quote)) continue;
      const begin = this.#at;
      let end = begin;
      for (;;) {
        end = this.#text.indexOf(quote, end);
        if (end < 0) throw new Unread(true);
        if (this.#body === 'pairs' || !this.#escaped(begin, end)) break;
        end += 1;
      }
      this.#at = end + quote.length;
      const inner = this.#text.slice(begin, end);
      return this.#body === 'pairs' ? inner : unescaped(inner);
    }
    return null;
  }

  /** Whether the number of backslashes before this place is odd. */
  #escaped(begin: number, at: number): boolean {
    let slashes = at;
    while (slashes > begin && this.#text[slashes - 1] === '\\') slashes -= 1;
    return (at - slashes) % 2 === 1;
  }

  #word(): string {
    const word = this.#run(WORD);
    if (NUMBER.test(word)) return word;
    const known = WORDS.get(word);
    if (known === undefined) throw new Unread(false);
    return known;
  }

  // ---- text

  #next(token: string): boolean {
    SPACE.lastIndex = this.#at;
    SPACE.exec(this.#text);
    this.#at = SPACE.lastIndex;
    return this.#text.startsWith(token, this.#at);
  }

  #take(token: string): boolean {
    if (!this.#next(token)) return false;
    this.#at += token.length;
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token)) this.#fail(token);
  }

  #end(): void {
    this.#next('');
    if (this.#at < this.#text.length) throw new Unread(false);
  }

  #fail(token: string): never {
    throw new Unread(token.startsWith(this.#text.slice(this.#at)));
  }

  /** A run of characters; one that reaches the end may go on. */
  #run(pattern: RegExp): string {
    this.#next('');
    pattern.lastIndex = this.#at;
    const [run] = pattern.exec(this.#text) ?? [];
    if (run === undefined) throw new Unread(this.#at === this.#text.length);
    this.#at += run.length;
    if (this.#at === this.#text.length) throw new Unread(true);
    return run;
  }
}

function object(members: readonly Member[]): string {
  return `{${members.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(',')}}`;
}

/** An escape that is none stays as it is, as in Python. */
function unescaped(text: string): string {
  const found = text.replace(ESCAPE, (all: string, u?: string, x?: string, character?: string) => {
    const code = u ?? x;
    if (code !== undefined) return String.fromCharCode(Number.parseInt(code, 16));
    return ESCAPED.get(character!) ?? all;
  });
  // Half of a pair is no character.
  return found.replace(/\p{Surrogate}/gu, '\ufffd');
}
