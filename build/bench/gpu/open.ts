// Dawn in Node, where node.py says that it is.

import { env } from 'node:process';

// Dawn crashes when this is collected before its devices.
let opened: GPU | null = null;

/** `features` are Dawn's own, as in "disable-dawn-features=…". Null without Dawn. */
export async function openDawn(features: readonly string[] = []): Promise<GPU | null> {
  const path = env.SLMWEB_DAWN;
  if (path === undefined) return null;
  if (opened === null) {
    const dawn = (await import(path)) as { create(options: readonly string[]): GPU; globals: object };
    Object.assign(globalThis, dawn.globals);
    opened = dawn.create(features);
  }
  return opened;
}
