// Bytes from base64, as atob gives them: characters of one byte each. A plain loop,
// for Uint8Array.from would make a list of a long text's characters first.

/** Throws a DOMException for what is no base64. */
export function fromBase64(base64: string): Uint8Array<ArrayBuffer> {
  return fromLatin1(atob(base64));
}

export function fromLatin1(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
