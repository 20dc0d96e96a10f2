// Hands the person a file that was made in the frame. The bytes never leave it but
// for the browser's own download: a blob: URL needs no network, and the frame's
// policies still forbid every other address.

/** The browser needs the address until it has begun. */
const KEEP_MS = 60_000;

export function saveFile(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), KEEP_MS);
}
