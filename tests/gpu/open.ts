// Dawn in Node, where tests/dawn.py says that it is.

import { env } from 'node:process';

// Dawn crashes when this is collected before its devices.
let opened: GPU | null = null;

/** Why a test is skipped, by which tests/web/test_unit.py knows it. */
export const NO_DEVICE = 'no device';

/** Null where there is no device. */
export async function openDawn(): Promise<GPU | null> {
  const path = env.SLMWEB_DAWN;
  if (path === undefined) return null;
  if (opened === null) {
    const dawn = (await import(path)) as { create(options: string[]): GPU; globals: object };
    Object.assign(globalThis, dawn.globals);
    // To clear workgroup memory is nine tenths of what SwiftShader compiles, and no kernel may rely on it.
    opened = dawn.create(['enable-dawn-features=disable_workgroup_init']);
  }
  return (await opened.requestAdapter()) === null ? null : opened;
}
