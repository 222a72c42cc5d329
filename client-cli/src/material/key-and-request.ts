import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  webcrypto,
  type KeyObject,
} from 'node:crypto';
import type { KeyType } from '@postern/protocol';
import { UsageError } from '../errors.js';

/** A private key and the PKCS#10 request (RFC 2986) that it signed. */
export interface KeyAndRequest {
  /** PKCS#8, PEM. */
  readonly keyPem: string;
  readonly csrPem: string;
}

/** A new key, made on this machine, with a request for it. The gateway sees the request only. */
export async function makeKeyAndRequest(keyType: KeyType, deviceName: string): Promise<KeyAndRequest> {
  const { privateKey } =
    keyType === 'ec-p256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 0x10001 });
  return requestFor(privateKey, deviceName);
}

/** A request for a key that is there already. Throws {@link UsageError} where it is none that devices may have. */
export async function requestWithKey(
  keyPem: string,
  deviceName: string,
  source: string,
): Promise<KeyAndRequest> {
  let key: KeyObject;
  try {
    key = createPrivateKey(keyPem);
  } catch (error) {
    throw new UsageError(`${source} is not a private key in PEM without a passphrase.`, { cause: error });
  }
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {};
  const known =
    (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') ||
    (key.asymmetricKeyType === 'rsa' && modulusLength === 2048);
  if (!known)
    throw new UsageError(`The key in ${source} is neither EC P-256 nor RSA-2048, which a device must have.`);
  return requestFor(key, deviceName);
}

async function requestFor(key: KeyObject, deviceName: string): Promise<KeyAndRequest> {
  // Loaded here, since no other command needs it and it takes longer to load than those take to run.
  await import('reflect-metadata');
  const { Pkcs10CertificateRequestGenerator, cryptoProvider } = await import('@peculiar/x509');
  const provider = webcrypto;
  cryptoProvider.set(provider);
  const algorithm =
    key.asymmetricKeyType === 'ec'
      ? { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
      : { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
  const keys = {
    privateKey: await provider.subtle.importKey(
      'pkcs8',
      key.export({ type: 'pkcs8', format: 'der' }),
      algorithm,
      true,
      ['sign'],
    ),
    publicKey: await provider.subtle.importKey(
      'spki',
      createPublicKey(key).export({ type: 'spki', format: 'der' }),
      algorithm,
      true,
      ['verify'],
    ),
  };
  const request = await Pkcs10CertificateRequestGenerator.create({
    // The gateway puts the device's id into the certificate, whatever is asked for here.
    name: [{ CN: [deviceName] }],
    keys,
    signingAlgorithm: algorithm,
  });
  return {
    keyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    csrPem: `${request.toString('pem').trimEnd()}\n`,
  };
}
