// Python's operators on a template's values, and its subscripts.

import { percent } from './format';
import { method } from './methods';
import {
  Dict, escapeHtml, exact, fail, isNumber, isUndefined, iterate, Obj, Sequence, Str, Tuple, typeName, Undefined, type Value,
} from './values'; // biome-ignore format: one list

/** Longer results than this come from a template that means harm. */
const MAX_TEXT = 1 << 26;

export function add(a: Value, b: Value): Value {
  if (isNumber(a) && isNumber(b)) return arithmetic('+', a, b);
  if (a instanceof Str && b instanceof Str) {
    if (a.markup || b.markup) return Str.concat([escapeHtml(a), escapeHtml(b)]).as(true);
    return Str.concat([a, b]);
  }
  if (Array.isArray(a) && Array.isArray(b) && a instanceof Tuple === b instanceof Tuple)
    return a instanceof Tuple ? Tuple.of_([...a, ...b]) : [...a, ...b];
  return unsupported('+', a, b);
}

export function binary(operator: string, a: Value, b: Value): Value {
  if (operator === '+') return add(a, b);
  if (operator === '%' && a instanceof Str) return percent(a, b);
  if (operator === '*') {
    if (typeof b !== 'number' && isNumber(b) && (a instanceof Str || Array.isArray(a)))
      return repeated(a, Number(exact(b)));
    if (typeof a !== 'number' && isNumber(a) && (b instanceof Str || Array.isArray(b)))
      return repeated(b, Number(exact(a)));
  }
  return isNumber(a) && isNumber(b) ? arithmetic(operator, a, b) : unsupported(operator, a, b);
}

function unsupported(operator: string, a: Value, b: Value): never {
  for (const value of [a, b]) if (isUndefined(value)) fail(value.reason);
  if (operator === '+' && a instanceof Str) fail(`can only concatenate str (not "${typeName(b)}") to str`);
  return fail(`unsupported operand type(s) for ${operator}: '${typeName(a)}' and '${typeName(b)}'`);
}

function repeated(value: Str | Value[], times: number): Value {
  const n = Math.max(0, times);
  if (value.length * n > MAX_TEXT) fail('a text grows too long');
  if (value instanceof Str) return value.repeat(n);
  const items = Array.from({ length: n }, () => [...value]).flat();
  return value instanceof Tuple ? Tuple.of_(items) : items;
}

function arithmetic(
  operator: string,
  first: bigint | number | boolean,
  second: bigint | number | boolean,
): Value {
  const [a, b] = [exact(first), exact(second)];
  if (typeof a === 'bigint' && typeof b === 'bigint') {
    if (b === 0n && ['/', '//', '%'].includes(operator))
      fail(operator === '/' ? 'division by zero' : 'integer division or modulo by zero');
    switch (operator) {
      case '+':
        return a + b;
      case '-':
        return a - b;
      case '*':
        return a * b;
      case '/':
        return Number(a) / Number(b);
      case '//':
        return (a - (((a % b) + b) % b)) / b;
      case '%':
        return ((a % b) + b) % b;
      default:
        if (b > 10000n) return fail('a number grows too large');
        return b < 0n ? Number(a) ** Number(b) : a ** b;
    }
  }
  const [x, y] = [Number(a), Number(b)];
  if (y === 0 && ['/', '//', '%'].includes(operator)) fail('float division by zero');
  const modulo = () => {
    const rest = x % y;
    return rest !== 0 && rest < 0 !== y < 0 ? rest + y : rest;
  };
  switch (operator) {
    case '+':
      return x + y;
    case '-':
      return x - y;
    case '*':
      return x * y;
    case '/':
      return x / y;
    case '//':
      return Math.floor(x / y);
    case '%':
      return modulo();
    default:
      return x ** y;
  }
}

export function negated(value: Value, sign: '-' | '+'): Value {
  if (!isNumber(value))
    return fail(
      isUndefined(value) ? value.reason : `bad operand type for unary ${sign}: '${typeName(value)}'`,
    );
  const number = exact(value);
  return sign === '+' ? number : -number;
}

