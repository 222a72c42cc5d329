import {
  createCipheriv,
  createPrivateKey,
  generateKeyPair,
  generateKeyPairSync,
  pbkdf2,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import type { KeyType } from '@postern/protocol';
import * as der from './der.js';
import { KDF_ITERATIONS, RSA_PUBLIC_EXPONENT } from './limits.js';
import type { AuthorityKeyType } from './types.js';

const generateKeyPairAsync = promisify(generateKeyPair);
const pbkdf2Async = promisify(pbkdf2);

const PBES2 = '1.2.840.113549.1.5.13';
const PBKDF2 = '1.2.840.113549.1.5.12';
const HMAC_SHA256 = '1.2.840.113549.2.9';
const AES_256_CBC = '2.16.840.1.101.3.4.1.42';
const SALT_BYTES = 16;
const KEY_BYTES = 32;

export interface KeyPair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export async function makeKeyPair(keyType: KeyType | AuthorityKeyType): Promise<KeyPair> {
  if (keyType === 'ec-p256') {
    // 0.1 ms: less than the way to the thread pool and back.
    return generateKeyPairSync('ec', { namedCurve: 'P-256' });
  }
  return generateKeyPairAsync('rsa', {
    modulusLength: keyType === 'rsa-3072' ? 3072 : 2048,
    publicExponent: Number(RSA_PUBLIC_EXPONENT),
  });
}

/** PKCS#8, PEM, in the clear. */
export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/**
 * EncryptedPrivateKeyInfo (RFC 5958 3) by PBES2 (RFC 8018 6.2): PBKDF2-HMAC-SHA256 with
 * {@link KDF_ITERATIONS} rounds and AES-256-CBC. Node's own export does 2,048 rounds and no other number.
 */
export async function encryptPrivateKey(key: KeyObject, passphrase: string): Promise<Buffer> {
  const salt = randomBytes(SALT_BYTES);
  const iv = randomBytes(16);
  const derived = await pbkdf2Async(passphrase, salt, KDF_ITERATIONS, KEY_BYTES, 'sha256');
  const cipher = createCipheriv('aes-256-cbc', derived, iv);
  const plain = key.export({ type: 'pkcs8', format: 'der' });
  const encrypted = Buffer.concat([cipher.update(plain), cipher.final()]);
  const kdf = der.sequence(
    der.oid(PBKDF2),
    der.sequence(
      der.octetString(salt),
      der.integerFromHex(KDF_ITERATIONS.toString(16)),
      der.integerFromHex(KEY_BYTES.toString(16)),
      der.sequence(der.oid(HMAC_SHA256), der.nullValue()),
    ),
  );
  const encryption = der.sequence(der.oid(AES_256_CBC), der.octetString(iv));
  return der.sequence(
    der.sequence(der.oid(PBES2), der.sequence(kdf, encryption)),
    der.octetString(encrypted),
  );
}

export async function encryptedPrivateKeyPem(key: KeyObject, passphrase: string): Promise<string> {
  return der.toPem('ENCRYPTED PRIVATE KEY', await encryptPrivateKey(key, passphrase));
}

/** Undefined where the passphrase does not open it, or what it opens is no key. */
export function decryptPrivateKey(pem: string, passphrase: string): KeyObject | undefined {
  try {
    return createPrivateKey({ key: pem, format: 'pem', passphrase });
  } catch {
    // OpenSSL's text says where in its own source it failed, which helps nobody.
    return undefined;
  }
}
