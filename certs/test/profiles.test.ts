import { createHash, X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import forge from 'node-forge';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  describeCertificate,
  LEAF_VALIDITY_DAYS,
  type Authority,
  type IssuedCertificate,
} from '@postern/certs';
import { openssl, opensslOk } from './support/openssl.js';
import { CRL_URL, tempCa, type TempCa } from './support/temp-ca.js';

type KeyType = 'ec-p256' | 'rsa-2048';
const DEVICE_ID = 'dabcdefghijklmnopqr23';
const DAY_MS = 86_400_000;

const PROFILES = {
  device: {
    issue: (ca: Authority, keyType: KeyType) => ca.issueDevice({ deviceId: DEVICE_ID, keyType }),
    commonName: DEVICE_ID,
    usage: 'TLS Web Client Authentication',
    purpose: 'sslclient',
    notFor: 'sslserver',
    san: `DNS:${DEVICE_ID}`,
    days: LEAF_VALIDITY_DAYS.device,
  },
  gatewayClient: {
    issue: (ca: Authority, keyType: KeyType) => ca.issueGatewayClient({ keyType }),
    commonName: 'postern-gateway',
    usage: 'TLS Web Client Authentication',
    purpose: 'sslclient',
    notFor: 'sslserver',
    san: undefined,
    days: LEAF_VALIDITY_DAYS.gatewayClient,
  },
  brokerServer: {
    issue: (ca: Authority, keyType: KeyType) =>
      ca.issueBrokerServer({
        dnsNames: ['broker.example', '*.Broker.Example'],
        ipAddresses: ['127.0.0.1'],
        keyType,
      }),
    commonName: 'broker.example',
    usage: 'TLS Web Server Authentication',
    purpose: 'sslserver',
    notFor: 'sslclient',
    san: 'DNS:broker.example, DNS:*.broker.example, IP Address:127.0.0.1',
    days: LEAF_VALIDITY_DAYS.server,
  },
  httpsServer: {
    issue: (ca: Authority, keyType: KeyType) =>
      ca.issueHttpsServer({
        dnsNames: [],
        ipAddresses: ['192.0.2.7', '2001:db8::1', '::ffff:192.0.2.1'],
        keyType,
      }),
    commonName: '192.0.2.7',
    usage: 'TLS Web Server Authentication',
    purpose: 'sslserver',
    notFor: 'sslclient',
    san: 'IP Address:192.0.2.7, IP Address:2001:DB8:0:0:0:0:0:1, IP Address:0:0:0:0:0:FFFF:C000:201',
    days: LEAF_VALIDITY_DAYS.server,
  },
} as const;

const CASES = (['ec-p256', 'rsa-3072'] as const).flatMap((caKey) =>
  (Object.keys(PROFILES) as (keyof typeof PROFILES)[]).flatMap((profile) =>
    (['ec-p256', 'rsa-2048'] as const).map((keyType) => ({ caKey, profile, keyType })),
  ),
);

/** The line or lines after an extension's heading in OpenSSL's text. */
function extension(text: string, heading: string): string | undefined {
  return new RegExp(`${heading}: *(critical)?\\n((?: {16,}.*\\n)+)`)
    .exec(text)
    ?.slice(1)
    .map((part = '') => part.trim().replace(/\s*\n\s*/g, ' '))
    .filter((part) => part !== '')
    .join(' | ');
}

