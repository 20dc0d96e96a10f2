// Reads what the frame says. The frame may have been taken over by what a model
// wrote, so the shell acts only on messages of these exact shapes, whose names
// are from its own list; anything else is null, and shell.ts then hangs up.

import { VARIANTS } from '../generated/abi';
import type { FrameMessage } from './protocol';

const FIELDS: Readonly<Record<FrameMessage['type'], readonly string[]>> = {
  ready: ['type'],
  list: ['type', 'id'],
  open: ['type', 'id', 'model', 'verify'],
  remove: ['type', 'id', 'model'],
  update: ['type', 'id', 'model'],
  'go-back': ['type', 'id', 'model'],
  forget: ['type', 'id', 'model'],
  wasm: ['type', 'id', 'variant'],
  cancel: ['type', 'id'],
};

const MAX_ID = 1e6;

export function readFrameMessage(data: unknown, models: ReadonlySet<string>): FrameMessage | null {
  if (typeof data !== 'object' || data === null) return null;
  const message = data as Record<string, unknown>;
  const { type, id, model, variant, verify } = message;
  if (typeof type !== 'string' || !Object.hasOwn(FIELDS, type)) return null;
  const fields = FIELDS[type as FrameMessage['type']];
  const keys = Object.keys(message);
  if (keys.length !== fields.length || !fields.every((field) => keys.includes(field))) return null;
  if (keys.includes('id') && !(Number.isInteger(id) && (id as number) > 0 && (id as number) < MAX_ID))
    return null;
  if (keys.includes('model') && !(typeof model === 'string' && models.has(model))) return null;
  if (keys.includes('variant') && !VARIANTS.some(({ name }) => name === variant)) return null;
  if (keys.includes('verify') && typeof verify !== 'boolean') return null;
  return data as FrameMessage;
}
