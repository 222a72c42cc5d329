import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { chmodSync, statSync } from 'node:fs';
import { readIfThere, writeDurably, type DataFolder } from './data-folder.js';
import { StackError } from './errors.js';

/** Bytes of a key for AES-256 or HMAC-SHA256. */
const KEY_BYTES = 32;
/** NIST SP 800-38D 8.2.2: a random nonce of 96 bits. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * The base64 of 32 random bytes in a 0600 file; made where there is none.
 * @throws StackError `SECRET_DAMAGED` where there is one that is something else: it is never made anew
 */
export function secretFile(folder: DataFolder, name: string): string {
  const path = folder.at('secrets', name);
  const content = readIfThere(path);
  if (content === null) {
    writeDurably(path, `${randomBytes(KEY_BYTES).toString('base64')}\n`);
    return path;
  }
  readKey(path, content);
  if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
  return path;
}

function readKey(path: string, content: string): Buffer {
  const key = Buffer.from(content.trim(), 'base64');
  if (key.length !== KEY_BYTES || key.toString('base64') !== content.trim())
    throw new StackError(
      'SECRET_DAMAGED',
      `The key ${path} is damaged: it must be the base64 of ${KEY_BYTES} bytes. Put it back from a backup.`,
    );
  return key;
}

/** What must survive a crash, and must not be on the disk in clear. */
export class SealedFile {
  readonly #path: string;
  readonly #keyPath: string;

  constructor(options: { path: string; keyPath: string }) {
    this.#path = options.path;
    this.#keyPath = options.keyPath;
  }

  /** Null where there is no such file. @throws StackError `SECRET_DAMAGED` for another key or a damaged file */
  read(): string | null {
    const content = readIfThere(this.#path);
    if (content === null) return null;
    const sealed = Buffer.from(content, 'base64');
    try {
      const decipher = createDecipheriv('aes-256-gcm', this.#key(), sealed.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      return Buffer.concat([
        decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)),
        decipher.final(),
      ]).toString('utf8');
    } catch (error) {
      throw new StackError('SECRET_DAMAGED', `${this.#path} is damaged; remove it and start again.`, {
        cause: error,
      });
    }
  }

  write(text: string): void {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key(), nonce, { authTagLength: TAG_BYTES });
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    writeDurably(this.#path, sealed.toString('base64'));
  }

  #key(): Buffer {
    return readKey(this.#keyPath, readIfThere(this.#keyPath) ?? '');
  }
}
