// What a function, a filter or a method was called with, by name or by place.

import { type Arguments, Callable, fail, isUndefined, Str, typeName, type Value } from './values';

export class Taken {
  readonly #name: string;
  readonly #values = new Map<string, Value>();

  /** `names` in the order of their places. Refuses what has no name there. */
  constructor(name: string, names: readonly string[], { positional, named }: Arguments) {
    this.#name = name;
    if (positional.length > names.length)
      fail(`${name}() takes at most ${names.length} arguments (${positional.length} given)`);
    for (const [i, value] of positional.entries()) this.#values.set(names[i]!, value);
    for (const [key, value] of named) {
      if (!names.includes(key)) fail(`${name}() got an unexpected keyword argument '${key}'`);
      if (this.#values.has(key)) fail(`${name}() got multiple values for argument '${key}'`);
      this.#values.set(key, value);
    }
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  value(name: string, preset?: Value): Value {
    const value = this.#values.get(name) ?? preset;
    const given = this.#values.has(name) ? this.#values.get(name) : value;
    return given === undefined ? fail(`${this.#name}() missing required argument: '${name}'`) : given;
  }

  text(name: string, preset?: string): Str {
    const value = this.value(name, preset === undefined ? undefined : new Str(preset));
    if (value instanceof Str) return value;
    return fail(
      isUndefined(value) ? value.reason : `${this.#name}(): ${name} must be str, not ${typeName(value)}`,
    );
  }

  /** null stands for None or for what is absent. */
  textOrNone(name: string): Str | null {
    return !this.has(name) || this.value(name) === null ? null : this.text(name);
  }

  integer(name: string, preset?: number): number {
    const value = this.value(name, preset === undefined ? undefined : BigInt(preset));
    if (typeof value === 'bigint') return Number(value);
    if (typeof value === 'boolean') return value ? 1 : 0;
    return fail(`'${typeName(value)}' object cannot be interpreted as an integer`);
  }
}

export function define(
  name: string,
  names: readonly string[],
  body: (taken: Taken) => Value,
  type = 'builtin_function_or_method',
): Callable {
  return new Callable((args) => body(new Taken(name, names, args)), type);
}