/** `of.name`: an attribute before an item. */
export function attribute(of: Value, name: string): Value {
  if (isUndefined(of)) return fail(of.reason);
  const own = of instanceof Obj ? of.attribute(name) : undefined;
  const found = own ?? tupleMember(of, name) ?? method(of, name, member);
  if (found !== undefined) return found;
  const value = of instanceof Dict ? of.get(new Str(name)) : undefined;
  return value ?? missing(of, name);
}

/** `of[key]`: an item before an attribute. */
export function item(of: Value, key: Value): Value {
  if (isUndefined(of)) return fail(of.reason);
  if (of instanceof Dict) {
    const value = of.get(key);
    if (value !== undefined) return value;
  } else if (typeof key === 'bigint' || typeof key === 'boolean') {
    const items =
      of instanceof Str
        ? of.characters()
        : Array.isArray(of)
          ? of
          : of instanceof Sequence && of.type === 'range'
            ? of.content
            : null;
    const index = Number(exact(key));
    const value = items?.at(index);
    return value ?? new Undefined(`${typeName(of)} object has no element ${index}`);
  }
  if (!(key instanceof Str)) return missing(of, key === null ? 'None' : String(key));
  const own = of instanceof Obj ? of.attribute(key.text) : undefined;
  return own ?? tupleMember(of, key.text) ?? method(of, key.text, member) ?? missing(of, key.text);
}

/** What groupby gives has names for its two places. */
function tupleMember(of: Value, name: string): Value | undefined {
  if (!(of instanceof Tuple) || !Object.hasOwn(of, name) || !['grouper', 'list'].includes(name))
    return undefined;
  return (of as unknown as Record<string, Value>)[name];
}

function missing(of: Value, name: string): Undefined {
  return new Undefined(
    of === null ? `'None' has no attribute '${name}'` : `'${typeName(of)} object' has no attribute '${name}'`,
  );
}

const member = (of: Value, key: string, isItem: boolean): Value => {
  const value = isItem ? item(of, /^\d+$/.test(key) ? BigInt(key) : new Str(key)) : attribute(of, key);
  return isUndefined(value) ? fail(value.reason) : value;
};

export function slice(of: Value, parts: readonly (Value | null)[]): Value {
  const items =
    of instanceof Str ? of.characters() : of instanceof Sequence && of.type === 'range' ? of.content : of;
  if (isUndefined(items)) return fail(items.reason);
  if (!Array.isArray(items)) return new Undefined(`${typeName(of)} object has no such element`);
  const [start, stop, by] = parts.map((part) => {
    if (part === null || part === undefined) return null;
    return isNumber(part) && typeof part !== 'number'
      ? Number(exact(part))
      : fail('slice indices must be integers or None');
  });
  const step = by ?? 1;
  if (step === 0) fail('slice step cannot be zero');
  const n = items.length;
  const bound = (at: number | null | undefined, preset: number) => {
    if (at === null || at === undefined) return preset;
    const positive = at < 0 ? at + n : at;
    return step > 0 ? Math.min(n, Math.max(0, positive)) : Math.min(n - 1, Math.max(-1, positive));
  };
  const from = bound(start, step > 0 ? 0 : n - 1);
  const to = bound(stop, step > 0 ? n : -1);
  const taken: Value[] = [];
  for (let at = from; step > 0 ? at < to : at > to; at += step) taken.push(items[at]!);
  if (of instanceof Str) return Str.concat(taken as Str[]).as(of.markup);
  return of instanceof Tuple ? Tuple.of_(taken) : taken;
}

/** What a tuple of targets takes: as many as there are. */
export function unpacked(value: Value, n: number): Value[] {
  const items = iterate(value);
  if (items.length < n) fail(`not enough values to unpack (expected ${n}, got ${items.length})`);
  return items.length > n ? fail(`too many values to unpack (expected ${n})`) : items;
}
