// The values of a template as Python has them: what is true, equal, less, how
// they are printed. int is bigint and float is number, since 2 and 2.0 print
// differently. Nothing here knows syntax.

import { Str } from './text';

export { Str } from './text';

export class TemplateError extends Error {}

export function fail(reason: string): never {
  throw new TemplateError(reason);
}

export type Value = null | boolean | bigint | number | Str | Value[] | Obj;

/** What is neither text, number nor list. */
export abstract class Obj {
  abstract readonly type: string;
  truthy(): boolean {
    return true;
  }
  /** null: has no length, or is not iterable. */
  items(): Value[] | null {
    return null;
  }
  length(): number | null {
    return null;
  }
  attribute(_name: string): Value | undefined {
    return undefined;
  }
  repr(): Str {
    return new Str(`<${this.type} object>`);
  }
}

export class Undefined extends Obj {
  readonly type = 'Undefined';
  readonly reason: string;
  constructor(reason: string) {
    super();
    this.reason = reason;
  }
  override truthy() {
    return false;
  }
  override items(): Value[] {
    return [];
  }
  override length() {
    return 0;
  }
  override repr() {
    return new Str('Undefined');
  }
}

export class Tuple extends Array<Value> {
  static override get [Symbol.species]() {
    return Array;
  }
  static of_(items: readonly Value[]): Tuple {
    const tuple = new Tuple();
    tuple.push(...items);
    return tuple;
  }
}

export class Dict extends Obj {
  readonly type: string = 'dict';
  readonly entries = new Map<string, [Value, Value]>();
  constructor(pairs: Iterable<readonly [Value, Value]> = []) {
    super();
    for (const [key, value] of pairs) this.set(key, value);
  }
  set(key: Value, value: Value): void {
    const hashed = hash(key);
    this.entries.set(hashed, [this.entries.get(hashed)?.[0] ?? key, value]);
  }
  get(key: Value): Value | undefined {
    return this.entries.get(hash(key))?.[1];
  }
  override truthy() {
    return this.entries.size > 0;
  }
  override items() {
    return Array.from(this.entries.values(), ([key]) => key);
  }
  override length() {
    return this.entries.size;
  }
  override repr() {
    const pairs = Array.from(this.entries.values(), ([key, value]) =>
      Str.concat([repr(key), new Str(': '), repr(value)]),
    );
    return Str.concat([new Str('{'), Str.join(pairs, new Str(', ')), new Str('}')]);
  }
}

export class Namespace extends Obj {
  readonly type = 'Namespace';
  readonly attributes: Dict;
  constructor(attributes: Dict) {
    super();
    this.attributes = attributes;
  }
  override attribute(name: string) {
    return this.attributes.get(new Str(name));
  }
  override repr() {
    return Str.concat([new Str('<Namespace '), this.attributes.repr(), new Str('>')]);
  }
}

/** range() and the views of a dict. */
export class Sequence extends Obj {
  readonly type: string;
  readonly content: Value[];
  readonly shown: string | null;
  constructor(type: string, content: Value[], shown: string | null = null) {
    super();
    this.type = type;
    this.content = content;
    this.shown = shown;
  }
  override truthy() {
    return this.content.length > 0;
  }
  override items() {
    return this.content;
  }
  override length() {
    return this.content.length;
  }
  override repr() {
    if (this.shown !== null) return new Str(this.shown);
    return Str.concat([new Str(`${this.type}(`), repr(this.content), new Str(')')]);
  }
}

/** What map and select give: to be read once, and without a length. */
export class Generator extends Obj {
  readonly type = 'generator';
  #content: Value[];
  constructor(content: Value[]) {
    super();
    this.#content = content;
  }
  override items() {
    const content = this.#content;
    this.#content = [];
    return content;
  }
}

export interface Arguments {
  readonly positional: readonly Value[];
  readonly named: ReadonlyMap<string, Value>;
}

