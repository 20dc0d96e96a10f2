// Jinja's filters, and transformers' tojson. What prints a random choice or a
// link is left out: no chat template has a use for it.

import { Taken } from './call';
import { formatted, percent } from './format';
import { dumps } from './json';
import { capitalize, method, words } from './methods';
import { strip } from './text';
import {
  type Arguments, Callable, compare, Dict, equal, escapeHtml, exact, fail, Generator, isNumber, isUndefined, iterate, length,
  repr, Str, show, str, Tuple, truthy, typeName, Undefined, type Value,
} from './values'; // biome-ignore format: one list

/** What filters need of the rest of the interpreter. */
export interface Tools {
  item(of: Value, key: Value): Value;
  filter(name: string, value: Value, args: Arguments): Value;
  test(name: string, value: Value, args: Arguments): boolean;
  add(a: Value, b: Value): Value;
}

type Filter = readonly [names: readonly string[], body: (value: Value, taken: Taken, tools: Tools) => Value];
type Raw = (value: Value, args: Arguments, tools: Tools) => Value;

const NONE: Arguments = { positional: [], named: new Map() };
const on = (body: (value: Str) => Value): Filter => [[], (value) => body(show(value))];
const viaMethod = (name: string): Filter => [[], (value) => call(show(value), name)];

function call(self: Str, name: string, ...positional: Value[]): Value {
  const found = method(self, name, () => fail('no members'));
  return found instanceof Callable ? found.call({ positional, named: new Map() }) : fail(`no method ${name}`);
}

/** "a.b.0" reads one after the other. */
function path(attribute: Value, tools: Tools, preset?: Value): (item: Value) => Value {
  if (attribute === null) return (item) => item;
  const keys =
    attribute instanceof Str
      ? attribute.text.split('.').map((part) => (/^\d+$/.test(part) ? BigInt(part) : str(part)))
      : [attribute];
  return (item) =>
    keys.reduce<Value>((value, key) => {
      const next = tools.item(value, key);
      return isUndefined(next) && preset !== undefined ? preset : next;
    }, item);
}

const folded = (value: Value, sensitive: boolean): Value =>
  !sensitive && value instanceof Str ? value.map((c) => c.toLowerCase()) : value;

function sorted<T>(items: readonly T[], key: (item: T) => Value, reverse: boolean): T[] {
  const keyed = items.map((item) => ({ item, key: key(item) }));
  const order = (a: Value, b: Value) => (equal(a, b) ? 0 : compare(a, b, '<'));
  keyed.sort((a, b) => (reverse ? order(b.key, a.key) : order(a.key, b.key)));
  return keyed.map(({ item }) => item);
}

function extreme(value: Value, taken: Taken, tools: Tools, sign: number): Value {
  const key = path(taken.value('attribute', null), tools);
  const sensitive = truthy(taken.value('case_sensitive', false));
  const items = iterate(value);
  if (items.length === 0) return new Undefined('No aggregated item, sequence was empty.');
  const by = (item: Value) => folded(key(item), sensitive);
  return items.reduce((best, item) => (sign * compare(by(item), by(best), '<') > 0 ? item : best));
}

function indent(value: Str, taken: Taken): Str {
  const width = taken.value('width', 4n);
  const prefix = width instanceof Str ? width : str(' '.repeat(taken.integer('width', 4)));
  const blank = truthy(taken.value('blank', false));
  const newline = str('\n');
  const whole = Str.concat([value, newline]);
  const lines = call(whole, 'splitlines') as Str[];
  const rest = lines.slice(1);
  const result = blank
    ? Str.join(lines, Str.concat([newline, prefix]))
    : rest.length === 0
      ? (lines[0] ?? str(''))
      : Str.concat([
          lines[0]!,
          newline,
          Str.join(
            rest.map((line) => (line.text === '' ? line : Str.concat([prefix, line]))),
            newline,
          ),
        ]);
  return truthy(taken.value('first', false)) ? Str.concat([prefix, result]) : result;
}

function toInteger(value: Value, preset: Value, base: number): Value {
  if (isNumber(value)) {
    const number = exact(value);
    if (typeof number === 'bigint') return number;
    return Number.isFinite(number) ? BigInt(Math.trunc(number)) : preset;
  }
  if (!(value instanceof Str)) return preset;
  const text = strip(value, 'both').text.replaceAll(/(?<=\d)_(?=\d)/g, '');
  const sign = text.startsWith('-') ? -1n : 1n;
  const digits = text.replace(/^[-+]/, '').toLowerCase();
  const prefix = { 2: '0b', 8: '0o', 16: '0x' }[base] ?? '';
  const bare = prefix !== '' && digits.startsWith(prefix) ? digits.slice(2) : digits;
  const valid = new RegExp(`^[${'0123456789abcdefghijklmnopqrstuvwxyz'.slice(0, base)}]+$`);
  if (valid.test(bare))
    return sign * [...bare].reduce((n, d) => n * BigInt(base) + BigInt(Number.parseInt(d, 36)), 0n);
  const float = toFloat(value, null);
  return typeof float === 'number' && Number.isFinite(float) ? BigInt(Math.trunc(float)) : preset;
}

