// Keeps the chat's preferences on this device, for the shell. What comes back is
// read as strictly as what the frame says: another version of the page may have
// written it, or anybody who can open the browser's tools.

import { NO_PREFERENCES, type Preferences, readPreferences } from './preferences';

/** Of this site alone, where one origin serves several. */
const KEY = `slmweb-preferences ${new URL('.', location.href).pathname}`;

/** `core`: which one computes. */
export function keepPreferences(preferences: Preferences, core: string | undefined): void {
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...preferences, core }));
  } catch {
    // Storage is forbidden or full: they last as long as the page, as all else does then.
  }
}

/** What was kept, or nothing where it cannot be read. */
export function keptPreferences(models: ReadonlySet<string>, core: string | undefined): Preferences {
  try {
    const found: unknown = JSON.parse(localStorage.getItem(KEY) ?? 'null');
    if (typeof found !== 'object' || found === null) return NO_PREFERENCES;
    const { core: former, ...kept } = found as Partial<Preferences> & { readonly core?: unknown };
    // The rest still holds when the model is gone from the site, or another core may be fastest otherwise.
    const { model } = kept;
    const known = {
      model: typeof model === 'string' && models.has(model) ? model : null,
      ...(former === core ? {} : { matvec: null }),
    };
    // An earlier version of the page knew fewer of them.
    return readPreferences({ ...NO_PREFERENCES, ...kept, ...known }, models) ?? NO_PREFERENCES;
  } catch {
    return NO_PREFERENCES;
  }
}
