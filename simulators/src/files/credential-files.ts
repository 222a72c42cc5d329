import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';

/** Thrown for a file that is missing, unreadable or not what it should be. The message names file and remedy. */
export class CredentialFileError extends Error {
  readonly code = 'CREDENTIAL_FILE';
  readonly path: string;
  constructor(path: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CredentialFileError';
    this.path = path;
  }
}

export interface CredentialFiles {
  /** The root that the broker's certificate must lead to. */
  ca: string;
  /** The device's chain, leaf first. Absent together with `key`: the device shows no certificate. */
  cert?: string | undefined;
  key?: string | undefined;
}

export interface TlsIdentity {
  secureContext: SecureContext;
  /** CN of the device's certificate; null without one. */
  commonName: string | null;
  /** Things that work and should not be so, as sentences. */
  warnings: string[];
}

/** Reads a text file. @throws CredentialFileError naming what the file is for */
export function readNamedFile(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`;
    throw new CredentialFileError(path, `${what} ${path}: ${why}`, { cause: error });
  }
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function readCertificates(path: string, what: string): { pem: string; certificates: X509Certificate[] } {
  const pem = readNamedFile(path, what);
  const blocks = pem.match(PEM_CERTIFICATE) ?? [];
  if (blocks.length === 0) {
    throw new CredentialFileError(
      path,
      `${what} ${path} holds no PEM certificate (-----BEGIN CERTIFICATE-----)`,
    );
  }
  try {
    return { pem, certificates: blocks.map((block) => new X509Certificate(block)) };
  } catch (error) {
    throw new CredentialFileError(path, `${what} ${path} holds a damaged certificate`, { cause: error });
  }
}

function readKey(path: string): { pem: string; key: ReturnType<typeof createPrivateKey> } {
  const pem = readNamedFile(path, 'the private key');
  if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw new CredentialFileError(
      path,
      `the private key ${path} holds no PEM key (-----BEGIN PRIVATE KEY-----)`,
    );
  }
  if (pem.includes('ENCRYPTED')) {
    throw new CredentialFileError(
      path,
      `the private key ${path} is encrypted; a device needs it plain, in a file of mode 0600`,
    );
  }
  try {
    return { pem, key: createPrivateKey(pem) };
  } catch (error) {
    throw new CredentialFileError(path, `the private key ${path} is damaged`, { cause: error });
  }
}

/**
 * Reads CA, chain and key into a TLS context: TLS 1.2 and 1.3, the broker always verified.
 * @throws CredentialFileError
 */
export function loadTlsIdentity(files: CredentialFiles, options: { tls12Only?: boolean } = {}): TlsIdentity {
  const warnings: string[] = [];
  const ca = readCertificates(files.ca, 'the CA certificate');
  const versions = {
    minVersion: 'TLSv1.2',
    maxVersion: options.tls12Only ? 'TLSv1.2' : 'TLSv1.3',
  } as const;
  if (files.cert === undefined || files.key === undefined) {
    if (files.cert !== files.key) {
      const path = (files.cert ?? files.key)!;
      throw new CredentialFileError(path, 'a certificate needs its key beside it: give both or neither');
    }
    return { secureContext: createSecureContext({ ca: ca.pem, ...versions }), commonName: null, warnings };
  }
  const chain = readCertificates(files.cert, 'the certificate');
  const key = readKey(files.key);
  const leaf = chain.certificates[0]!;
  if (!leaf.checkPrivateKey(key.key)) {
    throw new CredentialFileError(
      files.key,
      `the private key ${files.key} does not belong to the first certificate of ${files.cert}; the leaf comes first`,
    );
  }
  if (Date.parse(leaf.validTo) < Date.now()) {
    warnings.push(`the certificate ${files.cert} expired at ${leaf.validTo}`);
  }
  if ((statSync(files.key).mode & 0o077) !== 0) {
    warnings.push(`the private key ${files.key} can be read by others: chmod 600 it`);
  }
  return {
    secureContext: createSecureContext({ ca: ca.pem, cert: chain.pem, key: key.pem, ...versions }),
    commonName: /^CN=(.+)$/m.exec(leaf.subject)?.[1] ?? null,
    warnings,
  };
}

/** A password kept in a file, without the line end. @throws CredentialFileError */
export function readPasswordFile(path: string): string {
  return readNamedFile(path, 'the password file').replace(/\r?\n$/, '');
}