function toFloat(value: Value, preset: Value): Value {
  if (isNumber(value)) return Number(exact(value));
  if (!(value instanceof Str)) return preset;
  const text = strip(value, 'both')
    .text.replaceAll(/(?<=\d)_(?=\d)/g, '')
    .toLowerCase();
  if (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/.test(text)) return Number(text);
  const word = /^([-+]?)(inf|infinity|nan)$/.exec(text);
  if (word === null) return preset;
  return word[2] === 'nan'
    ? Number.NaN
    : word[1] === '-'
      ? Number.NEGATIVE_INFINITY
      : Number.POSITIVE_INFINITY;
}

function round(value: Value, precision: number, how: string): Value {
  if (!isNumber(value)) return fail(`type ${typeName(value)} doesn't define __round__ method`);
  const number = exact(value);
  if (how === 'common') {
    if (typeof number === 'bigint' && precision >= 0) return number;
    if (precision >= 0) return Number(formatted(number, `.${Math.min(precision, 100)}f`).text);
    const scale = 10n ** BigInt(-precision);
    const exactly = typeof number === 'bigint' ? number : BigInt(Math.round(number));
    const low = ((exactly % scale) + scale) % scale;
    const down = exactly - low;
    const up = low * 2n > scale || (low * 2n === scale && (down / scale) % 2n !== 0n);
    const result = up ? down + scale : down;
    return typeof number === 'bigint' ? result : Number(result);
  }
  if (how !== 'ceil' && how !== 'floor') return fail('method must be common, ceil or floor');
  return Math[how](Number(number) * 10 ** precision) / 10 ** precision;
}

function truncate(value: Str, taken: Taken): Str {
  const most = taken.integer('length', 255);
  const end = taken.text('end', '...');
  const leeway = !taken.has('leeway') || taken.value('leeway') === null ? 5 : taken.integer('leeway');
  if (value.length <= most + leeway) return value;
  const cut = value.cut(0, value.unit(Math.max(0, most - end.length)));
  if (truthy(taken.value('killwords', false))) return Str.concat([cut, end]);
  const space = cut.text.lastIndexOf(' ');
  return Str.concat([space < 0 ? cut : cut.cut(0, space), end]);
}

function wordwrap(value: Str, taken: Taken): Str {
  const width = taken.integer('width', 79);
  const breaks = truthy(taken.value('break_long_words', true));
  const hyphens = truthy(taken.value('break_on_hyphens', true));
  const glue = taken.textOrNone('wrapstring') ?? str('\n');
  const lines = call(value, 'splitlines') as Str[];
  return Str.join(
    lines.map((line) => Str.join(wrapLine(line, width, breaks, hyphens), glue)),
    glue,
  );
}

/** textwrap.wrap with white space kept as it is, but for what a line would begin or end with. */
function wrapLine(line: Str, width: number, breaks: boolean, hyphens: boolean): Str[] {
  const pattern = hyphens ? /\s+|[^\s-]*\w{2,}-(?=\w{2})|-{2,}(?=\w)|\S+?(?=\s|-{2,}\w|$)|\S+/g : /\s+|\S+/g;
  const pieces = Array.from(line.text.matchAll(pattern), ({ index, 0: piece }) =>
    line.cut(index, index + piece.length),
  );
  const lines: Str[] = [];
  pieces.reverse();
  while (pieces.length > 0) {
    const current: Str[] = [];
    let used = 0;
    if (strip(pieces.at(-1)!, 'both').text === '' && lines.length > 0) pieces.pop();
    while (pieces.length > 0 && used + pieces.at(-1)!.length <= width) {
      const piece = pieces.pop()!;
      current.push(piece);
      used += piece.length;
    }
    const next = pieces.at(-1);
    if (next !== undefined && next.length > width) {
      const room = Math.max(1, width - used);
      if (breaks) {
        current.push(next.cut(0, next.unit(room)));
        pieces[pieces.length - 1] = next.cut(next.unit(room));
      } else if (current.length === 0) current.push(pieces.pop()!);
    }
    if (current.length > 0 && strip(current.at(-1)!, 'both').text === '') current.pop();
    if (current.length > 0) lines.push(Str.concat(current));
  }
  return lines;
}

