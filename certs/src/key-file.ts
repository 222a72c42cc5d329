import { randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { CertsError } from './errors.js';
import { createFileOnce, isErrno } from './durable-files.js';
import type { KeyEncryption } from './types.js';

/** Random bytes in a key-encryption key: AES-256's own size. */
export const KEY_ENCRYPTION_KEY_BYTES = 32;

/** The key file is gone, or the path is wrong. It is never made anew beside an existing CA. */
export class KeyFileMissingError extends CertsError {
  readonly code = 'KEY_FILE_MISSING';
}
/** Others than its owner could read a file that holds a key. */
export class KeyFilePermissionsError extends CertsError {
  readonly code = 'KEY_FILE_PERMISSIONS';
}
/** What should be a key-encryption key is none. */
export class KeyFileDamagedError extends CertsError {
  readonly code = 'KEY_FILE_DAMAGED';
}

/** Reads a file that must be its owner's alone. Throws where it is missing or open to group or others. */
export async function readPrivateFile(path: string, what: string): Promise<string> {
  let handle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR')) {
      throw new KeyFileMissingError(
        `${what} ${path} is not there: restore it from a backup, or correct the path.`,
      );
    }
    if (isErrno(error, 'EACCES', 'EPERM')) {
      throw new KeyFilePermissionsError(`${what} ${path} cannot be read by this user: run as its owner.`);
    }
    throw error;
  }
  try {
    // The open file is asked, not the path, so that it cannot be swapped in between.
    const stats = await handle.stat();
    if (!stats.isFile()) throw new KeyFileDamagedError(`${what} ${path} is not a file.`);
    // Windows has no such bits: access lists of the folder must do there.
    if (process.platform !== 'win32' && (stats.mode & 0o077) !== 0) {
      const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
      throw new KeyFilePermissionsError(
        `${what} ${path} can be read or written by others (mode ${mode}): run "chmod 600" on it, and replace the key if others may have seen it.`,
      );
    }
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

function checked(text: string, source: string): string {
  const key = text.trim();
  if (!/^[A-Za-z0-9+/]{43}=$/.test(key)) {
    throw new KeyFileDamagedError(
      `${source} holds no key: it must be the base64 of ${KEY_ENCRYPTION_KEY_BYTES} random bytes, 44 characters. Restore it from a backup.`,
    );
  }
  return key;
}

/** The key-encryption key, base64. */
export async function readKeyFile(path: string): Promise<string> {
  return checked(await readPrivateFile(path, 'The key file'), `The key file ${path}`);
}

/** Makes a key file, 0600, with a new random key; false where there is one already, which stays. */
export function createKeyFile(path: string): Promise<boolean> {
  return createFileOnce(path, `${randomBytes(KEY_ENCRYPTION_KEY_BYTES).toString('base64')}\n`, 0o600);
}

/** The key of either source. */
export async function keyEncryptionKeyOf(source: KeyEncryption): Promise<string> {
  return source.keyFile === undefined
    ? checked(source.keyEncryptionKey, 'The key-encryption key that was supplied')
    : readKeyFile(source.keyFile);
}
