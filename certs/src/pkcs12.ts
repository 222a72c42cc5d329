import {
  createHash,
  createHmac,
  createPrivateKey,
  randomBytes,
  X509Certificate,
  type KeyObject,
} from 'node:crypto';
import forge from 'node-forge';
import * as der from './der.js';
import { CertsError } from './errors.js';
import { encryptPrivateKey } from './private-keys.js';

/** What was given cannot be bundled. */
export class Pkcs12Error extends CertsError {
  readonly code = 'PKCS12_INVALID';
}

/** A bundle travels, and its password is all that protects the key in it. */
export const PKCS12_PASSWORD_CHARS = { min: 8, max: 128 } as const;

/**
 * Rounds of the integrity check's key. Fewer than for the key's own encryption, because the derivation is of
 * PKCS#12's own making (RFC 7292 B.2) and runs in JavaScript: 0.2 s.
 */
const MAC_ITERATIONS = 100_000;
const MAC_BYTES = 32;

const OID = {
  data: '1.2.840.113549.1.7.1',
  shroudedKeyBag: '1.2.840.113549.1.12.10.1.2',
  certBag: '1.2.840.113549.1.12.10.1.3',
  x509Certificate: '1.2.840.113549.1.9.22.1',
  localKeyId: '1.2.840.113549.1.9.21',
  sha256: '2.16.840.1.101.3.4.2.1',
};

export interface Pkcs12Request {
  /** PEM, leaf first, then what is above it. */
  readonly chainPem: string;
  /** PKCS#8, PEM, in the clear. */
  readonly privateKeyPem: string;
  /** Printable ASCII, since programs differ in how they encode anything else. */
  readonly password: string;
}

/**
 * A PKCS#12 bundle (RFC 7292): the key by AES-256 with PBKDF2 (as at rest), integrity by HMAC-SHA256, and no
 * legacy algorithm. The certificates are public and stay in the clear. node-forge derives the integrity key;
 * the bundle itself is put together here, because node-forge's own function takes RSA keys only.
 *
 * Rejects with PKCS12_INVALID where key and certificate do not belong together or the password will not do.
 */
export async function makePkcs12(request: Pkcs12Request): Promise<Uint8Array> {
  const { password } = request;
  const { min, max } = PKCS12_PASSWORD_CHARS;
  if (password.length < min || password.length > max || !/^[ -~]*$/.test(password)) {
    throw new Pkcs12Error(`The password must be ${min} to ${max} characters of printable ASCII.`);
  }
  const { chain, key } = read(request);
  // Tells a reader which of the certificates is the key's.
  const keyId = createHash('sha1')
    .update(chain[0]?.raw ?? Buffer.alloc(0))
    .digest();
  const ofKey = der.set(der.sequence(der.oid(OID.localKeyId), der.set(der.octetString(keyId))));

  const keyBag = der.sequence(
    der.oid(OID.shroudedKeyBag),
    der.tlv(0xa0, await encryptPrivateKey(key, password)),
    ofKey,
  );
  const certificateBags = chain.map((certificate, position) =>
    der.sequence(
      der.oid(OID.certBag),
      der.tlv(
        0xa0,
        der.sequence(der.oid(OID.x509Certificate), der.tlv(0xa0, der.octetString(certificate.raw))),
      ),
      ...(position === 0 ? [ofKey] : []),
    ),
  );
  const authenticatedSafe = der.sequence(
    dataContent(der.sequence(...certificateBags)),
    dataContent(der.sequence(keyBag)),
  );
  return der.sequence(
    der.integerFromHex('03'),
    dataContent(authenticatedSafe),
    macData(authenticatedSafe, password),
  );
}

function dataContent(content: Buffer): Buffer {
  return der.sequence(der.oid(OID.data), der.tlv(0xa0, der.octetString(content)));
}

function macData(content: Buffer, password: string): Buffer {
  const salt = randomBytes(16);
  const key = forge.pkcs12.generateKey(
    password,
    forge.util.createBuffer(salt.toString('latin1')),
    3, // the purpose "integrity" (RFC 7292 B.3)
    MAC_ITERATIONS,
    MAC_BYTES,
    forge.md.sha256.create(),
  );
  const mac = createHmac('sha256', Buffer.from(key.getBytes(), 'latin1')).update(content).digest();
  return der.sequence(
    der.sequence(der.sequence(der.oid(OID.sha256), der.nullValue()), der.octetString(mac)),
    der.octetString(salt),
    der.integerFromHex(MAC_ITERATIONS.toString(16)),
  );
}

function read(request: Pkcs12Request): { chain: X509Certificate[]; key: KeyObject } {
  const blocks = request.chainPem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  let chain: X509Certificate[];
  let key: KeyObject;
  try {
    chain = blocks.map((pem) => new X509Certificate(pem));
  } catch (error) {
    throw new Pkcs12Error('A certificate of the chain is damaged.', { cause: error });
  }
  const [leaf] = chain;
  if (leaf === undefined) throw new Pkcs12Error('The chain holds no PEM certificate.');
  try {
    key = createPrivateKey(request.privateKeyPem);
  } catch {
    // The cause is left out: it could quote the key's file.
    throw new Pkcs12Error('The private key is no unencrypted PEM key, or it is damaged.');
  }
  if (!leaf.checkPrivateKey(key)) {
    throw new Pkcs12Error('The private key is not the one of the first certificate of the chain.');
  }
  return { chain, key };
}
