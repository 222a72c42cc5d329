import { createHash, createPublicKey, verify, X509Certificate, type KeyObject } from 'node:crypto';
import type { KeyType } from '@postern/protocol';
import * as der from './der.js';
import { CertsError } from './errors.js';
import { MAX_CSR_CHARS, RSA_MODULUS_BITS, RSA_PUBLIC_EXPONENT } from './limits.js';

/** A key or a certificate request that cannot be certified; the message says what would be right. */
export class CsrError extends CertsError {
  readonly code = 'CSR_REJECTED';
}

/** A public key that was found fit to be certified. */
export interface LeafKey {
  readonly keyType: KeyType;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
  /** Method 1 of RFC 5280 4.2.1.2: SHA-1 of the key's BIT STRING. A name, not a protection. */
  readonly keyId: Buffer;
}

/** SubjectPublicKeyInfo of P-256 by its OID, up to the uncompressed point (RFC 5480 2). */
const P256_SPKI_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');

/** What a request may be signed by: the AlgorithmIdentifier, DER, and its hash and key (RFC 5758 3.2, RFC 4055 5). */
const SIGNATURES = new Map(
  [
    { oid: '1.2.840.10045.4.3.2', hash: 'sha256', keyType: 'ec-p256' },
    { oid: '1.2.840.10045.4.3.3', hash: 'sha384', keyType: 'ec-p256' },
    { oid: '1.2.840.10045.4.3.4', hash: 'sha512', keyType: 'ec-p256' },
    { oid: '1.2.840.113549.1.1.11', hash: 'sha256', keyType: 'rsa-2048' },
    { oid: '1.2.840.113549.1.1.12', hash: 'sha384', keyType: 'rsa-2048' },
    { oid: '1.2.840.113549.1.1.13', hash: 'sha512', keyType: 'rsa-2048' },
  ].map(({ oid, hash, keyType }) => {
    const parameters = keyType === 'ec-p256' ? [] : [der.nullValue()];
    return [der.sequence(der.oid(oid), ...parameters).toString('hex'), { hash, keyType }];
  }),
);
/** PKCS#10 has one version, and it is 0 (RFC 2986 4.1). */
const VERSION = der.integerFromHex('00');
const CSR_LABELS = 'CERTIFICATE REQUEST|NEW CERTIFICATE REQUEST';

export function checkPublicKey(key: KeyObject): LeafKey {
  // Exported again, so that no odd encoding of the caller's is signed.
  const spki = key.export({ type: 'spki', format: 'der' });
  if (key.asymmetricKeyType === 'ec') {
    // Byte for byte, so that neither explicit parameters nor a compressed point passes (RFC 5480 2.1.1).
    if (!spki.subarray(0, P256_SPKI_PREFIX.length).equals(P256_SPKI_PREFIX) || spki.length !== 91) {
      throw new CsrError('The EC key is not on the named curve P-256 (prime256v1), the only one taken.');
    }
    return { keyType: 'ec-p256', spki, keyId: sha1(spki.subarray(P256_SPKI_PREFIX.length)) };
  }
  if (key.asymmetricKeyType === 'rsa') {
    const { modulusLength = 0, publicExponent } = key.asymmetricKeyDetails ?? {};
    if (modulusLength < RSA_MODULUS_BITS.min || modulusLength > RSA_MODULUS_BITS.max) {
      throw new CsrError(
        `The RSA key has ${modulusLength} bits: ${RSA_MODULUS_BITS.min} to ${RSA_MODULUS_BITS.max} are taken.`,
      );
    }
    if (publicExponent !== RSA_PUBLIC_EXPONENT) {
      throw new CsrError(`The RSA key's public exponent is not ${RSA_PUBLIC_EXPONENT}, the only one taken.`);
    }
    return { keyType: 'rsa-2048', spki, keyId: sha1(key.export({ type: 'pkcs1', format: 'der' })) };
  }
  throw new CsrError(
    `A key of type ${key.asymmetricKeyType ?? 'unknown'} is not taken: use EC P-256 or RSA.`,
  );
}

