// The little of Node that the unit tests use. @types/node would put Node's
// globals beside the DOM's in every file of the project.

declare module 'node:test' {
  type Body = () => void | Promise<void>;
  export function test(name: string, body: Body): Promise<void>;
  export function test(name: string, options: { readonly skip: string | false }, body: Body): Promise<void>;
  export const mock: {
    readonly timers: {
      enable(options: { apis: readonly ('setTimeout' | 'Date')[] }): void;
      tick(milliseconds: number): void;
      reset(): void;
    };
  };
}

declare module 'node:assert/strict' {
  interface Assert {
    (value: unknown, message?: string): asserts value;
    equal(actual: unknown, expected: unknown, message?: string): void;
    notEqual(actual: unknown, expected: unknown, message?: string): void;
    deepEqual(actual: unknown, expected: unknown, message?: string): void;
    match(actual: string, pattern: RegExp): void;
    throws(body: () => unknown, expected: object | ((error: unknown) => boolean)): void;
    rejects(body: Promise<unknown>, expected: object | ((error: unknown) => boolean)): Promise<void>;
  }
  const assert: Assert;
  export default assert;
}

declare module 'node:fs' {
  export function readdirSync(path: string): string[];
  export function readFileSync(path: string, encoding: 'utf8'): string;
}

declare module 'node:process' {
  export const env: Readonly<Record<string, string | undefined>>;
}
