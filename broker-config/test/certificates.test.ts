import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { connect as tlsConnect, type ConnectionOptions, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openBed, testBrokers, type Bed } from './support/bed.js';
import { amqpOpen, eventually, mqttConnect } from './support/clients.js';
import { TestPki, type Leaf } from './support/pki.js';

const brokers = await testBrokers();

describe.each(brokers)('certificates on $label', ({ home }) => {
  let bed: Bed;
  let id: string;
  let good: Leaf;

  beforeAll(async () => {
    bed = await openBed({ home });
    const device = bed.device();
    id = device.id;
    good = device;
  }, 120_000);
  afterAll(async () => bed?.close(), 60_000);

  const mqttSession = async (leaf: Leaf | null, options: object = {}): Promise<void> => {
    const client = await mqttConnect(bed, leaf, { clientId: id, ...options });
    await client.endAsync();
  };
  const amqpSession = async (leaf: Leaf | null): Promise<void> => (await amqpOpen(bed, leaf)).close();

  /** Waits for the handshake and for what the server says after it (TLS 1.3 refuses a certificate only then). */
  const handshake = (options: ConnectionOptions): Promise<TLSSocket> =>
    new Promise((resolve, reject) => {
      const socket = tlsConnect({
        host: '127.0.0.1',
        port: bed.mqttsPort,
        ca: readFileSync(bed.pki.caFile),
        cert: good.cert,
        key: good.key,
        ...options,
      });
      socket.once('secureConnect', () => resolve(socket));
      socket.once('error', reject);
    });

  test('a device certificate opens an MQTT and an AMQP session', async () => {
    await mqttSession(good);
    await amqpSession(good);
  });

  test.each([
    ['EC P-256', 'ec', 'TLSv1.2'],
    ['EC P-256', 'ec', 'TLSv1.3'],
    ['RSA-2048', 'rsa', 'TLSv1.2'],
    ['RSA-2048', 'rsa', 'TLSv1.3'],
  ] as const)('%s works over %s %s', async (_name, keyType, version) => {
    const leaf = bed.pki.leaf({ commonName: id, keyType });
    await mqttSession(leaf, { minVersion: version, maxVersion: version });
  });

  test('a device that sends its leaf without the issuing CA is known as well', async () => {
    const leafAlone = readFileSync(good.certFile.replace(/\.pem$/, '.leaf'));
    await mqttSession({ ...good, cert: leafAlone });
  });

  describe('no session', () => {
    const refused = async (leaf: Leaf | null): Promise<void> => {
      await expect(mqttSession(leaf)).rejects.toThrow();
      await expect(amqpSession(leaf)).rejects.toThrow();
      expect(bed.auth.questions).toEqual([]);
    };
    beforeAll(() => {
      bed.auth.questions.length = 0;
    });
    // None of these may even be asked about: TLS refuses them.
    test('without a certificate', () => refused(null));
    test("with another CA's certificate, also when that CA has the same name", async () => {
      const dir = join(bed.dir, 'foreign');
      mkdirSync(dir);
      await refused(new TestPki(dir, bed.pki.label).leaf({ commonName: id }));
    });
    test('with a self-signed one', () => refused(bed.pki.leaf({ commonName: id, selfSigned: true })));
    test('with an expired one', () =>
      refused(
        bed.pki.leaf({
          commonName: id,
          notBefore: new Date(Date.now() - 7_200_000),
          notAfter: new Date(Date.now() - 60_000),
        }),
      ));
    test('with one that is not valid yet', () =>
      refused(bed.pki.leaf({ commonName: id, notBefore: new Date(Date.now() + 3_600_000) })));
    test('with a server certificate', () => refused(bed.pki.leaf({ commonName: id, profile: 'server' })));
    test('with a leaf that poses as a CA', async () => {
      const forged = bed.pki.leafIssuedBy(good, id);
      await refused(forged);
    });
  });

  test('the cipher suite of an FT900 is served, and nothing without forward secrecy or AEAD', async () => {
    const tls12 = (ciphers: string): ConnectionOptions => ({ maxVersion: 'TLSv1.2', ciphers });
    const socket = await handshake(tls12('ECDHE-ECDSA-AES128-GCM-SHA256'));
    expect(socket.getCipher().standardName).toBe('TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256');
    socket.destroy();
    for (const suite of ['ECDHE-ECDSA-AES128-SHA256', 'ECDHE-ECDSA-AES256-SHA', 'ECDHE-ECDSA-AES128-CCM8']) {
      await expect(handshake(tls12(`${suite}:@SECLEVEL=0`)), suite).rejects.toThrow();
    }
  });

  test('TLS 1.1 is refused', async () => {
    await expect(
      handshake({ minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }),
    ).rejects.toThrow();
  });

  test('a TLS session is never resumed, since that would skip the check of the certificate', async () => {
    const first = await handshake({ maxVersion: 'TLSv1.2' });
    const session = first.getSession();
    first.destroy();
    const second = await handshake({ maxVersion: 'TLSv1.2', ...(session && { session }) });
    expect(second.isSessionReused()).toBe(false);
    second.destroy();
  });

  describe('revocation', () => {
    afterAll(() => bed.pki.publishCrl());

    test('refuses exactly the revoked one of two certificates with the same name, at once', async () => {
      const old = bed.pki.leaf({ commonName: id });
      const renewed = bed.pki.leaf({ commonName: id });
      await mqttSession(old);
      await mqttSession(renewed);
      bed.pki.revoke(old);
      bed.pki.publishCrl();
      await expect(mqttSession(old)).rejects.toThrow(/revoked/i);
      await expect(amqpSession(old)).rejects.toThrow();
      await mqttSession(renewed);
      await amqpSession(renewed);
    });

    test('without a CRL nobody gets in, and everybody again once it is back', async () => {
      rmSync(bed.pki.crlFile);
      await expect(mqttSession(good)).rejects.toThrow();
      bed.pki.publishCrl();
      await mqttSession(good);
    });

    test('an expired CRL lets nobody in', async () => {
      bed.pki.publishCrl(1);
      await eventually('a refusal', () =>
        mqttSession(good).then(
          () => false,
          () => true,
        ),
      );
      bed.pki.publishCrl();
      await mqttSession(good);
    });
  });
});
