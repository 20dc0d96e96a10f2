// Where names live: a chain of scopes, the template's variables at its end.

import { type Dict, fail, Namespace, str, TemplateError, Undefined, type Value } from './values';

export class Scope {
  readonly #names = new Map<string, Value>();
  readonly #outer: Scope | null;

  constructor(outer: Scope | null, names: Iterable<readonly [string, Value]> = []) {
    this.#outer = outer;
    for (const [name, value] of names) this.#names.set(name, value);
  }

  get(name: string): Value {
    for (let scope: Scope | null = this; scope !== null; scope = scope.#outer) {
      const value = scope.#names.get(name);
      if (value !== undefined) return value;
    }
    return new Undefined(`'${name}' is undefined`);
  }

  set(name: string, value: Value): void {
    this.#names.set(name, value);
  }

  /** `{% set of.name = value %}`, for namespaces alone. */
  setMember(of: string, name: string, value: Value): void {
    const target = this.get(of);
    if (!(target instanceof Namespace))
      throw new TemplateError('cannot assign attribute on non-namespace object');
    checkName(name);
    target.attributes.set(str(name), value);
  }
}

/** namespace(...): as dict(...), but no name that begins with an underscore. */
export function namespace(attributes: Dict): Namespace {
  for (const key of attributes.items())
    if (typeof key === 'object' && key !== null && 'text' in key) checkName(key.text as string);
  return new Namespace(attributes);
}

function checkName(name: string): void {
  if (name.startsWith('_'))
    fail(`Chat templates cannot store underscore-prefixed attributes on a namespace, but got '${name}'`);
}
