// A parsed template run on variables: Jinja as transformers sets it up, down to
// how values are printed. What a template can reach is what is made here, so it
// needs no other sandbox; what it can use up is bounded.

import { define } from './call';
import { isFilter, NONE, runFilter, type Tools } from './filters';
import { Loop } from './loop';
import type { Args, Expression, MacroNode, Statement, Target } from './nodes';
import { add, attribute, binary, item, negated, slice, unpacked } from './operators';
import { parse } from './parser';
import { namespace, Scope } from './scope';
import { isTest, runTest } from './tests';
import { strftime } from './time';
import {
  type Arguments, Callable, compare, contains, Dict, equal, fail, fromJs, isUndefined, iterate, Sequence, Str, show, str,
  TemplateError, Tuple, truthy, typeName, Undefined, type Value,
} from './values'; // biome-ignore format: one list

const MAX_CALLS = 200;
const MAX_RANGE = 100_000;
/** Loop rounds and calls of one rendering; a long conversation takes thousands. */
const MAX_STEPS = 5_000_000;

type Signal = 'break' | 'continue' | null;

export class Template {
  readonly #body: readonly Statement[];

  /** Throws SyntaxProblem. */
  constructor(source: string) {
    this.#body = parse(source, { filter: isFilter, test: isTest });
  }

  /** Texts in `foreign` are known in the result as not the template's. Throws TemplateError. */
  render(
    own: Readonly<Record<string, unknown>>,
    foreign: Readonly<Record<string, unknown>> = {},
    now: () => Date = () => new Date(),
  ): Str {
    const out: Str[] = [];
    try {
      const names = [own, foreign].flatMap((variables, i) =>
        Object.entries(variables)
          .filter(([, value]) => value !== undefined)
          .map(([name, value]) => [name, fromJs(value, i === 1)] as const),
      );
      const top = new Scope(new Scope(null, globals(now)), names);
      new Run().statements(this.#body, new Scope(top), out);
    } catch (error) {
      if (error instanceof RangeError) throw new TemplateError('it nests too deeply', { cause: error });
      throw error;
    }
    return Str.concat(out);
  }
}

function globals(now: () => Date): [string, Value][] {
  const dict = ({ positional, named }: Arguments): Dict => {
    const [first] = positional;
    const pairs =
      first === undefined
        ? []
        : first instanceof Dict
          ? first.entries.values()
          : iterate(first).map((pair) => unpacked(pair, 2) as [Value, Value]);
    const made = new Dict(pairs);
    for (const [key, value] of named) made.set(str(key), value);
    return made;
  };
  return [
    ['range', define('range', ['start', 'stop', 'step'], (taken) => range(taken.integer('start'), taken.has('stop') ? taken.integer('stop') : null, taken.integer('step', 1)))],
    ['dict', new Callable(dict)],
    ['namespace', new Callable((args) => namespace(dict(args)))],
    ['raise_exception', define('raise_exception', ['message'], (taken) => fail(show(taken.value('message')).text))],
    ['strftime_now', define('strftime_now', ['format'], (taken) => str(strftime(now(), taken.text('format').text)))],
    ['cycler', new Callable(({ positional }) => cycler(positional))],
    ['joiner', define('joiner', ['sep'], (taken) => {
      const sep = taken.value('sep', str(', '));
      let used = false;
      return new Callable(() => {
        const first = !used;
        used = true;
        return first ? str('') : sep;
      });
    })],
  ]; // biome-ignore format: a table
}

function range(start: number, stop: number | null, step: number): Sequence {
  const [from, to] = stop === null ? [0, start] : [start, stop];
  if (step === 0) fail('range() arg 3 must not be zero');
  const n = Math.max(0, Math.ceil((to - from) / step));
  if (n > MAX_RANGE) fail(`Range too big. The sandbox blocks ranges larger than MAX_RANGE (${MAX_RANGE}).`);
  const items = Array.from({ length: n }, (_, i) => BigInt(from + i * step));
  return new Sequence('range', items, `range(${from}, ${to}${step === 1 ? '' : `, ${step}`})`);
}

function cycler(items: readonly Value[]): Value {
  if (items.length === 0) fail('at least one item has to be provided');
  let at = 0;
  const next = new Callable(() => {
    const value = items[at]!;
    at = (at + 1) % items.length;
    return value;
  });
  const reset = new Callable(() => {
    at = 0;
    return null;
  });
  const self = new (class extends Callable {
    override attribute(name: string): Value | undefined {
      if (name === 'next') return next;
      if (name === 'current') return items[at];
      if (name === 'reset') return reset;
      return undefined;
    }
  })(() => fail("'Cycler' object is not callable"), 'Cycler');
  return self;
}

class Run implements Tools {
  #calls = 0;
  #steps = 0;
  readonly item = item;
  readonly add = add;

