// What these scripts need of Node beyond tests/web/unit/node.d.ts.

declare module 'node:fs' {
  export function readFileSync(path: string): Uint8Array<ArrayBuffer>;
  export function writeFileSync(path: string, data: Uint8Array | string): void;
}

declare module 'node:process' {
  export const argv: readonly string[];
  export const env: Readonly<Record<string, string | undefined>>;
  export const stdin: AsyncIterable<Uint8Array>;
  export const stdout: { write(data: Uint8Array | string): boolean };
  export function exit(code: number): never;
}
