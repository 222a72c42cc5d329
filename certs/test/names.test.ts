import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tempCa, type TempCa } from './support/temp-ca.js';

describe('names that may stand in a certificate', () => {
  let ca: TempCa;
  beforeAll(async () => {
    ca = await tempCa();
  });
  afterAll(() => ca.remove());

  it.each([
    ...['', 'D1', '-a', 'a-', 'a.b', 'a_b', 'a/CN=b', 'a\nb', 'a\0', 'ä', '*', 'a'.repeat(64), 'a#', 'a b'],
    'postern-gateway', // a gateway's: a device so called would log in to the broker as the gateway
  ])('refuses the device id %j', async (deviceId) => {
    await expect(ca.authority.issueDevice({ deviceId })).rejects.toMatchObject({
      code: 'CERTIFICATE_NAME_INVALID',
    });
  });

  it.each(['a', '0', 'dabcdefghijklmnopqr23', 'a'.repeat(63), 'lamp-1'])(
    'takes the device id %j',
    async (deviceId) => {
      await expect(ca.authority.issueDevice({ deviceId })).resolves.toHaveProperty('serial');
    },
  );

  it.each(['lamp', 'postern-', 'postern-A', 'Postern-a', `postern-${'a'.repeat(56)}`, 'postern-a,CN=b'])(
    'refuses the gateway name %j',
    async (commonName) => {
      await expect(ca.authority.issueGatewayClient({ commonName })).rejects.toMatchObject({
        code: 'CERTIFICATE_NAME_INVALID',
      });
    },
  );

  it.each([
    '127.0.0.1',
    'a..b',
    '.a',
    'a.',
    '*',
    '*.com',
    'a.*.b',
    'a b',
    'ä.de',
    'a\0.b',
    `${'a'.repeat(64)}.b`,
  ])('refuses the DNS name %j', async (name) => {
    await expect(ca.authority.issueHttpsServer({ dnsNames: [name] })).rejects.toMatchObject({
      code: 'CERTIFICATE_NAME_INVALID',
    });
  });

  it.each(['localhost', '1.2.3', '1.2.3.4/8', 'fe80::1%eth0', '::g', ''])(
    'refuses the IP address %j',
    async (address) => {
      await expect(
        ca.authority.issueHttpsServer({ dnsNames: [], ipAddresses: [address] }),
      ).rejects.toMatchObject({ code: 'CERTIFICATE_NAME_INVALID' });
    },
  );

  it('refuses a server without names, with too many, and with none short enough for a common name', async () => {
    for (const dnsNames of [
      [],
      Array.from({ length: 101 }, (_, n) => `a${n}`),
      [`${'a'.repeat(60)}.example`],
    ]) {
      await expect(ca.authority.issueHttpsServer({ dnsNames })).rejects.toMatchObject({
        code: 'CERTIFICATE_NAME_INVALID',
      });
    }
  });
});
