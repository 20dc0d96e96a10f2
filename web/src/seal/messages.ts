// Reads what the frame says. The frame may have been taken over by what a model
// wrote, so the shell acts only on messages of these exact shapes, whose names
// are from its own list; anything else is null, and shell.ts then hangs up.

import type { Backend } from '../api/backend';
import { VARIANTS } from '../generated/abi';
import { TEXT_HEIGHTS } from './paper';
import { BACKENDS, readPreferences } from './preferences';
import type { FrameMessage } from './protocol';

const FIELDS: Readonly<Record<FrameMessage['type'], readonly string[]>> = {
  ready: ['type'],
  drawn: ['type'],
  paper: ['type', 'pixels', 'sheets'],
  list: ['type', 'id'],
  open: ['type', 'id', 'model', 'verify', 'n_ctx', 'backend', 'force'],
  remove: ['type', 'id', 'model'],
  update: ['type', 'id', 'model'],
  'go-back': ['type', 'id', 'model'],
  forget: ['type', 'id', 'model'],
  wasm: ['type', 'id', 'variant'],
  cancel: ['type', 'id'],
  unsaved: ['type', 'something'],
  keep: ['type', 'preferences'],
};

const MAX_ID = 1e6;
const MAX_N_CTX = 2 ** 20;
const MAX_PIXELS = 2 ** 22;
const MAX_SHEETS = 1e4;

export function readFrameMessage(data: unknown, models: ReadonlySet<string>): FrameMessage | null {
  if (typeof data !== 'object' || data === null) return null;
  const message = data as Record<string, unknown>;
  const { type, id, model, variant, verify, n_ctx, backend, force, something, preferences } = message;
  if (typeof type !== 'string' || !Object.hasOwn(FIELDS, type)) return null;
  const fields = FIELDS[type as FrameMessage['type']];
  const keys = Object.keys(message);
  if (keys.length !== fields.length || !fields.every((field) => keys.includes(field))) return null;
  if (keys.includes('id') && !(Number.isInteger(id) && (id as number) > 0 && (id as number) < MAX_ID))
    return null;
  const { pixels, sheets } = message;
  if (
    keys.includes('pixels') &&
    !(Number.isInteger(pixels) && (pixels as number) > 0 && (pixels as number) <= MAX_PIXELS)
  )
    return null;
  if (keys.includes('sheets') && !areSheets(sheets)) return null;
  if (keys.includes('model') && !(typeof model === 'string' && models.has(model))) return null;
  if (keys.includes('variant') && !VARIANTS.some(({ name }) => name === variant)) return null;
  if (
    keys.includes('n_ctx') &&
    n_ctx !== null &&
    !(Number.isInteger(n_ctx) && (n_ctx as number) > 0 && (n_ctx as number) <= MAX_N_CTX)
  )
    return null;
  if (keys.includes('backend') && ![...BACKENDS, 'auto'].includes(backend as Backend)) return null;
  if (keys.includes('force') && typeof force !== 'boolean') return null;
  if (keys.includes('verify') && typeof verify !== 'boolean') return null;
  if (keys.includes('something') && typeof something !== 'boolean') return null;
  if (keys.includes('preferences') && readPreferences(preferences, models) === null) return null;
  return data as FrameMessage;
}

function areSheets(sheets: unknown): boolean {
  if (!Array.isArray(sheets) || sheets.length !== TEXT_HEIGHTS.length) return false;
  return sheets.every((n) => Number.isInteger(n) && n > 0 && n <= MAX_SHEETS);
}
