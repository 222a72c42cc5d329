import { createHash, createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import type { KeyType } from '@postern/protocol';
import { CertsError } from './errors.js';
import { MAX_CSR_CHARS, RSA_MODULUS_BITS, RSA_PUBLIC_EXPONENT } from './limits.js';
import { x509 } from './x509.js';

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
const SIGNATURES = new Set(['ECDSA', 'RSASSA-PKCS1-v1_5']);
const HASHES = new Set(['SHA-256', 'SHA-384', 'SHA-512']);
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
export async function keyOfCsr(csrPem: string): Promise<LeafKey> {
  const request = parseCsr(csrPem);
  let algorithm;
  try {
    algorithm = request.signatureAlgorithm as { name: string; hash?: { name: string } };
  } catch (error) {
    throw new CsrError('The certificate request is signed by an unknown algorithm.', { cause: error });
  }
  if (!SIGNATURES.has(algorithm.name) || !HASHES.has(algorithm.hash?.name ?? '')) {
    throw new CsrError('The certificate request must be signed by ECDSA or RSA (PKCS#1 v1.5) with SHA-2.');
  }
  // Before the signature, because checking one of a huge key is what an attacker would like to have done.
  const key = checkPublicKey(publicKeyOf(Buffer.from(request.publicKey.rawData)));
  if (!(await verifies(request))) {
    throw new CsrError("The certificate request's signature is not by the key that it holds.");
  }
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

function parseCsr(csrPem: string): x509.Pkcs10CertificateRequest {
  const match = new RegExp(
    `^\\s*-----BEGIN (${CSR_LABELS})-----([A-Za-z0-9+/=\\s]+)-----END \\1-----\\s*$`,
  ).exec(csrPem.length > MAX_CSR_CHARS ? '' : csrPem);
  if (!match?.[2]) {
    throw new CsrError(
      `The certificate request is no PEM "CERTIFICATE REQUEST" of at most ${MAX_CSR_CHARS} characters.`,
    );
  }
  try {
    return new x509.Pkcs10CertificateRequest(Buffer.from(match[2], 'base64'));
  } catch (error) {
    throw new CsrError('The certificate request is no PKCS#10 (RFC 2986), or it is damaged.', {
      cause: error,
    });
  }
}

async function verifies(request: x509.Pkcs10CertificateRequest): Promise<boolean> {
  try {
    return await request.verify();
  } catch {
    // WebCrypto throws where key and algorithm do not fit each other, or a point is not on the curve.
    return false;
  }
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
