// Jinja's tests: what may stand behind `is`.

import { Taken } from './call';
import {
  type Arguments,
  Callable,
  compare,
  contains,
  Dict,
  equal,
  exact,
  fail,
  isNumber,
  isUndefined,
  Obj,
  Str,
  type Value,
} from './values';

type Test = readonly [names: readonly string[], body: (value: Value, taken: Taken) => boolean];

const test = (body: (value: Value) => boolean): Test => [[], body];
const against = (body: (value: Value, other: Value) => boolean): Test => [
  ['other'],
  (value, taken) => body(value, taken.value('other')),
];
const remainder = (value: Value, by: bigint): bigint => {
  if (!isNumber(value)) return fail('not all arguments converted during string formatting');
  const number = exact(value);
  if (typeof number === 'number') return Number.isInteger(number) ? BigInt(number) % by : -1n;
  return ((number % by) + by) % by;
};
const iterable = (value: Value) =>
  Array.isArray(value) || value instanceof Str || (value instanceof Obj && value.items() !== null);

const EQUAL = against(equal);
const UNEQUAL = against((a, b) => !equal(a, b));
const LESS = against((a, b) => compare(a, b, '<') < 0);
const AT_MOST = against((a, b) => compare(a, b, '<=') <= 0);
const GREATER = against((a, b) => compare(a, b, '>') > 0);
const AT_LEAST = against((a, b) => compare(a, b, '>=') >= 0);

const TESTS: Readonly<Record<string, Test>> = {
  boolean: test((value) => typeof value === 'boolean'),
  callable: test((value) => value instanceof Callable),
  defined: test((value) => !isUndefined(value)),
  divisibleby: [['num'], (value, taken) => remainder(value, BigInt(taken.integer('num'))) === 0n],
  escaped: test((value) => value instanceof Str && value.markup),
  even: test((value) => remainder(value, 2n) === 0n),
  false: test((value) => value === false),
  float: test((value) => typeof value === 'number'),
  in: against((value, container) => contains(container, value)),
  integer: test((value) => typeof value === 'bigint'),
  iterable: test(iterable),
  lower: test((value) => value instanceof Str && /\p{Ll}/u.test(value.text) && !/[\p{Lu}\p{Lt}]/u.test(value.text)),
  mapping: test((value) => value instanceof Dict),
  none: test((value) => value === null),
  number: test(isNumber),
  odd: test((value) => remainder(value, 2n) === 1n),
  sameas: against((a, b) => a === b || (a instanceof Str && b instanceof Str && a.text === b.text)),
  sequence: test((value) => iterable(value) && (Array.isArray(value) || value instanceof Str || (value as Obj).length() !== null)),
  string: test((value) => value instanceof Str),
  true: test((value) => value === true),
  undefined: test(isUndefined),
  upper: test((value) => value instanceof Str && /\p{Lu}/u.test(value.text) && !/[\p{Ll}\p{Lt}]/u.test(value.text)),
  '==': EQUAL, eq: EQUAL, equalto: EQUAL,
  '!=': UNEQUAL, ne: UNEQUAL,
  '<': LESS, lt: LESS, lessthan: LESS,
  '<=': AT_MOST, le: AT_MOST,
  '>': GREATER, gt: GREATER, greaterthan: GREATER,
  '>=': AT_LEAST, ge: AT_LEAST,
}; // biome-ignore format: names of one test on one line

/** What the interpreter answers itself. */
const OTHERS = ['filter', 'test'];

export const isTest = (name: string): boolean => Object.hasOwn(TESTS, name) || OTHERS.includes(name);

export function runTest(name: string, value: Value, args: Arguments): boolean {
  const found = Object.hasOwn(TESTS, name) ? TESTS[name] : undefined;
  if (found === undefined) return fail(`No test named '${name}'`);
  return found[1](value, new Taken(name, found[0], args));
}
