import { randomBytes } from 'node:crypto';
import { CertsError } from './errors.js';
import { newSerial } from './leaf.js';
import { BACKDATE_MS, DAY_MS } from './limits.js';
import type { KeyPair } from './private-keys.js';
import { x509 } from './x509.js';
import { webcrypto, type KeyObject } from 'node:crypto';
import type { AuthorityKeyType } from './types.js';

/** A name or a validity that no CA can be made with. */
export class AuthoritySettingsError extends CertsError {
  readonly code = 'CA_SETTINGS_INVALID';
}

const AUTHORITY_NAME = /^[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,38}[A-Za-z0-9])?$/;
const CA_KEY_USAGE = x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign;

export interface CaCertificates {
  readonly rootPem: string;
  readonly issuingPem: string;
}

/**
 * The root, and the issuing CA below it with path length 0 (RFC 5280 4.2.1.9): no CA can be made below that.
 * A few random digits are part of both names, so that two authorities on one machine are not one to OpenSSL,
 * which looks issuers (and CRLs) up by name.
 */
export async function makeCaCertificates(parts: {
  root: KeyPair;
  issuing: KeyPair;
  keyType: AuthorityKeyType;
  name: string;
  rootValidityDays: number;
  issuingValidityDays: number;
  now: number;
}): Promise<CaCertificates> {
  const { root, issuing, keyType, name, now } = parts;
  if (!AUTHORITY_NAME.test(name)) {
    throw new AuthoritySettingsError(
      'The CA name must be 1 to 40 characters of A-Z a-z 0-9 space . _ -, with a letter or digit at both ends.',
    );
  }
  if (!(parts.issuingValidityDays > 0 && parts.issuingValidityDays <= parts.rootValidityDays)) {
    throw new AuthoritySettingsError(
      'The issuing CA must be good for some days, and not for longer than the root.',
    );
  }
  const suffix = randomBytes(3).toString('hex');
  const rootName = new x509.Name([{ O: [name] }, { CN: [`${name} Root CA ${suffix}`] }]);
  const issuingName = new x509.Name([{ O: [name] }, { CN: [`${name} Issuing CA ${suffix}`] }]);
  const rootKey = await signingKey(root.privateKey, keyType);
  const notBefore = wholeSecond(now - BACKDATE_MS);

  const rootPublic = spki(root.publicKey);
  const rootId = await x509.SubjectKeyIdentifierExtension.create(rootPublic);
  const rootCertificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial().toString('hex'),
    subject: rootName,
    issuer: rootName,
    notBefore,
    notAfter: wholeSecond(now + parts.rootValidityDays * DAY_MS),
    publicKey: rootPublic,
    signingKey: rootKey,
    signingAlgorithm: rootKey.algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(CA_KEY_USAGE, true),
      rootId,
      new x509.AuthorityKeyIdentifierExtension(rootId.keyId),
    ],
  });

  const issuingPublic = spki(issuing.publicKey);
  const issuingCertificate = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial().toString('hex'),
    subject: issuingName,
    issuer: rootName,
    notBefore,
    notAfter: wholeSecond(now + parts.issuingValidityDays * DAY_MS),
    publicKey: issuingPublic,
    signingKey: rootKey,
    signingAlgorithm: rootKey.algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(CA_KEY_USAGE, true),
      await x509.SubjectKeyIdentifierExtension.create(issuingPublic),
      new x509.AuthorityKeyIdentifierExtension(rootId.keyId),
    ],
  });
  return { rootPem: pem(rootCertificate), issuingPem: pem(issuingCertificate) };
}

function spki(key: KeyObject): x509.PublicKey {
  return new x509.PublicKey(key.export({ type: 'spki', format: 'der' }));
}

/** The key as WebCrypto wants it, not to be taken out again. */
async function signingKey(key: KeyObject, keyType: AuthorityKeyType): Promise<x509SigningKey> {
  const algorithm =
    keyType === 'ec-p256'
      ? { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
      : { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const bytes = key.export({ type: 'pkcs8', format: 'der' });
  return (await webcrypto.subtle.importKey('pkcs8', bytes, algorithm, false, ['sign'])) as x509SigningKey;
}

type x509SigningKey = Extract<
  Parameters<typeof x509.X509CertificateGenerator.create>[0],
  { signingKey: unknown }
>['signingKey'];

const pem = (certificate: x509.X509Certificate): string => `${certificate.toString('pem').trimEnd()}\n`;
const wholeSecond = (epochMs: number): Date => new Date(Math.floor(epochMs / 1000) * 1000);
