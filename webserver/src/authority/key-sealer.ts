import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { KeySealer } from '../domain/ports.js';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const PREFIX = 'v1.';

/** What was sealed cannot be opened: another key, another context, or damaged. */
export class UnsealError extends Error {
  readonly code = 'UNSEAL_FAILED';
  constructor() {
    super(
      'A sealed value cannot be opened: it is damaged, belongs elsewhere, or was sealed under another key. Was the key file of the data folder replaced?',
    );
    this.name = 'UnsealError';
  }
}

/**
 * AES-256-GCM with a random nonce; the context is authenticated with it, so that one device's sealed key does
 * not open as another's. Sealed form: `v1.` and base64url of nonce, ciphertext, tag.
 */
export function createKeySealer(masterKey: Uint8Array): KeySealer {
  if (masterKey.length !== KEY_BYTES)
    throw new RangeError(`the sealing key must have ${KEY_BYTES} bytes, not ${masterKey.length}`);
  const key = Buffer.from(hkdfSync('sha256', masterKey, '', 'postern sealed values', KEY_BYTES));
  return {
    seal(plaintext, context) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
      cipher.setAAD(Buffer.from(context, 'utf8'));
      const body = Buffer.concat([
        nonce,
        cipher.update(plaintext, 'utf8'),
        cipher.final(),
        cipher.getAuthTag(),
      ]);
      return PREFIX + body.toString('base64url');
    },
    unseal(sealed, context) {
      const bytes = Buffer.from(sealed.slice(PREFIX.length), 'base64url');
      if (!sealed.startsWith(PREFIX) || bytes.length < NONCE_BYTES + TAG_BYTES) throw new UnsealError();
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(context, 'utf8'));
      decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
      try {
        const body = bytes.subarray(NONCE_BYTES, bytes.length - TAG_BYTES);
        return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
      } catch {
        throw new UnsealError();
      }
    },
  };
}