/** The key of a PKCS#10 request that proves its possession (RFC 2986 4.2). All else that it asks for is left out. */
export function keyOfCsr(csrPem: string): LeafKey {
  const request = parseCsr(csrPem);
  const algorithm = SIGNATURES.get(Buffer.from(request.signatureAlgorithm).toString('hex'));
  if (algorithm === undefined) {
    throw new CsrError('The certificate request must be signed by ECDSA or RSA (PKCS#1 v1.5) with SHA-2.');
  }
  const publicKey = publicKeyOf(Buffer.from(request.spki));
  // Before the signature, because checking one of a huge key is what an attacker would like to have done.
  const key = checkPublicKey(publicKey);
  const fits =
    key.keyType === algorithm.keyType &&
    verify(algorithm.hash, request.signed, { key: publicKey, dsaEncoding: 'der' }, request.signature);
  if (!fits) throw new CsrError("The certificate request's signature is not by the key that it holds.");
  return key;
}

/** The key of a PEM public key or certificate: what was certified before and is certified again. */
export function keyOfPem(pem: string): LeafKey {
  let key: KeyObject;
  try {
    key = pem.includes('BEGIN CERTIFICATE') ? new X509Certificate(pem).publicKey : publicKeyOf(pemBody(pem));
  } catch (error) {
    if (error instanceof CsrError) throw error;
    throw new CsrError('The public key cannot be read: give a PEM public key or certificate.', {
      cause: error,
    });
  }
  return checkPublicKey(key);
}

interface ParsedCsr {
  /** CertificationRequestInfo, byte for byte as it was signed. */
  readonly signed: Uint8Array;
  readonly spki: Uint8Array;
  readonly signatureAlgorithm: Uint8Array;
  readonly signature: Uint8Array;
}

/**
 * CertificationRequest (RFC 2986 4.2). Read here rather than by @peculiar/x509, which overlooks trailing
 * bytes and takes an ECDSA signature with digits too many.
 */
function parseCsr(csrPem: string): ParsedCsr {
  const match = new RegExp(
    `^\\s*-----BEGIN (${CSR_LABELS})-----([A-Za-z0-9+/=\\s]+)-----END \\1-----\\s*$`,
  ).exec(csrPem.length > MAX_CSR_CHARS ? '' : csrPem);
  if (!match?.[2]) {
    throw new CsrError(
      `The certificate request is no PEM "CERTIFICATE REQUEST" of at most ${MAX_CSR_CHARS} characters.`,
    );
  }
  try {
    const [request] = children(Buffer.from(match[2], 'base64'), [0x30]);
    const [info, algorithm, signature] = children(request?.content, [0x30, 0x30, 0x03]);
    const [version, , spki] = children(info?.content, [0x02, 0x30, 0x30, 0xa0]);
    const [unusedBits, ...bytes] = signature?.content ?? [];
    if (!info || !algorithm || !version || !spki || unusedBits !== 0 || !VERSION.equals(version.whole)) {
      throw new RangeError('not a version 1 request');
    }
    return {
      signed: info.whole,
      spki: spki.whole,
      signatureAlgorithm: algorithm.whole,
      signature: Uint8Array.from(bytes),
    };
  } catch (error) {
    throw new CsrError('The certificate request is no PKCS#10 (RFC 2986), or it is damaged.', {
      cause: error,
    });
  }
}

/** The elements within, which must be these and no others. */
function children(content: Uint8Array | undefined, tags: readonly number[]): der.Element[] {
  const found = [...der.elements(content ?? new Uint8Array())];
  if (found.length !== tags.length || found.some(({ tag }, position) => tag !== tags[position])) {
    throw new RangeError('not the elements that were expected');
  }
  return found;
}

function publicKeyOf(spki: Buffer): KeyObject {
  try {
    return createPublicKey({ key: spki, format: 'der', type: 'spki' });
  } catch (error) {
    throw new CsrError('The public key is damaged, or of a kind that is not taken: use EC P-256 or RSA.', {
      cause: error,
    });
  }
}

function pemBody(pem: string): Buffer {
  const body = /-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----/.exec(pem)?.[1];
  if (body === undefined) throw new CsrError('The public key is no PEM "PUBLIC KEY".');
  return Buffer.from(body, 'base64');
}

function sha1(bytes: Uint8Array): Buffer {
  return createHash('sha1').update(bytes).digest();
}
