import { X509Certificate } from 'node:crypto';
import { CertsError } from './errors.js';
import type { Authority } from './types.js';

/** A file that should hold a certificate and does not. */
export class CertificateUnreadableError extends CertsError {
  readonly code = 'CERTIFICATE_UNREADABLE';
}

export interface CertificateDescription {
  readonly serial: string;
  readonly fingerprintSha256: string;
  readonly commonName: string;
  /** `DNS:...` and `IP Address:...`, as OpenSSL prints them; empty where there are none. */
  readonly names: readonly string[];
  readonly usage: 'server' | 'client' | 'other';
  /** Milliseconds since 1970. */
  readonly notBefore: number;
  readonly notAfter: number;
}

/** The first certificate of a PEM text. Throws CERTIFICATE_UNREADABLE. */
export function describeCertificate(pem: string): CertificateDescription {
  const certificate = parse(pem);
  // RFC 5280 4.2.1.12; Node calls the extended key usages keyUsage.
  const usages = (certificate.keyUsage as string[] | undefined) ?? [];
  const usage =
    usages.length !== 1
      ? 'other'
      : usages[0] === '1.3.6.1.5.5.7.3.1'
        ? 'server'
        : usages[0] === '1.3.6.1.5.5.7.3.2'
          ? 'client'
          : 'other';
  return {
    serial: certificate.serialNumber.toLowerCase(),
    fingerprintSha256: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
    commonName: /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '',
    names: certificate.subjectAltName?.split(', ') ?? [],
    usage,
    notBefore: Date.parse(certificate.validFrom),
    notAfter: Date.parse(certificate.validTo),
  };
}

/** What speaks against a leaf, as a sentence; undefined where nothing does. Revocation is not asked here. */
export function whyNotGood(
  pem: string,
  authority: Pick<Authority, 'issuingCaPem'>,
  now: number,
): string | undefined {
  const certificate = parse(pem);
  const issuing = new X509Certificate(authority.issuingCaPem);
  if (!certificate.checkIssued(issuing) || !certificate.verify(issuing.publicKey)) {
    return 'it was not signed by this CA';
  }
  if (now < Date.parse(certificate.validFrom)) return 'it is not good yet';
  if (now >= Date.parse(certificate.validTo)) return 'it has expired';
  return undefined;
}

function parse(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (error) {
    throw new CertificateUnreadableError('That is no PEM certificate, or it is damaged.', { cause: error });
  }
}
