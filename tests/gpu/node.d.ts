// What the runner needs of Node beyond tests/web/unit/node.d.ts.

declare module 'node:fs' {
  export function readFileSync(path: string): Uint8Array<ArrayBuffer>;
  export function writeFileSync(path: string, data: Uint8Array | string): void;
}

declare module 'node:process' {
  export const argv: readonly string[];
  export const env: Readonly<Record<string, string | undefined>>;
  export function exit(code: number): never;
}
