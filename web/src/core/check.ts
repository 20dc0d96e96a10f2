// Reading JSON that somebody else wrote. Each function returns a value of the
// type it names or throws one sentence with the field's path. It knows no
// format; manifests, model lists and worker facts are read with it.

import type { SlmErrorCode } from '../api/types';
import { SlmError } from './error';

export class Reader {
  readonly #what: string;
  readonly #code: SlmErrorCode;

  /** `what` opens every sentence: "The manifest". */
  constructor(what: string, code: SlmErrorCode) {
    this.#what = what;
    this.#code = code;
  }

  fail(path: string, expected: string, found: unknown): never {
    const shown = found === undefined ? 'nothing' : (JSON.stringify(found) ?? String(found)).slice(0, 80);
    throw new SlmError(
      this.#code,
      `${this.#what} is not usable: expected ${path} to be ${expected}, found ${shown}.`,
    );
  }

  parse(text: string): unknown {
    try {
      return JSON.parse(text);
    } catch {
      return this.fail('the whole text', 'JSON', text);
    }
  }

  object(value: unknown, path: string): Record<string, unknown> {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return this.fail(path, 'an object', value);
    return value as Record<string, unknown>;
  }

  array(value: unknown, path: string, min: number, max: number): unknown[] {
    if (!Array.isArray(value) || value.length < min || value.length > max)
      return this.fail(path, `a list of ${min} to ${max}`, Array.isArray(value) ? value.length : value);
    return value;
  }

  string(value: unknown, path: string, pattern: RegExp, expected: string): string {
    if (typeof value !== 'string' || !pattern.test(value)) return this.fail(path, expected, value);
    return value;
  }

  text(value: unknown, path: string, max = 1000): string {
    if (typeof value !== 'string' || value.length > max)
      return this.fail(path, `text of at most ${max} characters`, value);
    return value;
  }

  optionalText(value: unknown, path: string, max?: number): string | null {
    return value === undefined || value === null ? null : this.text(value, path, max);
  }

  integer(value: unknown, path: string, min: number, max: number): number {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      return this.fail(path, `a whole number from ${min} to ${max}`, value);
    return value;
  }

  number(value: unknown, path: string): number {
    if (typeof value !== 'number' || !Number.isFinite(value)) return this.fail(path, 'a number', value);
    return value;
  }
}
