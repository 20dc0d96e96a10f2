// A stream that one side fills and the other iterates. Values that came before
// an error are still delivered, unless they are dropped; leaving the loop early
// calls `cancel`.

export class PushStream<T> implements AsyncIterableIterator<T> {
  readonly #cancel: () => void;
  #values: T[] = [];
  #waiting: { resolve: (result: IteratorResult<T>) => void; reject: (reason: unknown) => void }[] = [];
  #end: { error: unknown } | 'done' | null = null;

  constructor(cancel: () => void) {
    this.#cancel = cancel;
  }

  push(value: T): void {
    const reader = this.#waiting.shift();
    if (reader) reader.resolve({ done: false, value });
    else this.#values.push(value);
  }

  /** Forgets what was pushed and not read yet. */
  drop(): void {
    this.#values = [];
  }

  close(): void {
    this.#end ??= 'done';
    for (const { resolve } of this.#waiting.splice(0)) resolve({ done: true, value: undefined });
  }

  fail(error: unknown): void {
    const [first, ...others] = this.#waiting.splice(0);
    // The error is for the first reader; after it the stream is simply over.
    if (first) {
      this.#end ??= 'done';
      first.reject(error);
    } else this.#end ??= { error };
    for (const { resolve } of others) resolve({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#values.length > 0) return Promise.resolve({ done: false, value: this.#values.shift()! });
    if (this.#end === null) return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    if (this.#end === 'done') return Promise.resolve({ done: true, value: undefined });
    const { error } = this.#end;
    this.#end = 'done';
    return Promise.reject(error);
  }

  return(): Promise<IteratorResult<T>> {
    this.drop();
    if (this.#end === null) this.#cancel();
    this.#end = 'done';
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
