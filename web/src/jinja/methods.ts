// The methods of texts, dicts and lists, and those only that change nothing:
// templates run in an immutable sandbox.

import { define, type Taken } from './call';
import { format } from './format';
import { SPACE, Str, strip } from './text';
import {
  Callable,
  contains,
  Dict,
  equal,
  escapeHtml,
  fail,
  iterate,
  Sequence,
  str,
  Tuple,
  truthy,
  type Value,
} from './values';

type Member = (of: Value, key: string, item: boolean) => Value;
type Method = readonly [names: readonly string[], body: (self: Str, taken: Taken) => Value];

const LINE_ENDS = '\\n-\\r\\x1c-\\x1e\\x85\\u2028\\u2029';
const ONE_LINE = new RegExp(`\\r\\n|[${LINE_ENDS}]`, 'g');
const SPACES = new RegExp(`[${SPACE}]+`, 'g');
const WORDS = new RegExp(`[^${SPACE}]+`, 'g');

const all = (pattern: RegExp) => (self: Str) => self.text !== '' && pattern.test(self.text);
const upper = (self: Str) => self.map((c) => c.toUpperCase());
// A sigma that ends a word has a form of its own.
const lower = (self: Str) => {
  const whole = self.text.toLowerCase();
  return whole.length === self.text.length
    ? new Str(whole, self.mask, self.markup)
    : self.map((c) => c.toLowerCase());
};
const titleCase = (character: string) => {
  const up = character.toUpperCase();
  return up.length > 1 ? up[0]! + up.slice(1).toLowerCase() : up;
};

export function capitalize(self: Str): Str {
  const lowered = lower(self);
  const first = self.unit(1);
  const start = lowered.cut(0, first).map(titleCase);
  return Str.concat([start, lowered.cut(first)]).as(self.markup);
}

function title(self: Str): Str {
  let inWord = false;
  return self.map((character) => {
    const cased = /[\p{Lu}\p{Ll}\p{Lt}]/u.test(character);
    const changed = !cased ? character : inWord ? character.toLowerCase() : titleCase(character);
    inWord = cased;
    return changed;
  });
}

function justify(self: Str, taken: Taken, where: 'left' | 'right' | 'center'): Str {
  const missing = Math.max(0, taken.integer('width') - self.length);
  const fill = taken.text('fillchar', ' ');
  if (fill.length !== 1) fail('The fill character must be exactly one character long');
  const width = taken.integer('width');
  // Python puts the odd one to the left where both are odd.
  const left = where === 'right' ? missing : where === 'left' ? 0 : (missing >> 1) + (missing & width & 1);
  return Str.concat([fill.repeat(left), self, fill.repeat(missing - left)]).as(self.markup);
}

function words(self: Str): Str[] {
  return Array.from(self.text.matchAll(WORDS), ({ index, 0: word }) => self.cut(index, index + word.length));
}

function split(self: Str, taken: Taken, fromRight: boolean): Value[] {
  const sep = taken.textOrNone('sep');
  const given = taken.integer('maxsplit', -1);
  const most = given < 0 ? Number.POSITIVE_INFINITY : given;
  if (sep === null) {
    const found = words(self);
    if (found.length <= most) return found;
    const places = Array.from(
      self.text.matchAll(SPACES),
      ({ index, 0: gap }) => [index, index + gap.length] as const,
    );
    const inner = places.filter(([begin, end]) => begin > 0 && end < self.text.length);
    if (fromRight) {
      const rest = strip(self, 'right').cut(0, most === 0 ? undefined : inner.at(-most)![0]);
      return [strip(rest, 'right'), ...found.slice(found.length - most)];
    }
    const start = most === 0 ? 0 : inner[most - 1]![1];
    return [...found.slice(0, most), strip(self.cut(start), 'left')];
  }
  if (sep.text === '') fail('empty separator');
  let places = self.places(sep.text);
  if (fromRight) {
    places = [];
    for (let at = self.text.lastIndexOf(sep.text); at >= 0 && places.length < most; ) {
      places.unshift(at);
      at = at < sep.text.length ? -1 : self.text.lastIndexOf(sep.text, at - sep.text.length);
    }
  } else places = places.slice(0, most);
  const parts: Str[] = [];
  let from = 0;
  for (const at of places) {
    parts.push(self.cut(from, at));
    from = at + sep.text.length;
  }
  return [...parts, self.cut(from)];
}

function partition(self: Str, taken: Taken, fromRight: boolean): Tuple {
  const sep = taken.text('sep');
  if (sep.text === '') fail('empty separator');
  const at = fromRight ? self.text.lastIndexOf(sep.text) : self.text.indexOf(sep.text);
  if (at < 0) return Tuple.of_(fromRight ? [str(''), str(''), self] : [self, str(''), str('')]);
  return Tuple.of_([self.cut(0, at), sep, self.cut(at + sep.text.length)]);
}

