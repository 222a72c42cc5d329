import { createHash, randomBytes, X509Certificate } from 'node:crypto';
import { CertsError } from './errors.js';
import * as der from './der.js';
import { BACKDATE_MS, DAY_MS } from './limits.js';
import { signed, type IssuingKey } from './issuing-key.js';
import type { LeafKey } from './public-keys.js';
import type { IssuedCertificate } from './types.js';

/** A validity that the issuing CA cannot give. */
export class ValidityError extends CertsError {
  readonly code = 'VALIDITY_INVALID';
}

const OID = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlDistributionPoints: '2.5.29.31',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
};

/** cA is FALSE by default, and DER leaves a default out: an empty SEQUENCE (RFC 5280 4.2.1.9, X.690 11.5). */
const BASIC_CONSTRAINTS = der.extension(OID.basicConstraints, der.sequence(), true);
const DIGITAL_SIGNATURE = der.extension(OID.keyUsage, der.bitString(Buffer.of(0x80), 7), true);
const DIGITAL_SIGNATURE_KEY_ENCIPHERMENT = der.extension(
  OID.keyUsage,
  der.bitString(Buffer.of(0xa0), 5),
  true,
);
const SERVER_AUTH = der.extension(OID.extKeyUsage, der.sequence(der.oid(OID.serverAuth)));
const CLIENT_AUTH = der.extension(OID.extKeyUsage, der.sequence(der.oid(OID.clientAuth)));

export interface LeafDescription {
  readonly usage: 'server' | 'client';
  readonly commonName: string;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly Uint8Array[];
  readonly key: LeafKey;
  readonly privateKeyPem?: string | undefined;
  /** As the caller wishes; refused where the issuing CA ends sooner. */
  readonly validityDays?: number | undefined;
  /** Cut to the issuing CA's end. */
  readonly defaultValidityDays: number;
}

/**
 * 16 octets: positive, never zero, never longer than 20 (RFC 5280 4.1.2.2). 126 of its bits are random, so
 * that no two clash and nobody foresees one.
 */
export function newSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  return serial;
}

export async function issueLeaf(
  issuer: IssuingKey,
  leaf: LeafDescription,
  context: { crlDistributionPoints: Buffer; now: number },
): Promise<IssuedCertificate> {
  const serial = newSerial();
  const { notBefore, notAfter } = validity(issuer, leaf, context.now);
  const toBeSigned = der.sequence(
    der.tlv(0xa0, der.integerFromHex('02')), // version v3
    der.unsignedInteger(serial),
    issuer.signatureAlgorithm,
    issuer.name,
    der.sequence(der.time(notBefore), der.time(notAfter)),
    der.sequence(der.set(der.sequence(der.oid(OID.commonName), der.utf8String(leaf.commonName)))),
    leaf.key.spki,
    der.tlv(0xa3, der.sequence(...extensions(issuer, leaf), context.crlDistributionPoints)),
  );
  const bytes = await signed(issuer, toBeSigned);
  const certificate = new X509Certificate(bytes);
  if (!certificate.verify(issuer.publicKey)) {
    // A fault while signing can give the key away to who sees the bad signature.
    throw new Error('the signature just made does not verify');
  }
  const certificatePem = der.toPem('CERTIFICATE', bytes);
  return {
    serial: serial.toString('hex'),
    fingerprintSha256: createHash('sha256').update(bytes).digest('hex'),
    notBefore,
    notAfter,
    certificatePem,
    chainPem: certificatePem + issuer.certificatePem,
    ...(leaf.privateKeyPem === undefined ? {} : { privateKeyPem: leaf.privateKeyPem }),
    keyType: leaf.key.keyType,
  };
}

function extensions(issuer: IssuingKey, leaf: LeafDescription): Buffer[] {
  const names = [
    ...leaf.dnsNames.map((name) => der.tlv(0x82, Buffer.from(name, 'latin1'))),
    ...leaf.ipAddresses.map((address) => der.tlv(0x87, address)),
  ];
  // RFC 5280 4.2.1.3 and 4.2.1.12: an EC key signs; an RSA server key may also have a secret sent to it (TLS 1.2).
  const encipherment = leaf.usage === 'server' && leaf.key.keyType === 'rsa-2048';
  return [
    BASIC_CONSTRAINTS,
    encipherment ? DIGITAL_SIGNATURE_KEY_ENCIPHERMENT : DIGITAL_SIGNATURE,
    leaf.usage === 'server' ? SERVER_AUTH : CLIENT_AUTH,
    der.extension(OID.subjectKeyIdentifier, der.octetString(leaf.key.keyId)),
    der.extension(OID.authorityKeyIdentifier, der.sequence(der.tlv(0x80, issuer.keyId))),
    ...(names.length > 0 ? [der.extension(OID.subjectAltName, der.sequence(...names))] : []),
  ];
}

/** One distribution point, one URI (RFC 5280 4.2.1.13). */
export function crlDistributionPoints(url: string): Buffer {
  const uri = der.tlv(0x86, Buffer.from(url, 'latin1'));
  return der.extension(
    OID.crlDistributionPoints,
    der.sequence(der.sequence(der.tlv(0xa0, der.tlv(0xa0, uri)))),
  );
}

function validity(
  issuer: IssuingKey,
  leaf: LeafDescription,
  now: number,
): { notBefore: number; notAfter: number } {
  const { validityDays, defaultValidityDays } = leaf;
  if (validityDays !== undefined && !(Number.isFinite(validityDays) && validityDays > 0)) {
    throw new ValidityError(`A certificate cannot be good for ${validityDays} days: give a number above 0.`);
  }
  if (now >= issuer.notAfter || now < issuer.notBefore) {
    throw new ValidityError(
      `The issuing CA is good from ${iso(issuer.notBefore)} to ${iso(issuer.notAfter)}, and it is ${iso(now)}: check the clock, or make a new CA.`,
    );
  }
  const wanted = wholeSecond(now + (validityDays ?? defaultValidityDays) * DAY_MS);
  if (validityDays !== undefined && wanted > issuer.notAfter) {
    throw new ValidityError(
      `${validityDays} days are too long: the issuing CA ends on ${iso(issuer.notAfter)}, and no certificate outlives it.`,
    );
  }
  return {
    notBefore: wholeSecond(Math.max(now - BACKDATE_MS, issuer.notBefore)),
    notAfter: Math.min(wanted, issuer.notAfter),
  };
}

const iso = (epochMs: number): string => new Date(epochMs).toISOString();
const wholeSecond = (epochMs: number): number => Math.floor(epochMs / 1000) * 1000;
