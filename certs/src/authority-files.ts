import { X509Certificate, type KeyObject } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { CertsError } from './errors.js';
import { isErrno } from './durable-files.js';
import { readPrivateFile } from './key-file.js';
import { decryptPrivateKey } from './private-keys.js';

/** What a CA folder holds. `rootca.pem` is a public contract: it is the file that clients and devices trust. */
export const CA_FILES = {
  root: 'rootca.pem',
  issuing: 'issuing.pem',
  rootKey: 'root.key.pem',
  issuingKey: 'issuing.key.pem',
  settings: 'authority.json',
} as const;

/** There is no CA in the folder. */
export class AuthorityMissingError extends CertsError {
  readonly code = 'CA_MISSING';
}
/** Some of the CA's files are there and some are not. */
export class AuthorityIncompleteError extends CertsError {
  readonly code = 'CA_INCOMPLETE';
}
/** A file is cut, empty or otherwise not what it should be. */
export class AuthorityDamagedError extends CertsError {
  readonly code = 'CA_DAMAGED';
}
/** Files that do not belong together: a key of another certificate, an issuing CA of another root. */
export class AuthorityMismatchError extends CertsError {
  readonly code = 'CA_MISMATCH';
}
/** A private key that the key-encryption key does not open. */
export class AuthorityKeyError extends CertsError {
  readonly code = 'CA_KEY_UNREADABLE';
}
/** The root or the issuing CA is past its time, or before it (a wrong clock). */
export class AuthorityExpiredError extends CertsError {
  readonly code = 'CA_EXPIRED';
}
/** The folder holds a CA already, or something else. */
export class AuthorityExistsError extends CertsError {
  readonly code = 'CA_EXISTS';
}

const RESTORE =
  'Restore it from a backup; it is not made anew, because nothing that the old CA signed would fit.';

const settingsSchema = z.strictObject({
  format: z.literal(1),
  createdAt: z.iso.datetime(),
  crlUrl: z.string(),
});
export type AuthoritySettings = z.infer<typeof settingsSchema>;

/** Which of the CA's files are there, and what else is. */
export async function caFilesIn(dir: string): Promise<{ present: string[]; others: string[] }> {
  let names: string[];
  try {
    names = await readdir(dir);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return { present: [], others: [] };
    if (isErrno(error, 'ENOTDIR')) throw new AuthorityExistsError(`${dir} is a file, not the CA's folder.`);
    throw error;
  }
  const known = new Set<string>(Object.values(CA_FILES));
  return {
    present: names.filter((name) => known.has(name)),
    others: names.filter((name) => !known.has(name)),
  };
}

/** Throws where the folder has no CA, or only a part of one. The root's key may be kept elsewhere. */
export async function requireCaFiles(dir: string): Promise<{ rootKey: boolean }> {
  const { present } = await caFilesIn(dir);
  if (present.length === 0) {
    throw new AuthorityMissingError(`There is no CA in ${dir}: create one, or correct the path.`);
  }
  const missing = Object.values(CA_FILES).filter(
    (name) => name !== CA_FILES.rootKey && !present.includes(name),
  );
  if (missing.length > 0) {
    throw new AuthorityIncompleteError(
      `The CA in ${dir} is incomplete: ${missing.join(', ')} ${missing.length > 1 ? 'are' : 'is'} missing. ${RESTORE}`,
    );
  }
  return { rootKey: present.includes(CA_FILES.rootKey) };
}

export async function readSettings(dir: string): Promise<AuthoritySettings> {
  const path = join(dir, CA_FILES.settings);
  try {
    return settingsSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) {
      throw new AuthorityDamagedError(`${path} is damaged. ${RESTORE}`, { cause: error });
    }
    throw error;
  }
}

export interface CaCertificate {
  readonly path: string;
  readonly pem: string;
  readonly certificate: X509Certificate;
}

/** One certificate and nothing else: a second one in `rootca.pem` would be trusted by every client. */
export async function readCaCertificate(dir: string, name: string): Promise<CaCertificate> {
  const path = join(dir, name);
  const pem = await readFile(path, 'utf8');
  if (!/^\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*$/.test(pem)) {
    throw new AuthorityDamagedError(
      `${path} is damaged: it must hold one PEM certificate and nothing else. ${RESTORE}`,
    );
  }
  try {
    const certificate = new X509Certificate(pem);
    // Reads the key too, which OpenSSL puts off until it is asked for.
    void certificate.publicKey;
    return { path, pem, certificate };
  } catch (error) {
    throw new AuthorityDamagedError(`${path} is damaged: its certificate cannot be read. ${RESTORE}`, {
      cause: error,
    });
  }
}

/** A CA's private key, which must be the one of its certificate. */
export async function readCaKey(
  dir: string,
  name: string,
  opening: { passphrase: string; of: CaCertificate },
): Promise<KeyObject> {
  const path = join(dir, name);
  const pem = await readPrivateFile(path, 'The CA key');
  const body =
    /^\s*-----BEGIN ENCRYPTED PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END ENCRYPTED PRIVATE KEY-----\s*$/.exec(
      pem,
    )?.[1];
  if (body === undefined) {
    throw new AuthorityDamagedError(
      `${path} is damaged: it must hold one PEM "ENCRYPTED PRIVATE KEY". ${RESTORE}`,
    );
  }
  if (!isWholeDer(Buffer.from(body, 'base64'))) {
    throw new AuthorityDamagedError(`${path} is damaged: it is cut or has bytes too many. ${RESTORE}`);
  }
  const key = decryptPrivateKey(pem, opening.passphrase);
  if (key === undefined) {
    throw new AuthorityKeyError(
      `${path} cannot be opened with the key-encryption key: either that key is not the one this CA was made with, or the file is damaged. Restore both from the same backup.`,
    );
  }
  if (!opening.of.certificate.checkPrivateKey(key)) {
    throw new AuthorityMismatchError(
      `${path} is not the key of ${opening.of.path}. Restore both from the same backup.`,
    );
  }
  return key;
}

/** Whether the outermost SEQUENCE is as long as it says, so that a cut file is told from a wrong passphrase. */
function isWholeDer(bytes: Buffer): boolean {
  const first = bytes[1] ?? 0;
  if (bytes[0] !== 0x30) return false;
  if (first < 0x80) return bytes.length === 2 + first;
  const digits = first & 0x7f;
  if (digits === 0 || digits > 4 || bytes.length < 2 + digits) return false;
  return bytes.length === 2 + digits + bytes.readUIntBE(2, digits);
}
