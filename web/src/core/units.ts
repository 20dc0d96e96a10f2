// Numbers as people read them, for sentences.

export function formatBytes(n: number): string {
  if (n < 1e6) return `${Math.ceil(n / 1e3)} KB`;
  return n < 1e9 ? `${(n / 1e6).toFixed(n < 1e7 ? 1 : 0)} MB` : `${(n / 1e9).toFixed(1)} GB`;
}

/** Two sizes that a sentence compares: exact where they would read the same and are not. */
export function apart(a: number, b: number): [string, string] {
  const shown: [string, string] = [formatBytes(a), formatBytes(b)];
  const exact = (n: number) => `${n.toLocaleString()} bytes`;
  return a === b || shown[0] !== shown[1] ? shown : [exact(a), exact(b)];
}
