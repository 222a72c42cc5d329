import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { AuthorityExistsError, CA_FILES, caFilesIn, type AuthoritySettings } from './authority-files.js';
import { AuthoritySettingsError, makeCaCertificates } from './ca-certificates.js';
import { isErrno, syncFolder, writeNewFile } from './durable-files.js';
import { checkCrlUrl } from './issuing-authority.js';
import { createKeyFile, keyEncryptionKeyOf } from './key-file.js';
import { ISSUING_VALIDITY_DAYS, ROOT_VALIDITY_DAYS } from './limits.js';
import { openAuthority } from './open-authority.js';
import { encryptedPrivateKeyPem, makeKeyPair } from './private-keys.js';
import type { Authority, CreateAuthorityOptions } from './types.js';

/** A creation takes a second; a temporary folder this old is of one that was killed. */
const STALE_CREATION_MS = 10 * 60 * 1000;

/**
 * Makes a root and an issuing CA in a folder that is empty or not there, and opens it. A key file that is
 * not there is made too (never where a CA exists). Either the whole CA is there afterwards or none of it,
 * also after a crash. Throws CA_EXISTS where the folder holds anything, or where another process was faster.
 */
export async function createAuthority(options: CreateAuthorityOptions): Promise<Authority> {
  const dir = resolve(options.dir);
  checkCrlUrl(options.crlUrl);
  if (options.keyFile !== undefined && resolve(options.keyFile).startsWith(dir + sep)) {
    throw new AuthoritySettingsError(
      `The key file ${options.keyFile} must lie outside the CA's folder, so that a copy of one is worth nothing without the other.`,
    );
  }
  const { present, others } = await caFilesIn(dir);
  if (present.length > 0)
    throw new AuthorityExistsError(`${dir} holds a CA already (${present.join(', ')}).`);
  if (others.length > 0) {
    throw new AuthorityExistsError(
      `${dir} is not empty (${others.slice(0, 3).join(', ')}) and holds no CA: empty it, or take another folder.`,
    );
  }

  await mkdir(dirname(dir), { recursive: true, mode: 0o700 });
  await removeStaleCreations(dir);
  if (options.keyFile !== undefined) await createKeyFile(options.keyFile);
  const passphrase = await keyEncryptionKeyOf(options);

  const temporary = `${dir}.new-${randomBytes(6).toString('hex')}`;
  await mkdir(temporary, { mode: 0o700 });
  try {
    await writeAuthority(temporary, passphrase, options);
    // Onto an empty folder this replaces it; onto one that is not empty it fails: who comes second has lost.
    await rename(temporary, dir);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    if (isErrno(error, 'ENOTEMPTY', 'EEXIST', 'EPERM')) {
      throw new AuthorityExistsError(`Another process has just created a CA in ${dir}.`, { cause: error });
    }
    throw error;
  }
  await syncFolder(dirname(dir));
  return openAuthority(options);
}

/**
 * Opens the CA, or makes one where the folder has none of a CA's files. Of two processes at once one
 * creates and both open the same. A folder with a part of a CA is an error, never made whole.
 *
 * Who keeps records of issued certificates elsewhere should call {@link openAuthority} once there are any:
 * only they can tell a first start from a lost folder.
 */
export async function openOrCreateAuthority(options: CreateAuthorityOptions): Promise<Authority> {
  const { present } = await caFilesIn(options.dir);
  if (present.length > 0) return openAuthority(options);
  try {
    return await createAuthority(options);
  } catch (error) {
    if (!(error instanceof AuthorityExistsError)) throw error;
    const now = await caFilesIn(options.dir);
    if (now.present.length === 0) throw error;
    return openAuthority(options);
  }
}

async function writeAuthority(
  dir: string,
  passphrase: string,
  options: CreateAuthorityOptions,
): Promise<void> {
  const now = (options.now ?? Date.now)();
  const keyType = options.keyType ?? 'ec-p256';
  const [root, issuing] = [await makeKeyPair(keyType), await makeKeyPair(keyType)];
  const certificates = await makeCaCertificates({
    root,
    issuing,
    keyType,
    name: options.name ?? 'Postern',
    rootValidityDays: options.rootValidityDays ?? ROOT_VALIDITY_DAYS,
    issuingValidityDays: options.issuingValidityDays ?? ISSUING_VALIDITY_DAYS,
    now,
  });
  const settings: AuthoritySettings = {
    format: 1,
    createdAt: new Date(now).toISOString(),
    crlUrl: options.crlUrl,
  };
  const files: [name: string, content: string, mode: number][] = [
    [CA_FILES.rootKey, await encryptedPrivateKeyPem(root.privateKey, passphrase), 0o600],
    [CA_FILES.issuingKey, await encryptedPrivateKeyPem(issuing.privateKey, passphrase), 0o600],
    [CA_FILES.root, certificates.rootPem, 0o644],
    [CA_FILES.issuing, certificates.issuingPem, 0o644],
    [CA_FILES.settings, `${JSON.stringify(settings, null, 2)}\n`, 0o644],
  ];
  for (const [name, content, mode] of files) await writeNewFile(join(dir, name), content, mode);
  await syncFolder(dir);
}

async function removeStaleCreations(dir: string): Promise<void> {
  const [parent, prefix] = [dirname(dir), `${basename(dir)}.new-`];
  for (const name of await readdir(parent)) {
    if (!name.startsWith(prefix) || !/^[0-9a-f]{12}$/.test(name.slice(prefix.length))) continue;
    const path = join(parent, name);
    try {
      if (Date.now() - (await stat(path)).mtimeMs > STALE_CREATION_MS) {
        await rm(path, { recursive: true, force: true });
      }
    } catch (error) {
      // Another process has renamed or removed its own.
      if (!isErrno(error, 'ENOENT')) throw error;
    }
  }
}
