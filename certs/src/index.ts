export * from './types.js';
export { CertsError } from './errors.js';
export * from './limits.js';
export { createAuthority, openOrCreateAuthority } from './create-authority.js';
export { caPaths, openAuthority } from './open-authority.js';
export {
  AuthorityDamagedError,
  AuthorityExistsError,
  AuthorityExpiredError,
  AuthorityIncompleteError,
  AuthorityKeyError,
  AuthorityMismatchError,
  AuthorityMissingError,
  CA_FILES,
} from './authority-files.js';
export { AuthoritySettingsError } from './ca-certificates.js';
export { CrlUrlError } from './issuing-authority.js';
export {
  createKeyFile,
  KeyFileDamagedError,
  KeyFileMissingError,
  KeyFilePermissionsError,
  readKeyFile,
  readPrivateFile,
} from './key-file.js';
export { CertificateNameError, checkDeviceId, GATEWAY_NAME_PREFIX } from './names.js';
export { CsrError } from './public-keys.js';
export { ValidityError } from './leaf.js';
export { CrlError } from './crl.js';
export { writeCrlToFolder } from './crl-folder.js';
export { nameHash } from './name-hash.js';
export { makePkcs12, Pkcs12Error, PKCS12_PASSWORD_CHARS, type Pkcs12Request } from './pkcs12.js';
export {
  CertificateUnreadableError,
  describeCertificate,
  whyNotGood,
  type CertificateDescription,
} from './describe.js';
export { readLedger, revokedEntries, type Ledger, type LedgerEntry } from './ledger.js';
