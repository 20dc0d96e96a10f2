// Numbers as people read them, for sentences.

export function formatBytes(n: number): string {
  if (n < 1e6) return `${Math.ceil(n / 1e3)} KB`;
  return n < 1e9 ? `${(n / 1e6).toFixed(n < 1e7 ? 1 : 0)} MB` : `${(n / 1e9).toFixed(1)} GB`;
}
