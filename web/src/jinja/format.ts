// Python's two ways to fill values into a text: `%` and str.format, with their
// flags, widths and precisions. What is filled in keeps where it came from.

import { Str } from './text';
import {
  type Arguments,
  Dict,
  exact,
  fail,
  isNumber,
  repr,
  show,
  showFloat,
  Tuple,
  typeName,
  type Value,
} from './values';

interface Spec {
  readonly fill: string;
  readonly align: string;
  readonly sign: string;
  readonly alternate: boolean;
  readonly grouping: string;
  readonly width: number;
  readonly precision: number | null;
  readonly type: string;
}

/** `template % values`. */
export function percent(template: Str, values: Value): Str {
  const list = values instanceof Tuple ? values : null;
  let next = 0;
  const take = (): Value => {
    if (list === null) return next++ === 0 ? values : fail('not enough arguments for format string');
    return next < list.length ? list[next++]! : fail('not enough arguments for format string');
  };
  const number = (text: string | undefined): number | null =>
    text === undefined || text === '' ? null : text === '*' ? Number(take()) : Number(text);
  const parts: Str[] = [];
  let at = 0;
  let named = false;
  const pattern = /%(?:\(([^)]*)\))?([-+ #0]*)(\*|\d+)?(?:\.(\*|\d*))?[hlL]?([\s\S])?/g;
  for (const match of template.text.matchAll(pattern)) {
    const [whole, key, flags = '', widthText, precisionText, type] = match;
    parts.push(template.cut(at, match.index));
    at = match.index + whole.length;
    if (type === undefined) fail('incomplete format');
    if (type === '%') {
      parts.push(template.cut(at - 1, at));
      continue;
    }
    const width = number(widthText) ?? 0;
    const precision = precisionText === '' ? 0 : number(precisionText);
    let value: Value;
    if (key !== undefined) {
      named = true;
      if (!(values instanceof Dict)) return fail('format requires a mapping');
      value = values.get(new Str(key)) ?? fail(`'${key}'`);
    } else value = take();
    const left = flags.includes('-');
    const zero = flags.includes('0') && !left;
    const sign = flags.includes('+') ? '+' : flags.includes(' ') ? ' ' : '-';
    const spec = {
      fill: ' ',
      align: left ? '<' : '>',
      sign,
      alternate: flags.includes('#'),
      grouping: '',
      width,
      precision,
      type,
    };
    if ('sra'.includes(type)) {
      const text = type === 's' ? show(value) : repr(value);
      parts.push(pad(precision === null ? text : text.cut(0, text.unit(precision)), spec));
    } else if (type === 'c') {
      parts.push(
        pad(typeof value === 'bigint' ? new Str(String.fromCodePoint(Number(value))) : show(value), spec),
      );
    } else {
      if (!isNumber(value)) return fail(`%${type} format: a real number is required, not ${typeName(value)}`);
      let wanted: bigint | number = exact(value);
      if ('diu'.includes(type) && typeof wanted === 'number') wanted = BigInt(Math.trunc(wanted));
      const padded = zero ? { ...spec, fill: '0', align: '=' } : spec;
      parts.push(
        numeric(wanted, {
          ...padded,
          type: 'iu'.includes(type) ? 'd' : type,
          precision: 'diuxXo'.includes(type) ? null : precision,
        }),
      );
    }
  }
  parts.push(template.cut(at));
  const used =
    list === null
      ? next > 0 || named || values instanceof Dict || Array.isArray(values)
      : next === list.length;
  if (!used) fail('not all arguments converted during string formatting');
  return Str.concat(parts).as(template.markup);
}

/** `template.format(...)`; `member` reads an attribute or an item. */
export function format(
  template: Str,
  args: Arguments,
  member: (of: Value, key: string, item: boolean) => Value,
): Str {
  let automatic = 0;
  const fill = (text: Str, depth: number): Str => {
    if (depth > 2) fail('Max string recursion exceeded');
    const parts: Str[] = [];
    let at = 0;
    while (at < text.text.length) {
      const found = /[{}]/.exec(text.text.slice(at));
      if (found === null) break;
      const open = at + found.index;
      parts.push(text.cut(at, open));
      if (text.text[open + 1] === found[0]) {
        parts.push(text.cut(open, open + 1));
        at = open + 2;
        continue;
      }
      if (found[0] === '}') fail("Single '}' encountered in format string");
      let close = open + 1;
      for (let nesting = 1; ; close++) {
        if (close >= text.text.length) fail("expected '}' before end of string");
        if (text.text[close] === '{') nesting++;
        else if (text.text[close] === '}' && --nesting === 0) break;
      }
      const field = /^([^!:]*)(?:!([sra]))?(?::([\s\S]*))?$/.exec(text.text.slice(open + 1, close));
      if (field === null) return fail('expected ":" after conversion specifier');
      const [, path = '', conversion, specText = ''] = field;
      let value = lookUp(path);
      if (conversion !== undefined) value = conversion === 's' ? show(value) : repr(value);
      parts.push(formatted(value, fill(text.cut(close - specText.length, close), depth + 1).text));
      at = close + 1;
    }
    parts.push(text.cut(at));
    return Str.concat(parts).as(text.markup);
  };
  const lookUp = (path: string): Value => {
    const [first = ''] = /^[^.[]*/.exec(path) ?? [];
    const key = first === '' ? String(automatic++) : first;
    let value: Value = /^\d+$/.test(key)
      ? (args.positional[Number(key)] ?? fail('Replacement index out of range for positional args tuple'))
      : (args.named.get(key) ?? fail(`'${key}'`));
    for (const [, name, item] of path.slice(first.length).matchAll(/\.([^.[]+)|\[([^\]]+)\]/g))
      value = member(value, (name ?? item)!, name === undefined);
    return value;
  };
  return fill(template, 0);
}

/** `format(value, spec)`. */
export function formatted(value: Value, specText: string): Str {
  const match = /^(?:([\s\S])?([<>=^]))?([-+ ]?)(#?)(0?)(\d+)?([,_]?)(?:\.(\d+))?([bcdeEfFgGnosxX%]?)$/u.exec(
    specText,
  );
  if (match === null) return fail(`Invalid format specifier '${specText}'`);
  const [, fill, align, sign, alternate, zero, width, grouping, precision, type] = match;
  const number = isNumber(value) && (typeof value !== 'boolean' || type !== '');
  const spec: Spec = {
    fill: fill ?? (zero ? '0' : ' '),
    align: align ?? (zero && number ? '=' : number ? '>' : '<'),
    sign: sign || '-',
    alternate: alternate === '#',
    grouping: grouping ?? '',
    width: Number(width ?? 0),
    precision: precision === undefined ? null : Number(precision),
    type: type ?? '',
  };
  if (number) return numeric(exact(value), spec);
  if (type !== '' && type !== 's')
    fail(`Unknown format code '${type}' for object of type '${typeName(value)}'`);
  if (!(value instanceof Str) && typeof value !== 'boolean' && specText !== '')
    fail(`unsupported format string passed to ${typeName(value)}.__format__`);
  const text = show(value);
  return pad(spec.precision === null ? text : text.cut(0, text.unit(spec.precision)), spec);
}

function pad(text: Str, { fill, align, width }: Spec): Str {
  const missing = Math.max(0, width - text.length);
  const left = align === '^' ? missing >> 1 : align === '<' ? 0 : missing;
  return Str.concat([new Str(fill.repeat(left)), text.as(false), new Str(fill.repeat(missing - left))]);
}

function numeric(value: bigint | number, spec: Spec): Str {
  const { type, precision, alternate, fill, align, width } = spec;
  const whole = typeof value === 'bigint' && (type === '' || 'bcdnoxX'.includes(type));
  if (typeof value === 'number' && 'bcdoxX'.includes(type) && type !== '')
    fail(`Unknown format code '${type}' for object of type 'float'`);
  const negative = value < 0 || Object.is(value, -0);
  let digits: string;
  if (whole) {
    const magnitude = value < 0n ? -value : value;
    if (type === 'c') return pad(new Str(String.fromCodePoint(Number(value))), spec);
    const base = { b: 2, o: 8, x: 16, X: 16 }[type] ?? 10;
    digits = magnitude.toString(base);
    if (alternate && base !== 10) digits = `0${type.toLowerCase()}${digits}`;
    if (type === 'X') digits = digits.toUpperCase();
  } else digits = real(Math.abs(Number(value)), type, precision);
  if (spec.grouping !== '')
    digits = digits.replace(/^\d+/, (all) => all.replace(/\B(?=(\d{3})+$)/g, spec.grouping));
  const sign = negative ? '-' : spec.sign === '-' ? '' : spec.sign;
  if (align !== '=') return pad(new Str(sign + digits), spec);
  return new Str(sign + fill.repeat(Math.max(0, width - sign.length - digits.length)) + digits);
}

function real(value: number, type: string, precision: number | null): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'nan' : 'inf';
  const lower = type.toLowerCase();
  const exponential = (digits: string) => digits.replace(/e([-+])(\d)$/, 'e$10$2');
  let shown: string;
  if (lower === 'f') shown = fixed(value, precision ?? 6);
  else if (lower === '%') shown = `${fixed(value * 100, precision ?? 6)}%`;
  else if (lower === 'e') shown = exponential(value.toExponential(precision ?? 6));
  else if (lower === '' && precision === null) shown = showFloat(value);
  else {
    const p = precision === 0 ? 1 : (precision ?? 6);
    const exponent = value === 0 ? 0 : Number(value.toExponential(p - 1).split('e')[1]);
    const general =
      exponent < -4 || exponent >= p - (lower === '' ? 1 : 0)
        ? exponential(value.toExponential(p - 1).replace(/\.?0+e/, 'e'))
        : fixed(value, Math.max(0, p - 1 - exponent))
            .replace(/(\.\d*?)0+$/, '$1')
            .replace(/\.$/, '');
    shown = lower === '' && !/[.e]/.test(general) ? `${general}.0` : general;
  }
  return type === type.toUpperCase() && type !== lower ? shown.toUpperCase() : shown;
}

/** toFixed rounds by the exact binary value up to 1e21, as Python does, but for ties: half to even. */
export function fixed(value: number, digits: number): string {
  if (value >= 1e21) return BigInt(value).toString() + (digits > 0 ? `.${'0'.repeat(digits)}` : '');
  const scaled = value * 10 ** digits;
  // Only halves that binary holds exactly are ties; there are few digits in them.
  if (digits <= 15 && scaled < 2 ** 50 && scaled / 10 ** digits === value && scaled % 1 === 0.5) {
    const even = 2 * Math.round(scaled / 2);
    if (Number.isInteger(value * 2 ** 20)) return (even / 10 ** digits).toFixed(digits);
  }
  return value.toFixed(digits);
}