  #step(): void {
    if (++this.#steps > MAX_STEPS) fail('it runs too long');
  }

  // ---- statements ----

  statements(body: readonly Statement[], scope: Scope, out: Str[]): Signal {
    for (const statement of body) {
      const signal = this.#statement(statement, scope, out);
      if (signal !== null) return signal;
    }
    return null;
  }

  #statement(statement: Statement, scope: Scope, out: Str[]): Signal {
    switch (statement.type) {
      case 'data':
        out.push(str(statement.text));
        return null;
      case 'output':
        out.push(show(this.evaluate(statement.value, scope)));
        return null;
      case 'for':
        this.#loop(statement, this.evaluate(statement.over, scope), scope, out, 0);
        return null;
      case 'if': {
        const taken = statement.branches.find(([test]) => truthy(this.evaluate(test, scope)));
        return this.statements(taken?.[1] ?? statement.otherwise, scope, out);
      }
      case 'set':
        this.#assign(statement.target, this.evaluate(statement.value, scope), scope);
        return null;
      case 'capture': {
        const text = this.#captured(statement.body, new Scope(scope));
        const value = statement.filter === null ? text : this.evaluate(statement.filter, scope, text);
        this.#assign(statement.target, value, scope);
        return null;
      }
      case 'macro':
        scope.set(statement.macro.name, this.#macro(statement.macro, scope));
        return null;
      case 'call': {
        const { callee, args } = statement.call as Expression & { type: 'call' };
        const caller = this.#macro(statement.caller, scope);
        const given = this.#arguments(args, scope);
        const named = new Map([...given.named, ['caller', caller] as const]);
        out.push(show(this.#call(this.evaluate(callee, scope), { ...given, named })));
        return null;
      }
      case 'filter':
        out.push(
          show(this.evaluate(statement.filter, scope, this.#captured(statement.body, new Scope(scope)))),
        );
        return null;
      case 'with': {
        const inner = new Scope(scope);
        const values = statement.names.map(
          ([target, value]) => [target, this.evaluate(value, scope)] as const,
        );
        for (const [target, value] of values) this.#assign(target, value, inner);
        return this.statements(statement.body, inner, out);
      }
      case 'scope':
        return this.statements(statement.body, new Scope(scope), out);
      case 'refuse':
        return fail(statement.reason);
      default:
        return statement.type;
    }
  }

  #captured(body: readonly Statement[], scope: Scope): Str {
    const out: Str[] = [];
    this.statements(body, scope, out);
    return Str.concat(out);
  }

  #loop(node: Statement & { type: 'for' }, over: Value, scope: Scope, out: Str[], depth: number): void {
    let items = iterate(over);
    const { condition } = node;
    if (condition !== null)
      items = items.filter((value) => {
        const inner = new Scope(scope);
        this.#assign(node.target, value, inner);
        return truthy(this.evaluate(condition, inner));
      });
    const again = (other: Value): Value => {
      const inner: Str[] = [];
      this.#deeper(() => this.#loop(node, other, scope, inner, depth + 1));
      return Str.concat(inner);
    };
    const loop = new Loop(items, depth, node.recursive ? again : null);
    for (const value of items) {
      this.#step();
      loop.index0++;
      const inner = new Scope(scope, [['loop', loop]]);
      this.#assign(node.target, value, inner);
      if (this.statements(node.body, inner, out) === 'break') return;
    }
    if (items.length === 0) this.statements(node.otherwise, new Scope(scope), out);
  }

  #assign(target: Target, value: Value, scope: Scope): void {
    if (target.type === 'name') scope.set(target.name, value);
    else if (target.type === 'member') scope.setMember(target.of, target.name, value);
    else
      for (const [i, one] of unpacked(value, target.items.length).entries())
        this.#assign(target.items[i]!, one, scope);
  }

  #deeper<T>(body: () => T): T {
    if (++this.#calls > MAX_CALLS) fail('it nests too deeply');
    const result = body();
    this.#calls--;
    return result;
  }

  #macro({ name, parameters, body }: MacroNode, scope: Scope): Callable {
    const uses = names(body);
    const run = ({ positional, named }: Arguments): Value => {
      const inner = new Scope(scope);
      const rest = new Map(named);
      parameters.forEach((parameter, i) => {
        let value = positional[i];
        if (value === undefined) value = rest.get(parameter.name);
        else if (rest.has(parameter.name))
          fail(`macro '${name}' got multiple values for argument '${parameter.name}'`);
        rest.delete(parameter.name);
        if (value === undefined)
          value =
            parameter.preset !== null
              ? this.evaluate(parameter.preset, inner)
              : new Undefined(`parameter '${parameter.name}' was not provided`);
        inner.set(parameter.name, value);
      });
      if (uses.has('caller') && !parameters.some((one) => one.name === 'caller')) {
        inner.set('caller', rest.get('caller') ?? new Undefined('No caller defined'));
        rest.delete('caller');
      }
      if (uses.has('kwargs'))
        inner.set('kwargs', new Dict(Array.from(rest, ([key, value]) => [str(key), value] as const)));
      else if (rest.has('caller'))
        fail(`macro '${name}' was invoked with two values for the special caller argument`);
      else if (rest.size > 0) fail(`macro '${name}' takes no keyword argument '${rest.keys().next().value}'`);
      const extra = positional.slice(parameters.length);
      if (uses.has('varargs')) inner.set('varargs', tuple(extra));
      else if (extra.length > 0) fail(`macro '${name}' takes not more than ${parameters.length} argument(s)`);
      return this.#deeper(() => this.#captured(body, inner));
    };
    return new Callable(run, 'Macro', {
      name: str(name),
      arguments: tuple(parameters.map((one) => str(one.name))),
      catch_kwargs: uses.has('kwargs'),
      catch_varargs: uses.has('varargs'),
      caller: uses.has('caller'),
    });
  }