/** The part of a text between two positions, and where it begins. */
function section(self: Str, taken: Taken): [Str, number] {
  const n = self.length;
  const clamp = (at: number) => Math.min(n, Math.max(0, at < 0 ? at + n : at));
  const position = (name: string, preset: number) =>
    taken.has(name) && taken.value(name) !== null ? taken.integer(name) : preset;
  const start = position('start', 0);
  if (start > n) return [str('').as(false), -1];
  const begin = clamp(start);
  const end = Math.max(begin, clamp(position('end', n)));
  return [self.cut(self.unit(begin), self.unit(end)), begin];
}

function find(self: Str, taken: Taken, last: boolean): number {
  const [part, begin] = section(self, taken);
  const sub = taken.text('sub').text;
  if (begin < 0) return -1;
  const at = last ? part.text.lastIndexOf(sub) : part.text.indexOf(sub);
  return at < 0 ? -1 : begin + part.point(at);
}

function index(self: Str, taken: Taken, last: boolean): bigint {
  const at = find(self, taken, last);
  return at < 0 ? fail('substring not found') : BigInt(at);
}

function affix(self: Str, taken: Taken, matches: (text: string, part: string) => boolean): boolean {
  const [part, begin] = section(self, taken);
  const given = taken.value('prefix');
  const options = given instanceof Tuple ? given : [given];
  return options.some((option) => {
    if (!(option instanceof Str)) return fail('startswith first arg must be str or a tuple of str');
    return begin >= 0 && matches(part.text, option.text);
  });
}

function lines(self: Str, keep: boolean): Str[] {
  const found: Str[] = [];
  let from = 0;
  for (const { index: at, 0: end } of self.text.matchAll(ONE_LINE)) {
    found.push(self.cut(from, at + (keep ? end.length : 0)));
    from = at + end.length;
  }
  if (from < self.text.length) found.push(self.cut(from));
  return found;
}

function zfill(self: Str, width: number): Str {
  const sign = /^[+-]/.test(self.text) ? 1 : 0;
  const zeros = str('0'.repeat(Math.max(0, width - self.length)));
  return Str.concat([self.cut(0, sign), zeros, self.cut(sign)]);
}

function expandTabs(self: Str, size: number): Str {
  let column = 0;
  return self.map((character) => {
    if (character === '\n' || character === '\r') column = 0;
    else if (character === '\t') {
      const spaces = size > 0 ? size - (column % size) : 0;
      column += spaces;
      return ' '.repeat(spaces);
    } else column++;
    return character;
  });
}

export function joined(glue: Str, parts: Value): Str {
  const texts = iterate(parts).map((part, i) =>
    part instanceof Str ? part : fail(`sequence item ${i}: expected str instance found`),
  );
  return Str.join(
    texts.map((part) => (glue.markup ? escapeHtml(part) : part)),
    glue,
  ).as(glue.markup);
}

const SEP = ['sep', 'maxsplit'] as const;
const PART = ['sub', 'start', 'end'] as const;
const AFFIX = ['prefix', 'start', 'end'] as const;
const WIDTH = ['width', 'fillchar'] as const;

