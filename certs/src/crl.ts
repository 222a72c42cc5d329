import { CertsError } from './errors.js';
import * as der from './der.js';
import { signed, type IssuingKey } from './issuing-key.js';
import { CRL_LIFETIME_MS } from './limits.js';
import { CRL_REASONS, type Crl, type CrlRequest } from './types.js';

/** A CRL that cannot be made of what was given. */
export class CrlError extends CertsError {
  readonly code = 'CRL_INVALID';
}

const OID = { crlNumber: '2.5.29.20', reasonCode: '2.5.29.21', authorityKeyIdentifier: '2.5.29.35' };
const SERIAL = /^[0-9a-f]{1,40}$/;

/**
 * A full CRL, version 2 (RFC 5280 5.1). Made here and not by @peculiar/x509, whose generator compares each
 * entry with all others, writes an empty `crlEntryExtensions` where there is no reason (Extensions has at
 * least one, RFC 5280 4.1), and a PEM label that OpenSSL does not know (`CRL`; RFC 7468 7 has `X509 CRL`).
 */
export async function makeCrl(issuer: IssuingKey, request: CrlRequest, now: number): Promise<Crl> {
  const thisUpdate = Math.floor((request.thisUpdate ?? now) / 1000) * 1000;
  const nextUpdate = Math.floor((request.nextUpdate ?? thisUpdate + CRL_LIFETIME_MS) / 1000) * 1000;
  if (!Number.isSafeInteger(request.number) || request.number < 0) {
    throw new CrlError(`The CRL number ${request.number} is none: give an integer from 0 that grows.`);
  }
  if (!(nextUpdate > thisUpdate)) throw new CrlError('nextUpdate must be after thisUpdate.');

  const seen = new Set<string>();
  const revoked: Buffer[] = [];
  for (const { serial, revokedAt, reason } of request.entries) {
    if (!SERIAL.test(serial) || /^0*$/.test(serial)) {
      throw new CrlError(
        `${JSON.stringify(serial.slice(0, 60))} is no serial: 1 to 40 digits of lower-case hex.`,
      );
    }
    const code = CRL_REASONS[reason] as number | undefined;
    if (code === undefined) {
      throw new CrlError(`The reason is none of ${Object.keys(CRL_REASONS).join(', ')}.`);
    }
    if (!Number.isFinite(revokedAt))
      throw new CrlError(`The certificate ${serial} has no time of revocation.`);
    const number = serial.replace(/^0+/, '');
    if (seen.has(number)) throw new CrlError(`The certificate ${serial} is listed twice.`);
    seen.add(number);
    revoked.push(
      der.sequence(
        der.integerFromHex(number),
        der.time(revokedAt),
        // RFC 5280 5.3.1: unspecified is said by leaving it out.
        ...(code === 0 ? [] : [der.sequence(der.extension(OID.reasonCode, der.enumerated(code)))]),
      ),
    );
  }

  const toBeSigned = der.sequence(
    der.integerFromHex('01'), // version v2
    issuer.signatureAlgorithm,
    issuer.name,
    der.time(thisUpdate),
    der.time(nextUpdate),
    // RFC 5280 5.1.2.6: absent where nothing is revoked.
    ...(revoked.length > 0 ? [der.sequence(...revoked)] : []),
    der.tlv(
      0xa0,
      der.sequence(
        der.extension(OID.authorityKeyIdentifier, der.sequence(der.tlv(0x80, issuer.keyId))),
        der.extension(OID.crlNumber, der.integerFromHex(request.number.toString(16))),
      ),
    ),
  );
  const bytes = await signed(issuer, toBeSigned);
  return { pem: der.toPem('X509 CRL', bytes), der: bytes, number: request.number, thisUpdate, nextUpdate };
}
