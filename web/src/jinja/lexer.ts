// A template's text to tokens: data, the delimiters, and what stands between.
// Blocks are trimmed (the line break after one, the blanks before one that
// begins a line), which is how transformers sets Jinja up.

import { SPACE } from './text';

export class SyntaxProblem extends Error {}

export type Kind =
  | 'data'
  | 'variable_begin'
  | 'variable_end'
  | 'block_begin'
  | 'block_end'
  | 'name'
  | 'string'
  | 'integer'
  | 'float'
  | 'operator'
  | 'end';

export interface Token {
  readonly kind: Kind;
  readonly value: string;
  readonly line: number;
}

const S = `[${SPACE}]*`;
const RAW = new RegExp(`\\{%[-+]?${S}raw${S}(?:-%\\}${S}|%\\})`, 'y');
const RAW_END = new RegExp(`\\{%([-+]?)${S}endraw${S}(?:\\+%\\}|-%\\}${S}|%\\}\\n?)`, 'g');
const COMMENT_END = new RegExp(`\\+#\\}|-#\\}${S}|#\\}\\n?`, 'g');
const BLOCK_END = new RegExp(`\\+%\\}|-%\\}${S}|%\\}\\n?`, 'y');
const VARIABLE_END = new RegExp(`-\\}\\}${S}|\\}\\}`, 'y');
const BLANK = new RegExp(`[${SPACE}]+`, 'y');
const RSTRIP = new RegExp(`[${SPACE}]+$`);
const ALL_BLANK = new RegExp(`^${S}$`);
const FLOAT = /(?:\d+_)*\d+(?:(?:\.(?:\d+_)*\d+)?e[+-]?(?:\d+_)*\d+|\.(?:\d+_)*\d+)/iy;
const INTEGER = /0b(?:_?[01])+|0o(?:_?[0-7])+|0x(?:_?[\da-f])+|[1-9](?:_?\d)*|0(?:_?0)*/iy;
const NAME = /[\p{L}\p{N}_\p{Mn}\p{Mc}]+/uy;
const STRING = /'[^'\\]*(?:\\[\s\S][^'\\]*)*'|"[^"\\]*(?:\\[\s\S][^"\\]*)*"/y;
const OPERATOR = /\/\/|\*\*|==|!=|>=|<=|[-+/*%~[\](){}><=.:|,;]/y;
const OPENING = '([{';
const CLOSING = ')]}';

export function tokenize(source: string): Token[] {
  let text = source.replace(/\r\n|\r/g, '\n');
  if (text.endsWith('\n')) text = text.slice(0, -1);
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  let counted = 0;
  let startsLine = true;

  const push = (kind: Kind, value: string) => {
    for (let next = text.indexOf('\n', counted); next >= 0 && next < at; next = text.indexOf('\n', counted)) {
      line++;
      counted = next + 1;
    }
    tokens.push({ kind, value, line });
  };
  const problem = (reason: string): never => {
    throw new SyntaxProblem(`${reason} (line ${text.slice(0, at).split('\n').length})`);
  };
  const match = (pattern: RegExp): string | null => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0] ?? null;
  };
  const data = (end: number, sign: string, trims: boolean) => {
    let found = text.slice(at, end);
    if (sign === '-') found = found.replace(RSTRIP, '');
    else if (sign !== '+' && trims) {
      const begin = found.lastIndexOf('\n') + 1;
      if ((begin > 0 || startsLine) && ALL_BLANK.test(found.slice(begin))) found = found.slice(0, begin);
    }
    if (found !== '') push('data', found);
  };
  const advance = (n: number) => {
    at += n;
    startsLine = text[at - 1] === '\n';
  };
  const search = (pattern: RegExp, missing: string): RegExpExecArray => {
    pattern.lastIndex = at;
    return pattern.exec(text) ?? problem(missing);
  };

  while (at < text.length) {
    const open = nextOpening(text, at);
    if (open < 0) {
      push('data', text.slice(at));
      break;
    }
    const kind = text[open + 1]!;
    const sign = /[-+]/.exec(text[open + 2] ?? '')?.[0] ?? '';
    data(open, sign, kind !== '{');
    at = open;
    const raw = kind === '%' ? match(RAW) : null;
    if (raw !== null) {
      advance(raw.length);
      const end = search(RAW_END, 'Missing end of raw directive');
      data(end.index, end[1]!, true);
      at = end.index;
      advance(end[0].length);
    } else if (kind === '#') {
      at += 2;
      const end = search(COMMENT_END, 'Missing end of comment tag');
      at = end.index;
      advance(end[0].length);
    } else {
      advance(2 + sign.length);
      push(kind === '%' ? 'block_begin' : 'variable_begin', '');
      expression(kind === '%' ? BLOCK_END : VARIABLE_END, kind === '%' ? 'block_end' : 'variable_end');
    }
  }
  push('end', '');
  return tokens;

  function expression(end: RegExp, ending: Kind): void {
    const open: string[] = [];
    for (;;) {
      if (at >= text.length)
        problem(`unexpected end of template, expected '${ending === 'block_end' ? '%}' : '}}'}'`);
      const closing = open.length === 0 ? match(end) : null;
      if (closing !== null) {
        advance(closing.length);
        push(ending, '');
        return;
      }
      const blank = match(BLANK);
      if (blank !== null) {
        advance(blank.length);
        continue;
      }
      const [kind, value] = token();
      if (kind === 'operator' && OPENING.includes(value)) open.push(CLOSING[OPENING.indexOf(value)]!);
      else if (kind === 'operator' && CLOSING.includes(value)) {
        const expected = open.pop();
        if (expected === undefined) problem(`unexpected '${value}'`);
        if (expected !== value) problem(`unexpected '${value}', expected '${expected}'`);
      }
      advance(value.length);
      push(kind, value);
    }
  }

  function token(): [Kind, string] {
    // Not after a point: x.1.2 are two subscripts.
    const float = text[at - 1] === '.' ? null : match(FLOAT);
    if (float !== null) return ['float', float];
    const integer = match(INTEGER);
    if (integer !== null) return ['integer', integer];
    const name = match(NAME);
    if (name !== null) return ['name', name];
    const string = match(STRING);
    if (string !== null) return ['string', string];
    const operator = match(OPERATOR);
    return operator !== null ? ['operator', operator] : problem(`unexpected char '${text[at]}'`);
  }
}

function nextOpening(text: string, from: number): number {
  for (let at = text.indexOf('{', from); at >= 0; at = text.indexOf('{', at + 1))
    if ('{%#'.includes(text[at + 1] || ' ')) return at;
  return -1;
}

const SIMPLE: Readonly<Record<string, string>> = {
  a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v', '\n': '',
}; // biome-ignore format: one line

/** The text that a literal with its quotes stands for. */
export function unquote(literal: string): string {
  return literal
    .slice(1, -1)
    .replace(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-7]{1,3}|[\s\S])/g, (_, code: string) => {
      if (code.length > 1 && 'xuU'.includes(code[0]!))
        return String.fromCodePoint(Number.parseInt(code.slice(1), 16));
      if (/[0-7]/.test(code[0]!)) return String.fromCodePoint(Number.parseInt(code, 8));
      return SIMPLE[code] ?? (code === '\\' || code === "'" || code === '"' ? code : `\\${code}`);
    });
}
