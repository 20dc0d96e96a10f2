// Checks who made a manifest: a detached Ed25519 signature over its exact bytes,
// as `slmweb sign` writes it. py/slmweb/pack/sign.py says how the line is made.
// Where a browser cannot check, the model is refused, never let through.

import { SlmError } from '../core/error';
import { toHex } from './manifest';

const LINE = /^ed25519 ([0-9a-f]{16}) ([A-Za-z0-9+/]{86}==)\n?$/;
/** Base64 of the DER of an Ed25519 SubjectPublicKeyInfo: the body of its PEM file. */
const PUBLIC_KEY = /^[A-Za-z0-9+/]{59}=$/;

/** Returns if `signature` is by `publicKey` over `text`; null is no signature at all.
 *  Throws bad_signature, or unsupported where the browser knows no Ed25519. */
export async function verifySignature(
  text: string,
  signature: string | null,
  publicKey: string,
  where: string,
): Promise<void> {
  const refuse = (found: string, remedy: string): never => {
    throw new SlmError(
      'bad_signature',
      `Expected ${where} to be signed by this page's key, found ${found}; ${remedy}.`,
    );
  };
  const der = publicKeyBytes(publicKey);
  if (signature === null)
    return refuse('no signature', 'whoever runs the site can sign the model with `slmweb sign`');
  const [, keyId, value] = LINE.exec(signature) ?? [];
  if (keyId === undefined || value === undefined)
    return refuse('something that is no signature', 'the model has to be signed again');
  const ownId = toHex(await crypto.subtle.digest('SHA-256', der)).slice(0, 16);
  if (keyId !== ownId)
    return refuse(`the key ${keyId} instead of ${ownId}`, 'the model has to be signed with the right key');
  const key = await importKey(der);
  const valid = await crypto.subtle.verify('Ed25519', key, fromBase64(value), new TextEncoder().encode(text));
  if (!valid)
    return refuse('that it was changed after it was signed', 'it is not used: ask who runs the site');
}

/** Throws invalid_argument for what cannot be a key. */
export function publicKeyBytes(publicKey: string): Uint8Array<ArrayBuffer> {
  if (!PUBLIC_KEY.test(publicKey))
    throw new SlmError(
      'invalid_argument',
      'Expected publicKey to be the line that `slmweb keygen` prints, found something else; copy it whole.',
    );
  return fromBase64(publicKey);
}

async function importKey(der: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
  try {
    return await crypto.subtle.importKey('spki', der, 'Ed25519', false, ['verify']);
  } catch (error) {
    if (error instanceof DOMException && error.name === 'NotSupportedError')
      throw new SlmError(
        'unsupported',
        'Expected a browser that can check Ed25519 signatures, which this page asks for, found one that cannot; update the browser (Chrome 137, Firefox 129 and Safari 17 can).',
        { cause: error },
      );
    throw new SlmError(
      'invalid_argument',
      `Expected publicKey to be an Ed25519 key, found ${String(error)}.`,
      {
        cause: error,
      },
    );
  }
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}
