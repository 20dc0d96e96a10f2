// For languages that are written from the right: a name in another script keeps
// its own direction, and the marks around it keep theirs.

/** Between the marks "first strong isolate" and "pop directional isolate". */
export const isolated = (text: string): string => `\u2068${text}\u2069`;