  // ---- expressions ----

  /** `body` is what a filter without an expression before it works on. */
  evaluate(node: Expression, scope: Scope, body?: Str): Value {
    switch (node.type) {
      case 'const':
        return typeof node.value === 'string' ? str(node.value) : node.value;
      case 'name':
        return scope.get(node.name);
      case 'list':
        return node.items.map((one) => this.evaluate(one, scope));
      case 'tuple':
        return tuple(node.items.map((one) => this.evaluate(one, scope)));
      case 'dict':
        return new Dict(
          node.pairs.map(([key, value]) => [this.evaluate(key, scope), this.evaluate(value, scope)] as const),
        );
      case 'attribute':
        return attribute(this.evaluate(node.of, scope, body), node.name);
      case 'item': {
        const of = this.evaluate(node.of, scope, body);
        if (node.key.type !== 'slice') return item(of, this.evaluate(node.key, scope));
        return slice(
          of,
          node.key.parts.map((part) => (part === null ? null : this.evaluate(part, scope))),
        );
      }
      case 'slice':
        return fail('a slice stands alone');
      case 'call':
        return this.#call(this.evaluate(node.callee, scope, body), this.#arguments(node.args, scope));
      case 'filter': {
        const value = node.of === null ? (body ?? str('')) : this.evaluate(node.of, scope, body);
        return this.filter(node.name, value, this.#arguments(node.args, scope));
      }
      case 'test':
        return this.test(node.name, this.evaluate(node.of, scope), this.#arguments(node.args, scope));
      case 'not':
        return !truthy(this.evaluate(node.of, scope));
      case 'neg':
      case 'pos':
        return negated(this.evaluate(node.of, scope), node.type === 'neg' ? '-' : '+');
      case 'and':
      case 'or': {
        const left = this.evaluate(node.left, scope);
        return truthy(left) === (node.type === 'or') ? left : this.evaluate(node.right, scope);
      }
      case 'binary':
        return binary(node.operator, this.evaluate(node.left, scope), this.evaluate(node.right, scope));
      case 'concat':
        return Str.concat(node.items.map((one) => show(this.evaluate(one, scope))));
      case 'compare':
        return this.#compare(node, scope);
      default: {
        if (truthy(this.evaluate(node.test, scope))) return this.evaluate(node.yes, scope, body);
        return node.no === null
          ? new Undefined('the inline if-expression evaluated to false and no else section was defined.')
          : this.evaluate(node.no, scope, body);
      }
    }
  }

  #compare({ of, steps }: Expression & { type: 'compare' }, scope: Scope): Value {
    let left = this.evaluate(of, scope);
    for (const [sign, expression] of steps) {
      const right = this.evaluate(expression, scope);
      if (!holds(sign, left, right)) return false;
      left = right;
    }
    return true;
  }

  #arguments({ positional, named, rest, restNamed }: Args, scope: Scope): Arguments {
    if (positional.length === 0 && named.length === 0 && rest === null && restNamed === null) return NONE;
    const values = positional.map((one) => this.evaluate(one, scope));
    if (rest !== null) values.push(...iterate(this.evaluate(rest, scope)));
    const pairs = named.map(([name, value]) => [name, this.evaluate(value, scope)] as const);
    if (restNamed !== null) {
      const more = this.evaluate(restNamed, scope);
      if (!(more instanceof Dict)) return fail(`argument after ** must be a mapping, not ${typeName(more)}`);
      for (const [key, value] of more.entries.values()) pairs.push([show(key).text, value]);
    }
    return { positional: values, named: new Map(pairs) };
  }