const TEXT: Readonly<Record<string, Method>> = {
  capitalize: [[], capitalize],
  casefold: [[], (self) => self.map((c) => (c === 'ß' ? 'ss' : c.toLowerCase()))],
  center: [WIDTH, (self, taken) => justify(self, taken, 'center')],
  count: [
    PART,
    (self, taken) => {
      const [part, begin] = section(self, taken);
      const sub = taken.text('sub').text;
      return BigInt(begin < 0 ? 0 : sub === '' ? part.length + 1 : part.places(sub).length);
    },
  ],
  endswith: [AFFIX, (self, taken) => affix(self, taken, (text, part) => text.endsWith(part))],
  expandtabs: [['tabsize'], (self, taken) => expandTabs(self, taken.integer('tabsize', 8))],
  find: [PART, (self, taken) => BigInt(find(self, taken, false))],
  index: [PART, (self, taken) => index(self, taken, false)],
  isalnum: [[], all(/^[\p{L}\p{N}]+$/u)],
  isalpha: [[], all(/^\p{L}+$/u)],
  isascii: [[], (self) => /^\p{ASCII}*$/u.test(self.text)],
  isdecimal: [[], all(/^\p{Nd}+$/u)],
  isdigit: [[], all(/^[\p{Nd}²³¹⁰-⁹₀-₉]+$/u)],
  isidentifier: [[], all(/^[\p{L}_][\p{L}\p{N}_\p{Mn}\p{Mc}]*$/u)],
  islower: [[], (self) => /\p{Ll}/u.test(self.text) && !/[\p{Lu}\p{Lt}]/u.test(self.text)],
  isnumeric: [[], all(/^\p{N}+$/u)],
  isprintable: [[], (self) => !/[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u.test(self.text)],
  isspace: [[], (self) => self.text !== '' && strip(self, 'both').text === ''],
  istitle: [[], (self) => /[\p{Lu}\p{Ll}\p{Lt}]/u.test(self.text) && title(self).text === self.text],
  isupper: [[], (self) => /\p{Lu}/u.test(self.text) && !/[\p{Ll}\p{Lt}]/u.test(self.text)],
  join: [['iterable'], (self, taken) => joined(self, taken.value('iterable'))],
  ljust: [WIDTH, (self, taken) => justify(self, taken, 'left')],
  lower: [[], lower],
  lstrip: [['chars'], (self, taken) => strip(self, 'left', taken.textOrNone('chars')?.text)],
  partition: [['sep'], (self, taken) => partition(self, taken, false)],
  removeprefix: [
    ['prefix'],
    (self, taken) => {
      const prefix = taken.text('prefix').text;
      return self.text.startsWith(prefix) ? self.cut(prefix.length) : self;
    },
  ],
  removesuffix: [
    ['suffix'],
    (self, taken) => {
      const suffix = taken.text('suffix').text;
      return suffix !== '' && self.text.endsWith(suffix)
        ? self.cut(0, self.text.length - suffix.length)
        : self;
    },
  ],
  replace: [
    ['old', 'new', 'count'],
    (self, taken) => {
      const count = taken.integer('count', -1);
      const by = taken.text('new');
      return self.replace(
        taken.text('old'),
        self.markup ? escapeHtml(by) : by,
        count < 0 ? undefined : count,
      );
    },
  ],
  rfind: [PART, (self, taken) => BigInt(find(self, taken, true))],
  rindex: [PART, (self, taken) => index(self, taken, true)],
  rjust: [WIDTH, (self, taken) => justify(self, taken, 'right')],
  rpartition: [['sep'], (self, taken) => partition(self, taken, true)],
  rsplit: [SEP, (self, taken) => split(self, taken, true)],
  rstrip: [['chars'], (self, taken) => strip(self, 'right', taken.textOrNone('chars')?.text)],
  split: [SEP, (self, taken) => split(self, taken, false)],
  splitlines: [['keepends'], (self, taken) => lines(self, truthy(taken.value('keepends', false)))],
  startswith: [AFFIX, (self, taken) => affix(self, taken, (text, part) => text.startsWith(part))],
  strip: [['chars'], (self, taken) => strip(self, 'both', taken.textOrNone('chars')?.text)],
  swapcase: [[], (self) => self.map((c) => (/\p{Lu}/u.test(c) ? c.toLowerCase() : c.toUpperCase()))],
  title: [[], title],
  upper: [[], upper],
  zfill: [['width'], (self, taken) => zfill(self, taken.integer('width'))],
};

/** A method that only reads, or undefined. */
export function method(self: Value, name: string, member: Member): Value | undefined {
  if (self instanceof Str) {
    if (name === 'format')
      return new Callable((args) => format(self, args, member), 'builtin_function_or_method');
    if (name === 'format_map')
      return define(name, ['mapping'], (taken) => {
        const mapping = taken.value('mapping');
        if (!(mapping instanceof Dict)) return fail('format_map() needs a mapping');
        const named = new Map(
          Array.from(mapping.entries.values(), ([key, value]) => [show_(key), value] as const),
        );
        return format(self, { positional: [], named }, member);
      });
    const found = Object.hasOwn(TEXT, name) ? TEXT[name] : undefined;
    return found && define(name, found[0], (taken) => found[1](self, taken));
  }
  if (self instanceof Dict) {
    const pairs = () => Array.from(self.entries.values(), ([key, value]) => Tuple.of_([key, value]));
    if (name === 'get')
      return define(
        name,
        ['key', 'default'],
        (taken) => self.get(taken.value('key')) ?? taken.value('default', null),
      );
    if (name === 'items') return define(name, [], () => new Sequence('dict_items', pairs()));
    if (name === 'keys') return define(name, [], () => new Sequence('dict_keys', self.items()));
    if (name === 'values')
      return define(
        name,
        [],
        () =>
          new Sequence(
            'dict_values',
            Array.from(self.entries.values(), ([, value]) => value),
          ),
      );
    if (name === 'copy') return define(name, [], () => new Dict(self.entries.values()));
  }
  if (Array.isArray(self)) {
    if (name === 'count')
      return define(name, ['value'], (taken) =>
        BigInt(self.filter((item) => equal(item, taken.value('value'))).length),
      );
    if (name === 'index')
      return define(name, ['value'], (taken) => {
        const item = taken.value('value');
        return contains(self, item)
          ? BigInt(self.findIndex((other) => equal(other, item)))
          : fail('value is not in list');
      });
    if (name === 'copy' && !(self instanceof Tuple)) return define(name, [], () => [...self]);
  }
  if (typeof self === 'number' && name === 'is_integer')
    return define(name, [], () => Number.isInteger(self));
  if (typeof self === 'bigint' && name === 'bit_length')
    return define(name, [], () => BigInt(self === 0n ? 0 : (self < 0n ? -self : self).toString(2).length));
  return undefined;
}

const show_ = (key: Value) => (key instanceof Str ? key.text : String(key));

export { words };
