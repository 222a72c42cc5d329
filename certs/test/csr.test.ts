import { createPublicKey, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { opensslOk } from './support/openssl.js';
import { tempCa, type TempCa } from './support/temp-ca.js';

const EC = ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'];

describe('certificate requests (PKCS#10)', () => {
  let ca: TempCa;
  beforeAll(async () => {
    ca = await tempCa();
  });
  afterAll(() => ca.remove());

  const key = (args: string[]): string => ca.file(`${Math.random()}.key`, opensslOk(['genpkey', ...args]));
  const request = (keyPath: string, args: string[] = []): string =>
    opensslOk(['req', '-new', '-key', keyPath, '-subj', '/CN=evil', ...args]);
  const sign = (csrPem: string) => ca.authority.issueDevice({ deviceId: 'd1', csrPem });
  const refusal = (message: RegExp) => ({
    code: 'CSR_REJECTED',
    message: expect.stringMatching(message) as string,
  });

  it.each([
    ['P-256', EC, 'ec-p256'],
    ['RSA-2048', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'], 'rsa-2048'],
    ['RSA-4096', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:4096'], 'rsa-2048'],
  ])('certifies a %s key, which stays where it is', async (_name, args, keyType) => {
    const path = key(args);
    const issued = await sign(request(path));
    expect(issued.privateKeyPem).toBeUndefined();
    expect(issued.keyType).toBe(keyType);
    expect(opensslOk(['x509', '-noout', '-pubkey'], issued.certificatePem)).toBe(
      opensslOk(['pkey', '-in', path, '-pubout']),
    );
  });

  it('takes SHA-384 and SHA-512, and the old label', async () => {
    const path = key(EC);
    for (const hash of ['-sha384', '-sha512']) await sign(request(path, [hash]));
    await sign(request(path).replaceAll('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'));
  });

  it('takes nothing of what a request asks for but its key', async () => {
    const csr = request(key(EC), [
      ...['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=keyCertSign'],
      ...['-addext', 'extendedKeyUsage=serverAuth', '-addext', 'subjectAltName=DNS:postern-gateway,DNS:d2'],
    ]);
    expect(opensslOk(['req', '-noout', '-text'], csr)).toContain('CA:TRUE');
    const certificate = new X509Certificate((await sign(csr)).certificatePem);
    expect(certificate.subject).toBe('CN=d1');
    expect(certificate.subjectAltName).toBe('DNS:d1');
    expect(certificate.ca).toBe(false);
    expect(certificate.keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(opensslOk(['x509', '-noout', '-text'], certificate.toString())).not.toMatch(
      /evil|Certificate Sign/,
    );
  });

  it('refuses a request whose signature is not by its key', async () => {
    const csr = request(key(EC));
    const bytes = Buffer.from(csr.replace(/-----.*-----/g, ''), 'base64');
    // The key of another is put into a request that was signed by one's own.
    const foreign = createPublicKey(opensslOk(['genpkey', ...EC])).export({ type: 'spki', format: 'der' });
    const at = bytes.indexOf(foreign.subarray(0, 26));
    expect(at).toBeGreaterThan(0);
    foreign.copy(bytes, at);
    await expect(sign(pem(bytes))).rejects.toMatchObject(refusal(/signature is not by the key/));

    const flipped = Buffer.from(csr.replace(/-----.*-----/g, ''), 'base64');
    flipped[flipped.length - 1]! ^= 1;
    await expect(sign(pem(flipped))).rejects.toMatchObject(refusal(/signature is not by the key/));
  });

  it.each([
    ['RSA-1024', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024'], /1024 bits: 2048 to 4096/],
    ['RSA-2040', ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2040'], /2040 bits: 2048 to 4096/],
    [
      'RSA with exponent 3',
      ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048', '-pkeyopt', 'rsa_keygen_pubexp:3'],
      /exponent is not 65537/,
    ],
    [
      'RSA with a huge exponent',
      [
        '-algorithm',
        'RSA',
        '-pkeyopt',
        'rsa_keygen_bits:2048',
        '-pkeyopt',
        'rsa_keygen_pubexp:340282366920938463463374607431768211457',
      ],
      /exponent is not 65537/,
    ],
    ['P-384', ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384'], /named curve P-256/],
    [
      'secp256k1',
      ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
      /named curve P-256|not taken/,
    ],
    ['P-256 with explicit parameters', [...EC, '-pkeyopt', 'ec_param_enc:explicit'], /P-256/],
    ['Ed25519', ['-algorithm', 'ED25519'], /ECDSA or RSA|not taken/],
    ['RSA-PSS', ['-algorithm', 'RSA-PSS', '-pkeyopt', 'rsa_keygen_bits:2048'], /PKCS#1 v1.5|not taken/],
  ])('refuses %s', async (_name, args, message) => {
    await expect(sign(request(key(args)))).rejects.toMatchObject(refusal(message));
  });

  it('refuses an RSA key larger than a handshake should bear', async () => {
    // Small primes make such a key quickly; only its size counts here.
    const path = key([
      '-algorithm',
      'RSA',
      '-pkeyopt',
      'rsa_keygen_bits:4104',
      '-pkeyopt',
      'rsa_keygen_primes:4',
    ]);
    await expect(sign(request(path))).rejects.toMatchObject(refusal(/4104 bits/));
  });

  it('refuses SHA-1 and MD5 signatures', async () => {
    const path = key(EC);
    await expect(sign(request(path, ['-sha1']))).rejects.toMatchObject(refusal(/SHA-2/));
    const rsa = key(['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048']);
    await expect(sign(request(rsa, ['-md5']))).rejects.toMatchObject(refusal(/SHA-2|not taken/));
  });

  it('refuses what is no request, cut, too long, or two of them', async () => {
    const csr = request(key(EC));
    const bytes = Buffer.from(csr.replace(/-----.*-----/g, ''), 'base64');
    const damaged = [
      '',
      'hello',
      csr.slice(0, 200),
      csr + csr,
      pem(bytes.subarray(0, 100)),
      pem(Buffer.concat([bytes, Buffer.from([0])])),
      pem(Buffer.from([0x30, 0x80])),
      pem(Buffer.alloc(64, 0x30)),
      csr + ' '.repeat(20_000),
      ca.authority.rootCaPem,
      ca.authority.rootCaPem.replaceAll('CERTIFICATE', 'CERTIFICATE REQUEST'),
    ];
    for (const text of damaged) await expect(sign(text)).rejects.toMatchObject({ code: 'CSR_REJECTED' });
  });

  it('refuses every request with one bit changed', async () => {
    const csr = request(key(EC));
    const bytes = Buffer.from(csr.replace(/-----.*-----/g, ''), 'base64');
    let refused = 0;
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed[at]! ^= 0x01;
      await sign(pem(changed)).then(
        () => {
          throw new Error(`byte ${at} was changed and the request taken`);
        },
        (error: { code?: string }) => {
          expect(error.code, `byte ${at}`).toBe('CSR_REJECTED');
          refused++;
        },
      );
    }
    expect(refused).toBe(bytes.length);
  });

  it('refuses a public key that may not be certified again', async () => {
    for (const publicKeyPem of [
      '',
      'x',
      ca.authority.rootCaPem.slice(0, 300),
      opensslOk(['genpkey', '-algorithm', 'ED25519']),
    ]) {
      await expect(ca.authority.issueDevice({ deviceId: 'd1', publicKeyPem })).rejects.toMatchObject({
        code: 'CSR_REJECTED',
      });
    }
  });
});

function pem(der: Uint8Array): string {
  const body =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g)
      ?.join('\n') ?? '';
  return `-----BEGIN CERTIFICATE REQUEST-----\n${body}\n-----END CERTIFICATE REQUEST-----\n`;
}
