// The variable `loop` inside a loop.

import { Callable, equal, fail, Obj, str, Undefined, type Value } from './values';

export class Loop extends Obj {
  readonly type = 'LoopContext';
  readonly #items: readonly Value[];
  readonly #depth: number;
  readonly #again: ((items: Value) => Value) | null;
  #changed: readonly Value[] | null = null;
  index0 = -1;

  /** `again` renders the loop's body over other items, where it is recursive. */
  constructor(items: readonly Value[], depth: number, again: ((items: Value) => Value) | null) {
    super();
    this.#items = items;
    this.#depth = depth;
    this.#again = again;
  }

  call(items: Value): Value {
    return this.#again === null
      ? fail("The loop must have the 'recursive' marker to be called recursively.")
      : this.#again(items);
  }

  override length() {
    return this.#items.length;
  }

  override repr() {
    return str(`<LoopContext ${this.index0 + 1}/${this.#items.length}>`);
  }

  override attribute(name: string): Value | undefined {
    const n = this.#items.length;
    const at = this.index0;
    switch (name) {
      case 'index':
        return BigInt(at + 1);
      case 'index0':
        return BigInt(at);
      case 'revindex':
        return BigInt(n - at);
      case 'revindex0':
        return BigInt(n - at - 1);
      case 'first':
        return at === 0;
      case 'last':
        return at === n - 1;
      case 'length':
        return BigInt(n);
      case 'depth':
        return BigInt(this.#depth + 1);
      case 'depth0':
        return BigInt(this.#depth);
      case 'previtem':
        return this.#items[at - 1] ?? new Undefined('there is no previous item');
      case 'nextitem':
        return this.#items[at + 1] ?? new Undefined('there is no next item');
      case 'cycle':
        return new Callable(
          ({ positional }) => positional[at % positional.length] ?? fail('no items for cycling given'),
        );
      case 'changed':
        return new Callable(({ positional }) => {
          const before = this.#changed;
          this.#changed = positional;
          return !(
            before?.length === positional.length && before.every((value, i) => equal(value, positional[i]!))
          );
        });
      default:
        return undefined;
    }
  }
}