describe('leaf profiles', () => {
  const cas = {} as Record<'ec-p256' | 'rsa-3072', TempCa>;
  beforeAll(async () => {
    cas['ec-p256'] = await tempCa();
    cas['rsa-3072'] = await tempCa('rsa-3072');
  });
  afterAll(() => Object.values(cas).forEach((ca) => ca.remove()));

  describe.each(CASES)('$profile with $keyType below an $caKey CA', ({ caKey, profile, keyType }) => {
    const expected = PROFILES[profile];
    let ca: TempCa;
    let issued: IssuedCertificate;
    let path: string;
    beforeAll(async () => {
      ca = cas[caKey];
      issued = await expected.issue(ca.authority, keyType);
      path = ca.file(`${profile}-${keyType}.pem`, issued.certificatePem);
    });

    it('holds what RFC 5280 asks for, as openssl reads it', () => {
      const text = opensslOk(['x509', '-in', path, '-noout', '-text']);
      expect(text).toContain('Version: 3 (0x2)');
      expect(/Subject: CN ?= ?(.*)/.exec(text)?.[1]).toBe(expected.commonName);
      expect(extension(text, 'Basic Constraints')).toBe('critical | CA:FALSE');
      const encipherment = keyType === 'rsa-2048' && expected.purpose === 'sslserver';
      expect(extension(text, 'X509v3 Key Usage')).toBe(
        `critical | Digital Signature${encipherment ? ', Key Encipherment' : ''}`,
      );
      expect(extension(text, 'Extended Key Usage')).toBe(expected.usage);
      expect(extension(text, 'Subject Alternative Name')).toBe(expected.san);
      expect(extension(text, 'CRL Distribution Points')).toBe(`Full Name: URI:${CRL_URL}`);
      expect(text).toContain(keyType === 'ec-p256' ? 'ASN1 OID: prime256v1' : 'Public-Key: (2048 bit)');
      expect(text).toContain(
        `Signature Algorithm: ${caKey === 'ec-p256' ? 'ecdsa-with-SHA256' : 'sha256WithRSAEncryption'}`,
      );
    });

    it('names its own key and its issuer by key id (RFC 5280 4.2.1.1, 4.2.1.2)', () => {
      const text = opensslOk(['x509', '-in', path, '-noout', '-text']);
      const issuing = opensslOk(['x509', '-noout', '-text'], ca.authority.issuingCaPem);
      expect(extension(text, 'Authority Key Identifier')).toBe(extension(issuing, 'Subject Key Identifier'));
      const key = new X509Certificate(issued.certificatePem).publicKey;
      const bits =
        keyType === 'rsa-2048'
          ? key.export({ type: 'pkcs1', format: 'der' })
          : key.export({ type: 'spki', format: 'der' }).subarray(-65);
      const sha1 = createHash('sha1').update(bits).digest('hex').toUpperCase();
      expect(extension(text, 'Subject Key Identifier')?.replaceAll(':', '')).toBe(sha1);
    });

    it('is accepted by openssl in strict mode for its purpose, and not for the other', () => {
      const verify = (purpose: string): { status: number; out: string } =>
        openssl([
          ...['verify', '-x509_strict', '-purpose', purpose, '-CAfile', join(ca.dir, 'rootca.pem')],
          ...['-untrusted', join(ca.dir, 'issuing.pem'), path],
        ]);
      expect(verify(expected.purpose)).toEqual({ status: 0, out: `${path}: OK\n` });
      const refused = verify(expected.notFor);
      expect(refused.status).not.toBe(0);
      expect(refused.out).toMatch(/unsuitable certificate purpose|unsupported certificate purpose/i);
    });

    it('reports serial, fingerprint and times as they are in it', () => {
      const certificate = new X509Certificate(issued.certificatePem);
      expect(issued.serial).toMatch(/^[4-7][0-9a-f]{31}$/);
      expect(certificate.serialNumber.toLowerCase()).toBe(issued.serial);
      expect(issued.fingerprintSha256).toBe(createHash('sha256').update(certificate.raw).digest('hex'));
      expect(Date.parse(certificate.validFrom)).toBe(issued.notBefore);
      expect(Date.parse(certificate.validTo)).toBe(issued.notAfter);
      expect(issued.notBefore).toBeLessThanOrEqual(Date.now());
      expect(Math.round((issued.notAfter - Date.now()) / DAY_MS)).toBe(expected.days);
      expect(issued.keyType).toBe(keyType);
      expect(describeCertificate(issued.chainPem)).toMatchObject({
        serial: issued.serial,
        fingerprintSha256: issued.fingerprintSha256,
        commonName: expected.commonName,
        usage: expected.purpose === 'sslserver' ? 'server' : 'client',
      });
    });

    it('brings the chain leaf first and a PKCS#8 key that fits', () => {
      expect(issued.chainPem).toBe(issued.certificatePem + ca.authority.issuingCaPem);
      expect(issued.privateKeyPem).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
      const fromKey = opensslOk(['pkey', '-pubout'], issued.privateKeyPem);
      expect(opensslOk(['x509', '-noout', '-pubkey', '-in', path])).toBe(fromKey);
    });
  });

  it.each(['device', 'gatewayClient', 'brokerServer', 'httpsServer'] as const)(
    'an RSA %s below an RSA CA is read and verified by node-forge',
    async (profile) => {
      const { authority } = cas['rsa-3072'];
      const issued = await PROFILES[profile].issue(authority, 'rsa-2048');
      const [leaf, issuing, root] = [issued.certificatePem, authority.issuingCaPem, authority.rootCaPem].map(
        (pem) => forge.pki.certificateFromPem(pem),
      ) as [forge.pki.Certificate, forge.pki.Certificate, forge.pki.Certificate];
      expect(forge.pki.verifyCertificateChain(forge.pki.createCaStore([root]), [leaf, issuing])).toBe(true);
      expect(leaf.subject.getField('CN').value).toBe(PROFILES[profile].commonName);
      expect(leaf.serialNumber).toBe(issued.serial);
      expect(leaf.getExtension('basicConstraints')).toMatchObject({ critical: true, cA: false });
      const usage = leaf.getExtension('extKeyUsage') as { serverAuth?: boolean; clientAuth?: boolean };
      expect([usage.serverAuth === true, usage.clientAuth === true]).toEqual(
        PROFILES[profile].purpose === 'sslserver' ? [true, false] : [false, true],
      );
      const key = forge.pki.privateKeyFromPem(issued.privateKeyPem ?? '');
      expect(key.n.equals((leaf.publicKey as forge.pki.rsa.PublicKey).n)).toBe(true);
    },
  );

  it.each(['ec-p256', 'rsa-3072'] as const)(
    'the %s CAs are CAs and nothing else (RFC 5280 4.2.1.9)',
    (caKey) => {
      const { dir, authority } = cas[caKey];
      const root = opensslOk(['x509', '-in', join(dir, 'rootca.pem'), '-noout', '-text']);
      const issuing = opensslOk(['x509', '-in', join(dir, 'issuing.pem'), '-noout', '-text']);
      expect(extension(root, 'Basic Constraints')).toBe('critical | CA:TRUE');
      expect(extension(issuing, 'Basic Constraints')).toBe('critical | CA:TRUE, pathlen:0');
      for (const text of [root, issuing]) {
        expect(extension(text, 'X509v3 Key Usage')).toBe('critical | Certificate Sign, CRL Sign');
        expect(extension(text, 'Extended Key Usage')).toBeUndefined();
      }
      expect(authority.rootCaPem.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
    },
  );

  it('never gives a serial twice, and each is positive and at most 20 octets (RFC 5280 4.1.2.2)', async () => {
    const serials = new Set<string>();
    for (let count = 0; count < 300; count++) {
      serials.add((await cas['ec-p256'].authority.issueDevice({ deviceId: 'd1' })).serial);
    }
    expect(serials.size).toBe(300);
  });

  it('renews with the same key and rekeys with another; old and new are both good', async () => {
    const { authority, dir, file } = cas['ec-p256'];
    const first = await authority.issueDevice({ deviceId: DEVICE_ID });
    const renewed = await authority.issueDevice({ deviceId: DEVICE_ID, publicKeyPem: first.chainPem });
    const rekeyed = await authority.issueDevice({ deviceId: DEVICE_ID });
    const [a, b, c] = [first, renewed, rekeyed].map(
      ({ certificatePem }) => new X509Certificate(certificatePem),
    );
    expect(b?.subject).toBe(a?.subject);
    expect(b?.publicKey.equals(a!.publicKey)).toBe(true);
    expect(c?.publicKey.equals(a!.publicKey)).toBe(false);
    expect(renewed.privateKeyPem).toBeUndefined();
    expect(new Set([first.serial, renewed.serial, rekeyed.serial]).size).toBe(3);
    const spki = a!.publicKey.export({ type: 'spki', format: 'pem' }).toString();
    const bySpki = await authority.issueDevice({ deviceId: DEVICE_ID, publicKeyPem: spki });
    for (const [name, issued] of Object.entries({ first, renewed, rekeyed, bySpki })) {
      const path = file(`${name}.pem`, issued.certificatePem);
      opensslOk(['verify', '-CAfile', join(dir, 'rootca.pem'), '-untrusted', join(dir, 'issuing.pem'), path]);
    }
  });

  it('never outlives the issuing CA: a default is cut, a wish is refused', async () => {
    const { authority } = cas['ec-p256'];
    const tooLong = Math.ceil((authority.issuingNotAfter - Date.now()) / DAY_MS) + 1;
    await expect(authority.issueDevice({ deviceId: 'd1', validityDays: tooLong })).rejects.toMatchObject({
      code: 'VALIDITY_INVALID',
      message: expect.stringContaining('the issuing CA ends on') as string,
    });
    await expect(authority.issueDevice({ deviceId: 'd1', validityDays: Number.NaN })).rejects.toMatchObject({
      code: 'VALIDITY_INVALID',
    });
    const short = await authority.issueDevice({ deviceId: 'd1', validityDays: 0.5 });
    expect(short.notAfter - Date.now()).toBeLessThanOrEqual(DAY_MS / 2);
  });
});
