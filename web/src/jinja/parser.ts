// Tokens to a tree, by Jinja's grammar and its precedences. It knows the names of
// filters and tests, and nothing of what they do.

import { SyntaxProblem, type Token, tokenize, unquote } from './lexer';
import type { Args, Expression, MacroNode, Parameter, Statement, Target } from './nodes';

const COMPARISONS = new Set(['==', '!=', '<', '<=', '>', '>=']);
const CONSTANTS: Readonly<Record<string, null | boolean>> = {
  true: true, True: true, false: false, False: false, none: null, None: null,
}; // biome-ignore format: one line
/** Deeper templates than this are attacks on the stack. */
const MAX_DEPTH = 100;

/** Which filters and tests there are. */
export interface Known {
  readonly filter: (name: string) => boolean;
  readonly test: (name: string) => boolean;
}

/** Throws SyntaxProblem. */
export function parse(source: string, known: Known): Statement[] {
  return new Parser(tokenize(source), known).template();
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #known: Known;
  #at = 0;
  #depth = 0;
  #loops = 0;
  /** Where a branch may never be taken, an unknown filter is no error yet. */
  #branch = false;
  #unknown: string[] = [];

  constructor(tokens: readonly Token[], known: Known) {
    this.#tokens = tokens;
    this.#known = known;
  }

  template(): Statement[] {
    const body = this.#statements([]);
    if (this.#token.kind !== 'end') this.#unexpected();
    return body;
  }

  get #token(): Token {
    return this.#tokens[this.#at]!;
  }

  #problem(reason: string): never {
    throw new SyntaxProblem(`${reason} (line ${this.#token.line})`);
  }

  #unexpected(expected?: string): never {
    const { kind, value } = this.#token;
    const found =
      kind === 'end' ? 'end of template' : value !== '' ? `'${value}'` : kind.replace('_', ' of ');
    return this.#problem(`unexpected ${found}${expected === undefined ? '' : `, expected '${expected}'`}`);
  }

  #is(value: string, ahead = 0): boolean {
    const token = this.#tokens[this.#at + ahead];
    return (token?.kind === 'name' || token?.kind === 'operator') && token.value === value;
  }

  #skip(value: string): boolean {
    const found = this.#is(value);
    if (found) this.#at++;
    return found;
  }

  #expect(value: string): void {
    if (!this.#skip(value)) this.#unexpected(value);
  }

  #name(): string {
    if (this.#token.kind !== 'name') this.#unexpected('name');
    return this.#tokens[this.#at++]!.value;
  }

  #ending(kind: 'block_end' | 'variable_end'): void {
    if (this.#token.kind !== kind) this.#unexpected(kind === 'block_end' ? '%}' : '}}');
    const [unknown] = this.#unknown.splice(0);
    if (unknown !== undefined && !this.#branch) this.#problem(unknown);
    this.#at++;
  }

  #nested<T>(inner: () => T): T {
    if (++this.#depth > MAX_DEPTH) this.#problem('it nests too deeply');
    const result = inner();
    this.#depth--;
    return result;
  }

  // ---- statements ----

  /** Up to a block that begins with one of `ends`, whose `{%` is then read. */
  #statements(ends: readonly string[]): Statement[] {
    return this.#nested(() => {
      const body: Statement[] = [];
      for (;;) {
        const { kind, value } = this.#token;
        if (kind === 'end') {
          if (ends.length > 0) this.#unexpected(ends.join("' or '"));
          return body;
        }
        this.#at++;
        if (kind === 'data') body.push({ type: 'data', text: value });
        else if (kind === 'variable_begin') {
          body.push({ type: 'output', value: this.#tuple() });
          this.#ending('variable_end');
        } else {
          if (ends.some((end) => this.#is(end))) return body;
          body.push(...this.#statement());
        }
      }
    });
  }

  /** A block's inside: after `{%` and its arguments, up to the named end and its `%}`. */
  #block(end: string): Statement[] {
    this.#ending('block_end');
    const body = this.#statements([end]);
    this.#at++;
    return body;
  }

  #statement(): Statement[] {
    const name = this.#name();
    switch (name) {
      case 'for':
        return [this.#for()];
      case 'if':
        return [this.#if()];
      case 'set':
        return [this.#set()];
      case 'macro': {
        const macro = this.#macro(this.#name(), 'endmacro');
        this.#ending('block_end');
        return [{ type: 'macro', macro }];
      }
      case 'call': {
        const parameters = this.#is('(') ? this.#parameters() : [];
        const call = this.#expression();
        if (call.type !== 'call') this.#problem('expected call');
        const loops = this.#loops;
        this.#loops = 0;
        const body = this.#block('endcall');
        this.#loops = loops;
        this.#ending('block_end');
        return [{ type: 'call', caller: { name: 'caller', parameters, body }, call }];
      }
      case 'filter': {
        const filter = this.#filters(null, true);
        const body = this.#block('endfilter');
        this.#ending('block_end');
        return [{ type: 'filter', filter: filter ?? this.#unexpected('name'), body }];
      }
      case 'with':
        return [this.#with()];
      case 'block': {
        this.#name();
        for (const word of ['scoped', 'required']) this.#skip(word);
        const body = this.#block('endblock');
        if (this.#token.kind === 'name') this.#at++;
        this.#ending('block_end');
        return [{ type: 'scope', body }];
      }
      case 'generation': {
        // Marks the assistant's text for training; here it is its body.
        const body = this.#block('endgeneration');
        this.#ending('block_end');
        return [{ type: 'scope', body }];
      }
      case 'print': {
        const outputs: Statement[] = [];
        while (this.#token.kind !== 'block_end') {
          if (outputs.length > 0) this.#expect(',');
          outputs.push({ type: 'output', value: this.#expression() });
        }
        this.#at++;
        return outputs;
      }
      case 'break':
      case 'continue':
        this.#ending('block_end');
        if (this.#loops === 0) this.#problem(`'${name}' outside loop`);
        return [{ type: name }];
      case 'include':
      case 'import':
      case 'from':
      case 'extends':
        while (this.#token.kind !== 'block_end' && this.#token.kind !== 'end') this.#at++;
        this.#ending('block_end');
        return [{ type: 'refuse', reason: `no loader for this environment specified (${name})` }];
      case 'autoescape':
        return this.#problem(`'${name}' is not for chat templates`);
      default:
        return this.#problem(`Encountered unknown tag '${name}'`);
    }
  }

  #for(): Statement {
    const target = this.#target();
    this.#expect('in');
    const over = this.#tuple(false, ['recursive']);
    const condition = this.#skip('if') ? this.#expression() : null;
    const recursive = this.#skip('recursive');
    this.#ending('block_end');
    this.#loops++;
    const body = this.#within(false, () => this.#statements(['endfor', 'else']));
    this.#loops--;
    let otherwise: Statement[] = [];
    if (this.#skip('else')) otherwise = this.#block('endfor');
    else this.#at++;
    this.#ending('block_end');
    return { type: 'for', target, over, condition, recursive, body, otherwise };
  }

  #if(): Statement {
    return this.#within(true, () => this.#branches());
  }

  #within<T>(branch: boolean, inner: () => T): T {
    const before = this.#branch;
    this.#branch = branch;
    const result = inner();
    this.#branch = before;
    return result;
  }

  #branches(): Statement {
    const branches: [Expression, Statement[]][] = [];
    let otherwise: Statement[] = [];
    do {
      const test = this.#tuple(false);
      this.#ending('block_end');
      branches.push([test, this.#statements(['elif', 'else', 'endif'])]);
    } while (this.#skip('elif'));
    if (this.#skip('else')) otherwise = this.#block('endif');
    else this.#at++;
    this.#ending('block_end');
    return { type: 'if', branches, otherwise };
  }

  #set(): Statement {
    const target = this.#target(true);
    if (this.#skip('=')) {
      const value = this.#tuple();
      this.#ending('block_end');
      return { type: 'set', target, value };
    }
    const filter = this.#filters(null);
    const body = this.#block('endset');
    this.#ending('block_end');
    return { type: 'capture', target, filter, body };
  }

  #with(): Statement {
    const names: [Target, Expression][] = [];
    while (this.#token.kind !== 'block_end') {
      if (names.length > 0) this.#expect(',');
      const target = this.#target();
      this.#expect('=');
      names.push([target, this.#expression()]);
    }
    const body = this.#block('endwith');
    this.#ending('block_end');
    return { type: 'with', names, body };
  }

  #macro(name: string, end: string): MacroNode {
    const parameters = this.#parameters();
    const loops = this.#loops;
    this.#loops = 0;
    const body = this.#block(end);
    this.#loops = loops;
    return { name, parameters, body };
  }

  #parameters(): Parameter[] {
    const parameters: Parameter[] = [];
    this.#expect('(');
    while (!this.#skip(')')) {
      if (parameters.length > 0) this.#expect(',');
      const name = this.#assignable();
      const preset = this.#skip('=') ? this.#expression() : null;
      if (preset === null && parameters.at(-1)?.preset)
        this.#problem('non-default argument follows default argument');
      parameters.push({ name, preset });
    }
    return parameters;
  }

  #assignable(): string {
    const name = this.#name();
    if (Object.hasOwn(CONSTANTS, name)) this.#problem(`can't assign to '${name}'`);
    return name;
  }

  #target(members = false): Target {
    const one = (): Target => {
      if (this.#skip('(')) {
        const inner = this.#target();
        this.#expect(')');
        return inner;
      }
      const name = this.#assignable();
      return members && this.#skip('.')
        ? { type: 'member', of: name, name: this.#name() }
        : { type: 'name', name };
    };
    const first = one();
    if (!this.#is(',')) return first;
    const items = [first];
    while (this.#skip(',')) if (!this.#is('in') && !this.#is('=')) items.push(one());
    return { type: 'tuple', items };
  }

  // ---- expressions ----

  /** An expression, or several with commas between, which are a tuple. */
  #tuple(conditional = true, ends: readonly string[] = []): Expression {
    const one = () => (conditional ? this.#expression() : this.#or());
    const items: Expression[] = [];
    let tuple = false;
    for (;;) {
      if (items.length > 0) {
        if (!this.#skip(',')) break;
        tuple = true;
      }
      const { kind } = this.#token;
      if (
        kind === 'variable_end' ||
        kind === 'block_end' ||
        this.#is(')') ||
        ends.some((end) => this.#is(end))
      )
        break;
      items.push(one());
    }
    if (tuple) return { type: 'tuple', items };
    return items[0] ?? this.#unexpected();
  }

  #expression(): Expression {
    return this.#nested(() => {
      const known = this.#unknown.length;
      let result = this.#or();
      while (this.#skip('if')) {
        const test = this.#or();
        result = { type: 'if', test, yes: result, no: this.#skip('else') ? this.#expression() : null };
        this.#unknown.length = known;
      }
      return result;
    });
  }

  #or(): Expression {
    let left = this.#and();
    while (this.#skip('or')) left = { type: 'or', left, right: this.#and() };
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    while (this.#skip('and')) left = { type: 'and', left, right: this.#not() };
    return left;
  }

  #not(): Expression {
    return this.#skip('not')
      ? this.#nested(() => ({ type: 'not', of: this.#not() }) as const)
      : this.#compare();
  }

  #compare(): Expression {
    const of = this.#sum();
    const steps: [string, Expression][] = [];
    for (;;) {
      const { kind, value } = this.#token;
      if (kind === 'operator' && COMPARISONS.has(value)) {
        this.#at++;
        steps.push([value, this.#sum()]);
      } else if (this.#skip('in')) steps.push(['in', this.#sum()]);
      else if (this.#is('not') && this.#is('in', 1)) {
        this.#at += 2;
        steps.push(['not in', this.#sum()]);
      } else return steps.length === 0 ? of : { type: 'compare', of, steps };
    }
  }

  #binary(operators: readonly string[], operand: () => Expression): Expression {
    let left = operand();
    for (;;) {
      const { kind, value } = this.#token;
      if (kind !== 'operator' || !operators.includes(value)) return left;
      this.#at++;
      left = { type: 'binary', operator: value, left, right: operand() };
    }
  }

  #sum(): Expression {
    return this.#binary(['+', '-'], () => this.#concat());
  }

  #concat(): Expression {
    const items = [this.#product()];
    while (this.#skip('~')) items.push(this.#product());
    return items.length === 1 ? items[0]! : { type: 'concat', items };
  }

  #product(): Expression {
    return this.#binary(['*', '/', '//', '%'], () => this.#binary(['**'], () => this.#unary()));
  }

  #unary(filtered = true): Expression {
    return this.#nested(() => {
      let result: Expression;
      if (this.#skip('-')) result = { type: 'neg', of: this.#unary(false) };
      else if (this.#skip('+')) result = { type: 'pos', of: this.#unary(false) };
      else result = this.#primary();
      result = this.#postfix(result);
      return filtered ? (this.#filters(result) ?? result) : result;
    });
  }

  #primary(): Expression {
    const { kind, value } = this.#token;
    this.#at++;
    if (kind === 'name')
      return Object.hasOwn(CONSTANTS, value)
        ? { type: 'const', value: CONSTANTS[value]! }
        : { type: 'name', name: value };
    if (kind === 'string') {
      let text = unquote(value);
      while (this.#token.kind === 'string') text += unquote(this.#tokens[this.#at++]!.value);
      return { type: 'const', value: text };
    }
    if (kind === 'integer') return { type: 'const', value: integer(value) };
    if (kind === 'float') return { type: 'const', value: Number(value.replaceAll('_', '')) };
    if (kind === 'operator' && value === '(') {
      if (this.#skip(')')) return { type: 'tuple', items: [] };
      const inner = this.#tuple();
      this.#expect(')');
      return inner;
    }
    if (kind === 'operator' && value === '[')
      return { type: 'list', items: this.#list(']', () => this.#expression()) };
    if (kind === 'operator' && value === '{') {
      const pair = () => {
        const key = this.#expression();
        this.#expect(':');
        return [key, this.#expression()] as const;
      };
      return { type: 'dict', pairs: this.#list('}', pair) };
    }
    this.#at--;
    return this.#unexpected();
  }

  #list<T>(end: string, item: () => T): T[] {
    const items: T[] = [];
    while (!this.#skip(end)) {
      if (items.length > 0) {
        this.#expect(',');
        if (this.#skip(end)) break;
      }
      items.push(item());
    }
    return items;
  }

  #postfix(start: Expression): Expression {
    let result = start;
    for (;;) {
      if (this.#skip('.')) {
        const { kind, value } = this.#token;
        if (kind === 'name') result = { type: 'attribute', of: result, name: value };
        else if (kind === 'integer')
          result = { type: 'item', of: result, key: { type: 'const', value: integer(value) } };
        else this.#unexpected('name');
        this.#at++;
      } else if (this.#skip('[')) {
        const keys = this.#list(']', () => this.#subscript());
        if (keys.length === 0) this.#problem('expected subscript expression');
        result = {
          type: 'item',
          of: result,
          key: keys.length === 1 ? keys[0]! : { type: 'tuple', items: keys },
        };
      } else if (this.#is('(')) result = { type: 'call', callee: result, args: this.#args() };
      else return result;
    }
  }

  #subscript(): Expression {
    const parts: (Expression | null)[] = [];
    const ends = () => this.#is(':') || this.#is(']') || this.#is(',');
    let colons = 0;
    for (;;) {
      parts.push(ends() ? null : this.#expression());
      if (!this.#skip(':')) break;
      if (++colons > 2) this.#unexpected(']');
    }
    if (colons > 0) return { type: 'slice', parts };
    return parts[0] ?? this.#unexpected();
  }

  #args(): Args {
    const positional: Expression[] = [];
    const named: [string, Expression][] = [];
    let rest: Expression | null = null;
    let restNamed: Expression | null = null;
    this.#expect('(');
    this.#list(')', () => {
      if (this.#skip('*')) rest = this.#expression();
      else if (this.#skip('**')) restNamed = this.#expression();
      else if (this.#token.kind === 'name' && this.#is('=', 1)) {
        const name = this.#name();
        this.#at++;
        named.push([name, this.#expression()]);
      } else {
        if (named.length > 0 || restNamed !== null)
          this.#problem('invalid syntax for function call expression');
        positional.push(this.#expression());
      }
    });
    return { positional, named, rest, restNamed };
  }

  /** Filters, tests and calls behind `start`; null stands for a block's body. `bare`: the first has no bar. */
  #filters(start: Expression | null, bare = false): Expression | null {
    let result = start;
    let first = bare;
    for (;;) {
      if (first || this.#skip('|')) {
        first = false;
        const name = this.#dotted();
        if (!this.#known.filter(name)) this.#unknown.push(`No filter named '${name}'`);
        result = { type: 'filter', name, of: result, args: this.#is('(') ? this.#args() : NO_ARGS };
      } else if (result !== null && this.#skip('is')) result = this.#test(result);
      else if (result !== null && start !== null && this.#is('('))
        result = { type: 'call', callee: result, args: this.#args() };
      else return result;
    }
  }

  #test(of: Expression): Expression {
    const negated = this.#skip('not');
    const name = this.#dotted();
    if (!this.#known.test(name)) this.#unknown.push(`No test named '${name}'`);
    let args = NO_ARGS;
    const { kind, value } = this.#token;
    if (this.#is('(')) args = this.#args();
    else if (
      (kind === 'name' && !['else', 'or', 'and'].includes(value)) ||
      ['string', 'integer', 'float'].includes(kind) ||
      this.#is('[') ||
      this.#is('{')
    ) {
      if (this.#is('is')) this.#problem("You cannot chain multiple tests with 'is'");
      args = { ...NO_ARGS, positional: [this.#postfix(this.#primary())] };
    }
    const test = { type: 'test', name, of, args } as const;
    return negated ? { type: 'not', of: test } : test;
  }

  #dotted(): string {
    let name = this.#name();
    while (this.#skip('.')) name += `.${this.#name()}`;
    return name;
  }
}

const NO_ARGS: Args = { positional: [], named: [], rest: null, restNamed: null };

function integer(value: string): bigint {
  return BigInt(value.replaceAll('_', '').replace(/^0+(?=\d)/, ''));
}
