// json.dumps as transformers' tojson calls it: nothing is escaped for HTML, and
// non-ASCII text stays unless it is asked to go.

import {
  compare,
  Dict,
  equal,
  fail,
  isNumber,
  repr,
  Sequence,
  Str,
  str,
  typeName,
  type Value,
} from './values';

export interface JsonOptions {
  readonly ascii: boolean;
  /** What one level is indented by; null: all on one line. */
  readonly indent: string | null;
  readonly separators: readonly [item: string, key: string];
  readonly sort: boolean;
}

const NAMED: Readonly<Record<string, string>> = {
  '"': '\\"', '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t', '\b': '\\b', '\f': '\\f',
}; // biome-ignore format: one line

export function dumps(value: Value, options: JsonOptions, depth = 0): Str {
  if (value === null) return str('null');
  if (typeof value === 'boolean') return str(String(value));
  if (typeof value === 'number') {
    if (Number.isNaN(value)) return str('NaN');
    return Number.isFinite(value) ? repr(value) : str(value > 0 ? 'Infinity' : '-Infinity');
  }
  if (typeof value === 'bigint') return str(String(value));
  if (value instanceof Str) return quoted(value, options.ascii);
  if (depth > 200) fail('it nests too deeply');
  if (Array.isArray(value))
    return wrapped(
      '[]',
      value.map((item) => dumps(item, options, depth + 1)),
      options,
      depth,
    );
  if (value instanceof Dict) {
    const pairs = Array.from(value.entries.values());
    if (options.sort) pairs.sort(([a], [b]) => (equal(a, b) ? 0 : compare(a, b, '<')));
    const shown = pairs.map(([key, item]) =>
      Str.concat([
        quoted(keyText(key), options.ascii),
        str(options.separators[1]),
        dumps(item, options, depth + 1),
      ]),
    );
    return wrapped('{}', shown, options, depth);
  }
  return fail(
    `Object of type ${value instanceof Sequence ? value.type : typeName(value)} is not JSON serializable`,
  );
}

function wrapped(ends: string, items: Str[], { indent, separators }: JsonOptions, depth: number): Str {
  if (items.length === 0) return str(ends);
  const line = (level: number) => (indent === null ? '' : `\n${indent.repeat(level)}`);
  const glue = str(separators[0] + line(depth + 1));
  const inner = Str.join(items, glue);
  return Str.concat([str(ends[0]! + line(depth + 1)), inner, str(line(depth) + ends[1]!)]);
}

function keyText(key: Value): Str {
  if (key instanceof Str) return key;
  if (key === null || isNumber(key))
    return key === null ? str('null') : typeof key === 'boolean' ? str(String(key)) : repr(key);
  return fail(`keys must be str, int, float, bool or None, not ${typeName(key)}`);
}

function quoted(value: Str, ascii: boolean): Str {
  const inner = value.as(false).map((character) => {
    const named = NAMED[character];
    if (named !== undefined) return named;
    if (character >= ' ' && (!ascii || character <= '~')) return character;
    return Array.from({ length: character.length }, (_, i) => {
      return `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`;
    }).join('');
  });
  return Str.concat([str('"'), inner, str('"')]);
}
