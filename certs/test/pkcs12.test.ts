import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import forge from 'node-forge';
import { makePkcs12 } from '@postern/certs';
import { openssl, opensslOk } from './support/openssl.js';
import { tempCa, type TempCa } from './support/temp-ca.js';

const PASSWORD = 'correct horse "battery"';

describe('PKCS#12 bundles', () => {
  let ca: TempCa;
  beforeAll(async () => {
    ca = await tempCa('rsa-3072');
  });
  afterAll(() => ca.remove());

  const bundle = async (keyType: 'ec-p256' | 'rsa-2048') => {
    const issued = await ca.authority.issueDevice({ deviceId: 'd1', keyType });
    const privateKeyPem = issued.privateKeyPem ?? '';
    const bytes = await makePkcs12({ chainPem: issued.chainPem, privateKeyPem, password: PASSWORD });
    return { issued, privateKeyPem, bytes, path: ca.file(`${keyType}.p12`, bytes) };
  };

  describe.each(['ec-p256', 'rsa-2048'] as const)('with an %s key', (keyType) => {
    it('give openssl the key, the leaf and the issuing CA, without legacy algorithms', async () => {
      const { issued, privateKeyPem, path } = await bundle(keyType);
      const password = ['-passin', `file:${ca.file('password', `${PASSWORD}\n`)}`];
      const read = (args: string[]): string => opensslOk(['pkcs12', '-in', path, ...password, ...args]);
      expect(pemIn(read(['-nocerts', '-nodes']))).toEqual(pemIn(privateKeyPem));
      expect(pemIn(read(['-clcerts', '-nokeys']))).toEqual(pemIn(issued.certificatePem));
      expect(pemIn(read(['-cacerts', '-nokeys']))).toEqual(pemIn(ca.authority.issuingCaPem));
      const info = read(['-info', '-noout']);
      expect(info).toContain('MAC: sha256, Iteration 100000');
      expect(info).toContain(
        'Shrouded Keybag: PBES2, PBKDF2, AES-256-CBC, Iteration 600000, PRF hmacWithSHA256',
      );
    });

    it('stay closed to another password, and a changed byte is noticed', async () => {
      const { bytes, path } = await bundle(keyType);
      const open = (file: string, password: string) =>
        openssl(['pkcs12', '-in', file, '-passin', `file:${ca.file('password', password)}`, '-noout']);
      expect(open(path, 'another password').out).toContain('invalid password');
      const changed = Buffer.from(bytes);
      changed[300]! ^= 1;
      expect(open(ca.file('changed.p12', changed), PASSWORD).status).not.toBe(0);
      expect(open(path, PASSWORD).status).toBe(0);
    });
  });

  it('are read by node-forge (RSA)', async () => {
    const { privateKeyPem, bytes, issued } = await bundle('rsa-2048');
    const asn1 = forge.asn1.fromDer(Buffer.from(bytes).toString('latin1'));
    const p12 = forge.pkcs12.pkcs12FromAsn1(asn1, PASSWORD);
    const { shroudedKeyBag, certBag } = forge.pki.oids as { shroudedKeyBag?: string; certBag?: string };
    const shrouded = p12.getBags({ bagType: forge.pki.oids.pkcs8ShroudedKeyBag ?? shroudedKeyBag ?? '' });
    const [key] = Object.values(shrouded).flat();
    const expected = forge.pki.privateKeyFromPem(privateKeyPem);
    expect((key?.key as forge.pki.rsa.PrivateKey).d.equals(expected.d)).toBe(true);
    const certificates = Object.values(p12.getBags({ bagType: certBag ?? '' })).flat();
    expect(certificates.map((bag) => bag?.cert?.serialNumber)[0]).toBe(issued.serial);
    expect(certificates).toHaveLength(2);
  });

  it('are refused for a weak or unusual password, a foreign key, and what is no PEM', async () => {
    const { chainPem, privateKeyPem = '' } = await ca.authority.issueDevice({ deviceId: 'd1' });
    const foreign = (await ca.authority.issueDevice({ deviceId: 'd1' })).privateKeyPem ?? '';
    const good = { chainPem, privateKeyPem, password: PASSWORD };
    for (const bad of [
      { password: 'short' },
      { password: 'x'.repeat(129) },
      { password: 'pässwörter' },
      { password: 'new\nlines here' },
      { privateKeyPem: foreign },
      { privateKeyPem: 'none' },
      { chainPem: '' },
      { chainPem: chainPem.slice(300) },
      { chainPem: chainPem.replace(/[A-Z]/, '!') },
    ]) {
      const error = await makePkcs12({ ...good, ...bad }).then(
        () => 'accepted',
        (refused: Error) => refused,
      );
      expect(error, JSON.stringify(Object.keys(bad))).toMatchObject({ code: 'PKCS12_INVALID' });
      if (bad.password !== undefined) expect((error as Error).message).not.toContain(bad.password);
    }
  });
});

/** The base64 of each PEM block, without the text that openssl prints between. */
function pemIn(text: string): string[] {
  return [...text.matchAll(/-----BEGIN [A-Z ]+-----([^-]+)-----END/g)].map(([, body = '']) =>
    body.replace(/\s/g, ''),
  );
}
