// Keeps the chat's preferences on this device, for the shell. What comes back is
// read as strictly as what the frame says: another version of the page may have
// written it, or anybody who can open the browser's tools.

import { NO_PREFERENCES, type Preferences, readPreferences } from './preferences';

/** Of this site alone, where one origin serves several. */
const KEY = `slmweb-preferences ${new URL('.', location.href).pathname}`;

export function keepPreferences(preferences: Preferences): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // Storage is forbidden or full: they last as long as the page, as all else does then.
  }
}

/** What was kept, or nothing where it cannot be read. */
export function keptPreferences(models: ReadonlySet<string>): Preferences {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? 'null');
    if (typeof kept !== 'object' || kept === null) return NO_PREFERENCES;
    // The rest still holds when the model is gone from the site.
    const { model } = kept as Partial<Preferences>;
    const known = typeof model === 'string' && models.has(model) ? model : null;
    // An earlier version of the page knew fewer of them.
    return readPreferences({ ...NO_PREFERENCES, ...kept, model: known }, models) ?? NO_PREFERENCES;
  } catch {
    return NO_PREFERENCES;
  }
}