  #call(callee: Value, args: Arguments): Value {
    this.#step();
    if (callee instanceof Callable) return callee.call(args);
    if (callee instanceof Loop)
      return callee.call(args.positional[0] ?? fail('loop() takes what to loop over'));
    return fail(isUndefined(callee) ? callee.reason : `'${typeName(callee)}' object is not callable`);
  }

  filter(name: string, value: Value, args: Arguments): Value {
    this.#step();
    return runFilter(name, value, args, this);
  }

  test(name: string, value: Value, args: Arguments): boolean {
    if (name === 'filter') return isFilter(show(value).text);
    if (name === 'test') return isTest(show(value).text);
    return runTest(name, value, args);
  }
}

const tuple = (items: readonly Value[]): Tuple => Tuple.of_(items);

function holds(sign: string, a: Value, b: Value): boolean {
  switch (sign) {
    case '==':
      return equal(a, b);
    case '!=':
      return !equal(a, b);
    case 'in':
      return contains(b, a);
    case 'not in':
      return !contains(b, a);
    case '<':
      return compare(a, b, sign) < 0;
    case '<=':
      return compare(a, b, sign) <= 0;
    case '>':
      return compare(a, b, sign) > 0;
    default:
      return compare(a, b, sign) >= 0;
  }
}

/** The names that a macro's body reads: what it is given depends on them. */
function names(body: readonly Statement[]): Set<string> {
  const found = new Set<string>();
  const walk = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(walk);
    else if (typeof node === 'object' && node !== null) {
      const { type, name } = node as { type?: unknown; name?: unknown };
      if (type === 'name' && typeof name === 'string') found.add(name);
      Object.values(node).forEach(walk);
    }
  };
  walk(body);
  return found;
}