function urlencode(value: Value): Str {
  const quote = (text: Value, slash: boolean) =>
    show(text).map((character) => {
      if (/[A-Za-z0-9_.~-]/.test(character) || (slash && character === '/')) return character;
      if (character === ' ' && !slash) return '+';
      return Array.from(
        new TextEncoder().encode(character),
        (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
      ).join('');
    });
  if (value instanceof Str || !(value instanceof Dict || Array.isArray(value))) return quote(value, true);
  const pairs =
    value instanceof Dict
      ? Array.from(value.entries.values())
      : value.map((pair) => iterate(pair) as [Value, Value]);
  const shown = pairs.map(([key, item]) => Str.concat([quote(key, false), str('='), quote(item, false)]));
  return Str.join(shown, str('&'));
}

function slices(items: Value[], count: number, fill: Value | undefined): Value[] {
  const each = Math.floor(items.length / count);
  const extra = items.length % count;
  let offset = 0;
  return Array.from({ length: count }, (_, i) => {
    const start = offset + i * each;
    if (i < extra) offset++;
    const part = items.slice(start, offset + (i + 1) * each);
    if (fill !== undefined && fill !== null && i >= extra && extra > 0) part.push(fill);
    return part;
  });
}

function batches(items: Value[], size: number, fill: Value): Value[] {
  const all: Value[][] = [];
  for (let at = 0; at < items.length; at += size) all.push(items.slice(at, at + size));
  const last = all.at(-1);
  if (last !== undefined && fill !== null) while (last.length < size) last.push(fill);
  return all;
}

function groups(value: Value, taken: Taken, tools: Tools): Value[] {
  const sensitive = truthy(taken.value('case_sensitive', false));
  const key = path(
    taken.value('attribute'),
    tools,
    taken.has('default') ? taken.value('default') : undefined,
  );
  const by = (item: Value) => folded(key(item), sensitive);
  const found: { key: Value; shown: Value; items: Value[] }[] = [];
  for (const item of sorted(iterate(value), by, false)) {
    const last = found.at(-1);
    if (last !== undefined && equal(last.key, by(item))) last.items.push(item);
    else found.push({ key: by(item), shown: key(item), items: [item] });
  }
  return found.map(({ shown, items }) =>
    Object.assign(Tuple.of_([shown, items]), { grouper: shown, list: items }),
  );
}

const SIZES = ['kB', 'MB', 'GB', 'TB', 'PB', 'EB', 'ZB', 'YB'];

function fileSize(value: Value, binary: boolean): Str {
  const bytes = toFloat(value, null);
  if (typeof bytes !== 'number') return fail('could not convert to float');
  const base = binary ? 1024 : 1000;
  if (bytes === 1) return str('1 Byte');
  if (bytes < base) return str(`${Math.trunc(bytes)} Bytes`);
  let unit = base;
  for (const [i, name] of SIZES.entries()) {
    unit = base ** (i + 2);
    const shown = binary ? `${name[0]!.toUpperCase()}iB` : name;
    if (bytes < unit || i === SIZES.length - 1)
      return str(`${formatted((base * bytes) / unit, '.1f').text} ${shown}`);
  }
  return fail('no such size');
}

const DEFAULT: Filter = [
  ['default_value', 'boolean'],
  (value, taken) =>
    isUndefined(value) || (truthy(taken.value('boolean', false)) && !truthy(value))
      ? taken.value('default_value', str(''))
      : value,
];
const ESCAPE: Filter = [[], (value) => escapeHtml(value)];
const LENGTH: Filter = [[], (value) => BigInt(length(value))];
const ordering = ['reverse', 'case_sensitive', 'attribute'];

const FILTERS: Readonly<Record<string, Filter>> = {
  abs: [[], (value) => {
    if (!isNumber(value)) return fail(`bad operand type for abs(): '${typeName(value)}'`);
    const number = exact(value);
    return number < 0 ? -number : number;
  }],
  attr: [['name'], (value, taken, tools) => {
    const name = taken.text('name');
    if (value instanceof Dict) return method(value, name.text, () => null) ?? new Undefined(`'dict object' has no attribute '${name.text}'`);
    return tools.item(value, name);
  }],
  batch: [['linecount', 'fill_with'], (value, taken) => new Generator(batches(iterate(value), taken.integer('linecount'), taken.value('fill_with', null)))],
  capitalize: on(capitalize),
  center: [['width'], (value, taken) => call(show(value), 'center', BigInt(taken.integer('width', 80)))],
  count: LENGTH,
  d: DEFAULT,
  default: DEFAULT,
  dictsort: [['case_sensitive', 'by', 'reverse'], (value, taken) => {
    if (!(value instanceof Dict)) return fail(`'${typeName(value)}' object has no attribute 'items'`);
    const by = taken.text('by', 'key').text;
    if (by !== 'key' && by !== 'value') fail('You can only sort by either "key" or "value"');
    const sensitive = truthy(taken.value('case_sensitive', false));
    const pairs = Array.from(value.entries.values());
    const key = (pair: [Value, Value]) => folded(pair[by === 'key' ? 0 : 1], sensitive);
    return sorted(pairs, key, truthy(taken.value('reverse', false))).map((pair) => Tuple.of_(pair));
  }],
  e: ESCAPE,
  escape: ESCAPE,
  filesizeformat: [['binary'], (value, taken) => fileSize(value, truthy(taken.value('binary', false)))],
  first: [[], (value) => iterate(value)[0] ?? new Undefined('No first item, sequence was empty.')],
  float: [['default'], (value, taken) => toFloat(value, taken.value('default', 0))],
  forceescape: [[], (value) => escapeHtml(show(value).as(false))],
  groupby: [['attribute', 'default', 'case_sensitive'], (value, taken, tools) => groups(value, taken, tools)],
  indent: [['width', 'first', 'blank'], (value, taken) => indent(show(value), taken)],
  int: [['default', 'base'], (value, taken) => toInteger(value, taken.value('default', 0n), taken.integer('base', 10))],
  items: [[], (value) => {
    if (isUndefined(value)) return new Generator([]);
    if (!(value instanceof Dict)) return fail('Can only get item pairs from a mapping.');
    return new Generator(Array.from(value.entries.values(), (pair) => Tuple.of_(pair)));
  }],
  join: [['d', 'attribute'], (value, taken, tools) => {
    const key = path(taken.value('attribute', null), tools);
    return Str.join(iterate(value).map((item) => show(key(item)).as(false)), show(taken.value('d', str(''))).as(false));
  }],
  last: [[], (value) => {
    if (value instanceof Generator) fail("'generator' object is not reversible");
    return iterate(value).at(-1) ?? new Undefined('No last item, sequence was empty.');
  }],
  length: LENGTH,
  list: [[], (value) => [...iterate(value)]],
  lower: viaMethod('lower'),
  max: [['case_sensitive', 'attribute'], (value, taken, tools) => extreme(value, taken, tools, 1)],
  min: [['case_sensitive', 'attribute'], (value, taken, tools) => extreme(value, taken, tools, -1)],
  pprint: [[], (value) => repr(value)],
  replace: [['old', 'new', 'count'], (value, taken) => {
    const count = !taken.has('count') || taken.value('count') === null ? -1n : BigInt(taken.integer('count'));
    return call(show(value), 'replace', show(taken.value('old')), show(taken.value('new')), count);
  }],
  reverse: [[], (value) => {
    if (value instanceof Str) return Str.concat(value.characters().reverse());
    if (value instanceof Generator) return [...iterate(value)].reverse();
    return new Generator([...iterate(value)].reverse());
  }],
  round: [['precision', 'method'], (value, taken) => round(value, taken.integer('precision', 0), taken.text('method', 'common').text)],
  safe: on((value) => value.as(true)),
  slice: [['slices', 'fill_with'], (value, taken) => new Generator(slices(iterate(value), taken.integer('slices'), taken.value('fill_with', null)))],
  sort: [ordering, (value, taken, tools) => {
    const sensitive = truthy(taken.value('case_sensitive', false));
    const attribute = taken.value('attribute', null);
    const keys = attribute instanceof Str ? attribute.text.split(',').map((one) => path(str(one), tools)) : [path(attribute, tools)];
    const key = (item: Value) => keys.length === 1 ? folded(keys[0]!(item), sensitive) : keys.map((one) => folded(one(item), sensitive));
    return sorted(iterate(value), key, truthy(taken.value('reverse', false)));
  }],
  string: on((value) => value),
  striptags: on((value) => {
    const bare = value.text.replace(/<!--[\s\S]*?-->/g, '').replace(/<[^>]*>/g, '');
    // Which characters of a rebuilt text came from a message is not worth telling apart: all of them count.
    const unescaped = words(new Str(bare)).map((word) => word.text).join(' ')
      .replace(/&(lt|gt|quot|amp|#34|#39);/g, (_, name: string) => ({ lt: '<', gt: '>', quot: '"', amp: '&', '#34': '"', '#39': "'" })[name]!);
    return value.mask.includes('1') ? Str.foreign(unescaped) : str(unescaped);
  }),
  sum: [['attribute', 'start'], (value, taken, tools) => {
    const key = path(taken.value('attribute', null), tools);
    return iterate(value).reduce<Value>((total, item) => tools.add(total, key(item)), taken.value('start', 0n));
  }],
  title: on((value) => titled(value)),
  tojson: [['ensure_ascii', 'indent', 'separators', 'sort_keys'], (value, taken) => {
    const width = taken.value('indent', null);
    const given = taken.value('separators', null);
    const [item, key] = given === null ? [] : iterate(given).map((one) => show(one).text);
    return dumps(value, {
      ascii: truthy(taken.value('ensure_ascii', false)),
      indent: width === null ? null : width instanceof Str ? width.text : ' '.repeat(taken.integer('indent')),
      separators: [item ?? (width === null ? ', ' : ','), key ?? ': '],
      sort: truthy(taken.value('sort_keys', false)),
    });
  }],
  trim: [['chars'], (value, taken) => strip(show(value), 'both', taken.textOrNone('chars')?.text)],
  truncate: [['length', 'killwords', 'end', 'leeway'], (value, taken) => truncate(show(value), taken)],
  unique: [['case_sensitive', 'attribute'], (value, taken, tools) => {
    const key = path(taken.value('attribute', null), tools);
    const sensitive = truthy(taken.value('case_sensitive', false));
    const seen = new Dict();
    return new Generator(iterate(value).filter((item) => {
      const by = folded(key(item), sensitive);
      const is = seen.get(by) === undefined;
      seen.set(by, true);
      return is;
    }));
  }],
  upper: viaMethod('upper'),
  urlencode: [[], urlencode],
  wordcount: on((value) => BigInt(value.text.match(/[\p{L}\p{N}_]+/gu)?.length ?? 0)),
  wordwrap: [['width', 'break_long_words', 'wrapstring', 'break_on_hyphens'], (value, taken) => wordwrap(show(value), taken)],
}; // biome-ignore format: a table

/** Jinja's own title: words begin after blanks, hyphens and opening brackets only. */
function titled(value: Str): Str {
  let begins = true;
  return value.map((character) => {
    const changed = begins ? character.toUpperCase() : character.toLowerCase();
    begins = /[-\s({[<]/.test(character);
    return changed;
  });
}

/** select, reject and their kin: which items pass, by a test of them or of their attribute. */
function selection(keep: boolean, byAttribute: boolean): Raw {
  return (value, { positional, named }, tools) => {
    const rest = [...positional];
    let key = (item: Value) => item;
    if (byAttribute) {
      if (rest.length === 0) fail('Missing parameter for attribute name');
      key = path(rest.shift()!, tools);
    }
    const name = rest.length > 0 ? show(rest.shift()!).text : null;
    const passes = (item: Value) =>
      name === null ? truthy(item) : tools.test(name, item, { positional: rest, named });
    return new Generator(iterate(value).filter((item) => passes(key(item)) === keep));
  };
}

const RAW: Readonly<Record<string, Raw>> = {
  select: selection(true, false),
  reject: selection(false, false),
  selectattr: selection(true, true),
  rejectattr: selection(false, true),
  map: (value, { positional, named }, tools) => {
    if (positional.length === 0 && named.has('attribute')) {
      const preset = named.get('default');
      const key = path(named.get('attribute')!, tools, preset);
      return new Generator(iterate(value).map(key));
    }
    const [name, ...rest] = positional;
    if (name === undefined) return fail('map requires a filter argument');
    const args = { positional: rest, named };
    return new Generator(iterate(value).map((item) => tools.filter(show(name).text, item, args)));
  },
  format: (value, { positional, named }) => {
    if (positional.length > 0 && named.size > 0)
      fail("can't handle positional and keyword arguments at the same time");
    const values =
      named.size > 0
        ? new Dict(Array.from(named, ([key, item]) => [str(key), item] as const))
        : Tuple.of_(positional);
    return percent(show(value), values);
  },
};

export function runFilter(name: string, value: Value, args: Arguments, tools: Tools): Value {
  if (Object.hasOwn(RAW, name)) return RAW[name]!(value, args, tools);
  const found = Object.hasOwn(FILTERS, name) ? FILTERS[name] : undefined;
  if (found === undefined) return fail(`No filter named '${name}'`);
  return found[1](value, new Taken(name, found[0], args), tools);
}

export const isFilter = (name: string): boolean => Object.hasOwn(FILTERS, name) || Object.hasOwn(RAW, name);
export { NONE };