export class Callable extends Obj {
  readonly type: string;
  readonly call: (args: Arguments) => Value;
  readonly #attributes: Readonly<Record<string, Value>>;
  constructor(
    call: (args: Arguments) => Value,
    type = 'function',
    attributes: Readonly<Record<string, Value>> = {},
  ) {
    super();
    this.call = call;
    this.type = type;
    this.#attributes = attributes;
  }
  override attribute(name: string) {
    return Object.hasOwn(this.#attributes, name) ? this.#attributes[name] : undefined;
  }
}

export const str = (text: string): Str => new Str(text);
export const isNumber = (value: Value): value is bigint | number | boolean =>
  typeof value === 'bigint' || typeof value === 'number' || typeof value === 'boolean';
export const isUndefined = (value: Value): value is Undefined => value instanceof Undefined;

export function typeName(value: Value): string {
  if (value === null) return 'NoneType';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint') return 'int';
  if (typeof value === 'number') return 'float';
  if (value instanceof Str) return value.markup ? 'Markup' : 'str';
  if (value instanceof Tuple) return 'tuple';
  return Array.isArray(value) ? 'list' : value.type;
}

export function truthy(value: Value): boolean {
  if (value === null || value === false) return false;
  if (value === true) return true;
  if (typeof value === 'bigint') return value !== 0n;
  if (typeof value === 'number') return value !== 0;
  if (value instanceof Str) return value.text !== '';
  return Array.isArray(value) ? value.length > 0 : value.truthy();
}

/** What a loop goes over. */
export function iterate(value: Value): Value[] {
  if (value instanceof Str) return value.characters();
  if (Array.isArray(value)) return value;
  const items = value instanceof Obj ? value.items() : null;
  return items ?? fail(`'${typeName(value)}' object is not iterable`);
}

export function length(value: Value): number {
  if (value instanceof Str || Array.isArray(value)) return value.length;
  const n = value instanceof Obj ? value.length() : null;
  return n ?? fail(`object of type '${typeName(value)}' has no len()`);
}

const exact = (value: bigint | number | boolean): bigint | number =>
  typeof value === 'boolean' ? BigInt(value) : value;

export { exact };

function hash(key: Value): string {
  if (key === null) return 'none';
  if (key instanceof Str) return `s${key.text}`;
  if (isNumber(key)) return `n${typeof key === 'number' ? key : Number(exact(key))}`;
  if (key instanceof Tuple) return `t${key.map((item) => `${hash(item).length}:${hash(item)}`).join()}`;
  if (key instanceof Undefined) return 'undefined';
  return fail(`unhashable type: '${typeName(key)}'`);
}

export function equal(a: Value, b: Value): boolean {
  // biome-ignore lint/suspicious/noDoubleEquals: 1 == 1.0 holds between bigint and number
  if (isNumber(a) && isNumber(b)) return exact(a) == exact(b);
  if (a instanceof Str && b instanceof Str) return a.text === b.text;
  if (Array.isArray(a) && Array.isArray(b))
    return (
      a instanceof Tuple === b instanceof Tuple &&
      a.length === b.length &&
      a.every((item, i) => equal(item, b[i]!))
    );
  if (a instanceof Dict && b instanceof Dict)
    return (
      a.entries.size === b.entries.size &&
      Array.from(a.entries.values()).every(([key, value]) => {
        const other = b.get(key);
        return other !== undefined && equal(value, other);
      })
    );
  if (a instanceof Undefined && b instanceof Undefined) return true;
  if (a instanceof Sequence && b instanceof Sequence) return equal(a.content, b.content);
  return a === b;
}

/** Negative, 0 or positive; `sign` is for the error. */
export function compare(a: Value, b: Value, sign: string): number {
  if (isNumber(a) && isNumber(b)) {
    const [x, y] = [exact(a), exact(b)];
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (a instanceof Str && b instanceof Str) return comparePoints(a.text, b.text);
  if (Array.isArray(a) && Array.isArray(b) && a instanceof Tuple === b instanceof Tuple) {
    for (const [i, item] of a.entries()) {
      if (i >= b.length) return 1;
      if (!equal(item, b[i]!)) return compare(item, b[i]!, sign);
    }
    return a.length - b.length;
  }
  for (const value of [a, b]) if (isUndefined(value)) fail(value.reason);
  return fail(`'${sign}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
}

function comparePoints(a: string, b: string): number {
  const [x, y] = [Array.from(a), Array.from(b)];
  for (let i = 0; i < x.length && i < y.length; i++)
    if (x[i] !== y[i]) return x[i]!.codePointAt(0)! - y[i]!.codePointAt(0)!;
  return x.length - y.length;
}

export function contains(container: Value, item: Value): boolean {
  if (container instanceof Str)
    return item instanceof Str
      ? container.text.includes(item.text)
      : fail(
          isUndefined(item)
            ? item.reason
            : `'in <string>' requires string as left operand, not ${typeName(item)}`,
        );
  if (container instanceof Dict) return container.get(item) !== undefined;
  if (!Array.isArray(container) && !(container instanceof Obj && container.items() !== null))
    return fail(`argument of type '${typeName(container)}' is not iterable`);
  return iterate(container).some((other) => equal(item, other));
}

// ---- printing ----

export function showFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  if (Object.is(value, -0)) return '-0.0';
  const magnitude = Math.abs(value);
  if (value !== 0 && (magnitude >= 1e16 || magnitude < 1e-4)) {
    const [digits, exponent] = value.toExponential().split('e') as [string, string];
    return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
  }
  const shown = String(value);
  return /[.e]/.test(shown) ? shown : `${shown}.0`;
}

export function show(value: Value): Str {
  if (value instanceof Str) return value;
  return value instanceof Undefined ? str('') : repr(value);
}

export function repr(value: Value): Str {
  if (value === null) return str('None');
  if (typeof value === 'boolean') return str(value ? 'True' : 'False');
  if (typeof value === 'bigint') return str(String(value));
  if (typeof value === 'number') return str(showFloat(value));
  if (value instanceof Str) return quoted(value);
  if (Array.isArray(value)) {
    const items = Str.join(value.map(repr), str(', '));
    if (value instanceof Tuple) return Str.concat([str('('), items, str(value.length === 1 ? ',)' : ')')]);
    return Str.concat([str('['), items, str(']')]);
  }
  return value.repr();
}

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Zs}]/u;
const NAMED: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };

function quoted(value: Str): Str {
  const quote = value.text.includes("'") && !value.text.includes('"') ? '"' : "'";
  const inner = value.as(false).map((character) => {
    if (character === quote) return `\\${quote}`;
    if (character in NAMED) return NAMED[character]!;
    if (character === ' ' || !UNPRINTABLE.test(character)) return character;
    const code = character.codePointAt(0)!;
    const hex = code.toString(16);
    if (code < 0x100) return `\\x${hex.padStart(2, '0')}`;
    return code < 0x10000 ? `\\u${hex.padStart(4, '0')}` : `\\U${hex.padStart(8, '0')}`;
  });
  const marked = Str.concat([str(quote), inner, str(quote)]);
  return value.markup ? Str.concat([str('Markup('), marked, str(')')]) : marked;
}

/** For HTML, as markupsafe does. */
export function escapeHtml(value: Value): Str {
  const text = show(value);
  if (text.markup) return text;
  const names: Readonly<Record<string, string>> = {
    '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&#34;', "'": '&#39;',
  }; // biome-ignore format: one line
  return text.map((character) => names[character] ?? character).as(true);
}

/** From JSON-like JavaScript; `foreign` marks the texts as not the template's. */
export function fromJs(value: unknown, foreign: boolean): Value {
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'bigint') return value;
  if (typeof value === 'number') return Number.isInteger(value) ? BigInt(value) : value;
  if (typeof value === 'string') return foreign ? Str.foreign(value) : str(value);
  if (Array.isArray(value)) return value.map((item) => fromJs(item, foreign));
  if (typeof value === 'object')
    return new Dict(
      Object.entries(value)
        .filter(([, item]) => item !== undefined)
        .map(([key, item]) => {
          // Some templates make control tokens of a role: '<|' + role + '|>'.
          const own = key === 'role' && typeof item === 'string' && /^\w+$/.test(item);
          return [foreign ? Str.foreign(key) : str(key), fromJs(item, foreign && !own)] as const;
        }),
    );
  return fail(`a value of type ${typeof value} cannot be given to a template`);
}
