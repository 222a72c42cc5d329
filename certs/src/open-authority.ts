import { join } from 'node:path';
import {
  AuthorityExpiredError,
  AuthorityMismatchError,
  CA_FILES,
  readCaCertificate,
  readCaKey,
  readSettings,
  requireCaFiles,
  type CaCertificate,
} from './authority-files.js';
import { issuingKey } from './issuing-key.js';
import { IssuingAuthority } from './issuing-authority.js';
import { keyEncryptionKeyOf } from './key-file.js';
import type { Authority, OpenAuthorityOptions } from './types.js';
import { x509 } from './x509.js';

/**
 * Opens the CA of a folder after checking all of it. Changes nothing on the disk.
 *
 * Throws a {@link CertsError} that names the file and what to do: CA_MISSING, CA_INCOMPLETE, CA_DAMAGED,
 * CA_MISMATCH, CA_KEY_UNREADABLE, CA_EXPIRED, KEY_FILE_MISSING, KEY_FILE_PERMISSIONS, KEY_FILE_DAMAGED,
 * CRL_URL_INVALID. The root's key may be absent (kept offline); where it is there, it is checked too.
 */
export async function openAuthority(options: OpenAuthorityOptions): Promise<Authority> {
  const { dir } = options;
  const now = (options.now ?? Date.now)();
  const found = await requireCaFiles(dir);
  const settings = await readSettings(dir);
  const root = await readCaCertificate(dir, CA_FILES.root);
  const issuing = await readCaCertificate(dir, CA_FILES.issuing);
  checkHierarchy(root, issuing);
  checkTimes(root, now);
  checkTimes(issuing, now);

  const passphrase = await keyEncryptionKeyOf(options);
  const privateKey = await readCaKey(dir, CA_FILES.issuingKey, { passphrase, of: issuing });
  if (found.rootKey) await readCaKey(dir, CA_FILES.rootKey, { passphrase, of: root });

  return new IssuingAuthority({
    issuer: issuingKey(issuing.pem, privateKey),
    rootCaPem: root.pem,
    crlUrl: options.crlUrl ?? settings.crlUrl,
    now: options.now,
  });
}

/** RFC 5280 6.1, as much of it as two certificates can break. */
function checkHierarchy(root: CaCertificate, issuing: CaCertificate): void {
  const rootKey = root.certificate.publicKey;
  if (
    !root.certificate.ca ||
    !root.certificate.checkIssued(root.certificate) ||
    !root.certificate.verify(rootKey)
  ) {
    throw new AuthorityMismatchError(
      `${root.path} is not the certificate of a root CA. Restore it from a backup.`,
    );
  }
  if (!issuing.certificate.checkIssued(root.certificate) || !issuing.certificate.verify(rootKey)) {
    throw new AuthorityMismatchError(
      `${issuing.path} was not signed by ${root.path}. Restore both from the same backup.`,
    );
  }
  const parsed = new x509.X509Certificate(issuing.certificate.raw);
  const constraints = parsed.getExtension(x509.BasicConstraintsExtension);
  const usages = parsed.getExtension(x509.KeyUsagesExtension)?.usages ?? 0;
  const needed = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign;
  if (!constraints?.ca || constraints.pathLength !== 0 || (usages & needed) !== needed) {
    throw new AuthorityMismatchError(
      `${issuing.path} is not the certificate of an issuing CA (path length 0, may sign certificates and CRLs). Restore it from a backup.`,
    );
  }
}

function checkTimes({ path, certificate }: CaCertificate, now: number): void {
  const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (now >= to) {
    throw new AuthorityExpiredError(
      `${path} expired on ${new Date(to).toISOString()}. Make a new CA in another folder and give the devices certificates of it; if that date is in the future, correct this machine's clock.`,
    );
  }
  if (now < from) {
    throw new AuthorityExpiredError(
      `${path} is not good before ${new Date(from).toISOString()}, and it is ${new Date(now).toISOString()} here: correct this machine's clock.`,
    );
  }
}

/** Where the CA's files lie, for those who hand paths on (a broker's configuration, a start script). */
export function caPaths(dir: string): { rootCa: string; issuingCa: string } {
  return { rootCa: join(dir, CA_FILES.root), issuingCa: join(dir, CA_FILES.issuing) };
}
