// What these scripts need of Node beyond the declarations in tests.

declare module 'node:fs' {
  export function openSync(path: string, flags: 'r'): number;
  export function readSync(
    file: number,
    into: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): number;
}
