// Takes WebRTC away from the frame, for browsers that do not enforce
// Connection-Allowlist: no policy of a page can forbid it to them. Must be the
// first import of the frame, before any other module can keep a reference.

for (const name of Object.getOwnPropertyNames(globalThis))
  if (/^(webkit|moz)?RTC/.test(name)) delete (globalThis as Record<string, unknown>)[name];
