import { execFileSync } from 'node:child_process';
import { createHash, createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type Gateway } from './support/gateway.js';

let gateway: Gateway;
let token: string;
let strangerToken: string;
beforeAll(async () => {
  gateway = await startGateway();
  token = (await gateway.user()).token;
  strangerToken = (await gateway.user()).token;
});
afterAll(() => gateway.stop());
afterEach(() => {
  expect(gateway.client.violations.splice(0)).toEqual([]);
});

const register = (name: string, more: object = {}) =>
  gateway.client.post('/api/v1/devices', { name, ...more }, { token });
const certificates = async (name: string) =>
  (await gateway.client.get(`/api/v1/devices/${name}/certificates`, { token })).body.certificates;

function csr(file: string): string {
  const key = join(gateway.dir, `${file}.key`);
  const out = join(gateway.dir, `${file}.csr`);
  const args = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x'];
  execFileSync('openssl', ['req', '-new', ...args, '-keyout', key, '-out', out], { stdio: 'pipe' });
  return execFileSync('cat', [out], { encoding: 'utf8' });
}

describe('registering a device', () => {
  it('hands out a key and a certificate that our CA signed, and says how to connect', async () => {
    const { status, headers, body } = await register('lamp');
    expect(status).toBe(201);
    expect(headers.location).toBe('/api/v1/devices/lamp');
    const leaf = new X509Certificate(body.certificatePem);
    expect(leaf.subject).toBe(`CN=${body.device.id}`);
    expect(leaf.checkPrivateKey(createPrivateKey(body.privateKeyPem))).toBe(true);
    const [first, issuing] = body.chainPem.match(/-----BEGIN[^]+?-----END CERTIFICATE-----/g);
    expect(new X509Certificate(first).raw.equals(leaf.raw)).toBe(true);
    expect(leaf.verify(new X509Certificate(issuing).publicKey)).toBe(true);
    expect(new X509Certificate(issuing).verify(new X509Certificate(body.rootCaPem).publicKey)).toBe(true);
    expect(body.device).toMatchObject({ name: 'lamp', keyType: 'ec-p256', presence: { connected: false } });
    expect(body.connection).toEqual({
      clientId: body.device.id,
      mqtts: { host: 'localhost', port: 8883 },
      amqps: { host: 'localhost', port: 5671 },
      subscribe: `${body.device.id}/#`,
      publish: `server/${body.device.id}/#`,
    });
    const stored = await gateway.store.findDeviceById(body.device.id);
    expect(stored).toMatchObject({ sealedKey: null, passwordHash: null, origin: 'api' });
  });

  it('makes an RSA key on request', async () => {
    const { body } = await register('old', { keyType: 'rsa-2048' });
    expect(createPrivateKey(body.privateKeyPem).asymmetricKeyType).toBe('rsa');
  });

  it('signs the key of a CSR, which never leaves the device', async () => {
    const { status, body } = await register('by-csr', { csr: csr('own') });
    expect(status).toBe(201);
    expect(body).not.toHaveProperty('privateKeyPem');
    const own = createPublicKey(execFileSync('cat', [join(gateway.dir, 'own.key')]));
    expect(new X509Certificate(body.certificatePem).publicKey.equals(own)).toBe(true);
  });

  it('says what is wrong with a CSR', async () => {
    const broken = await register('broken', { csr: 'no csr' });
    expect(broken.status).toBe(400);
    expect(broken.body.code).toBe('CSR_REJECTED');
    const both = await register('broken', { csr: csr('both'), keyType: 'ec-p256' });
    expect(both.body.errors[0].path).toBe('body.keyType');
    expect((await gateway.client.get('/api/v1/devices/broken', { token })).status).toBe(404);
  });

  it('gives a name to one of several that ask at once', async () => {
    const answers = await Promise.all(Array.from({ length: 5 }, () => register('contested')));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409, 409, 409]);
    expect(answers.find(({ status }) => status === 409)!.body.code).toBe('DEVICE_NAME_TAKEN');
  });

  it.each(['../etc', 'a/b', '', ' lead', 'x'.repeat(65), 'tab\t', 'ümlaut', '#', '*'])(
    'refuses the name %j',
    async (name) => {
      const { status, body } = await register(name);
      expect(status).toBe(400);
      expect(body.errors[0].path).toBe('body.name');
    },
  );

  it('stops at the account’s quota', async () => {
    const small = await startGateway({ config: { maxDevicesPerUser: 2 } });
    try {
      const user = await small.user();
      const statuses = [];
      for (const name of ['a', 'b', 'c'])
        statuses.push((await small.client.post('/api/v1/devices', { name }, { token: user.token })).status);
      expect(statuses).toEqual([201, 201, 429]);
      expect(small.client.violations).toEqual([]);
    } finally {
      await small.stop();
    }
  });
});

describe('the device list', () => {
  it('comes by pages in order of name, with presence', async () => {
    const user = await gateway.user();
    const as = { token: user.token };
    const ids = new Map<string, string>();
    for (const name of ['c', 'a', 'B', 'b', 'd']) {
      const { body } = await gateway.client.post('/api/v1/devices', { name }, as);
      ids.set(name, body.device.id);
    }
    const id = ids.get('a')!;
    gateway.presence.set(id, {
      deviceId: id,
      connected: true,
      lastSeenAt: 1_700_000_000_000,
      address: '192.0.2.7',
      transport: 'MQTT 5.0',
      connection: 'x',
      protocol: 2,
      methods: [],
      model: 'FT900',
      version: '1',
    });
    const names: string[] = [];
    let cursor: string | null = null;
    let pages = 0;
    do {
      const query: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`;
      const { body } = await gateway.client.get(`/api/v1/devices?limit=2${query}`, as);
      names.push(...body.devices.map((device: { name: string }) => device.name));
      if (body.devices[0].name === 'a' || body.devices[1]?.name === 'a')
        expect(body.devices.find((device: { name: string }) => device.name === 'a').presence).toEqual({
          connected: true,
          lastSeenAt: '2023-11-14T22:13:20.000Z',
          address: '192.0.2.7',
          transport: 'MQTT 5.0',
          protocol: 2,
          model: 'FT900',
          version: '1',
        });
      cursor = body.nextCursor;
      pages += 1;
    } while (cursor !== null);
    expect(names).toEqual(['B', 'a', 'b', 'c', 'd']);
    expect(pages).toBe(3);
    expect((await gateway.client.get('/api/v1/devices/a', as)).body.presence.connected).toBe(true);
  });

  it.each(['limit=0', 'limit=201', 'limit=x', 'limit=1&limit=2', 'cursor=%00', 'offset=3'])(
    'refuses ?%s',
    async (query) => {
      expect((await gateway.client.get(`/api/v1/devices?${query}`, { token })).status).toBe(400);
    },
  );
});

describe('another owner’s device', () => {
  const paths = (name: string): [string, string, object?][] => [
    ['GET', `/api/v1/devices/${name}`],
    ['DELETE', `/api/v1/devices/${name}`],
    ['GET', `/api/v1/devices/${name}/certificates`],
    ['POST', `/api/v1/devices/${name}/certificates/renew`, {}],
    ['POST', `/api/v1/devices/${name}/certificates/00ff/revoke`, {}],
    ['GET', `/api/v1/devices/${name}/gpio/1`],
    ['PUT', `/api/v1/devices/${name}/gpio/1`, { value: 1 }],
    ['GET', `/api/v1/devices/${name}/network`],
    ['POST', `/api/v1/devices/${name}/methods/blink`, {}],
  ];

  it('is as unknown as one that is not there, in every call', async () => {
    await register('mine');
    const called = gateway.devices.calls.length;
    for (const [index, [method, path, body]] of paths('mine').entries()) {
      const [, nowhere] = paths('nowhere')[index]!;
      const theirs = await gateway.client.call(method, path, { token: strangerToken, body });
      const none = await gateway.client.call(method, nowhere, { token: strangerToken, body });
      expect(theirs.status).toBe(404);
      expect({ ...theirs.body, requestId: '' }).toEqual({ ...none.body, requestId: '' });
      expect(theirs.body.code).toBe('DEVICE_NOT_FOUND');
    }
    expect(gateway.devices.calls).toHaveLength(called);
    expect((await gateway.client.get('/api/v1/devices/mine', { token })).status).toBe(200);
  });

  it('takes as long as one that is not there', async () => {
    // The fastest of many in turn: what other processes do to the machine falls on both alike.
    const fastest = { mine: Infinity, nowhere: Infinity };
    for (let round = 0; round < 150; round += 1)
      for (const name of ['mine', 'nowhere'] as const) {
        const startedAt = performance.now();
        await gateway.client.get(`/api/v1/devices/${name}/status`, { token: strangerToken });
        fastest[name] = Math.min(fastest[name], performance.now() - startedAt);
      }
    const [less, more] = [fastest.mine, fastest.nowhere].sort((a, b) => a - b) as [number, number];
    expect(more / less).toBeLessThan(1.5);
  });

  it.each(['..%2f..%2fetc%2fpasswd', 'mine%2F..', '%2e%2e', 'mine%00', '%f0%9f%92%a1', "mine'--"])(
    'is not reached by the name %s',
    async (name) => {
      const { status, body } = await gateway.client.get(`/api/v1/devices/${name}`, { token });
      expect(status).toBe(404);
      expect(body.code).toBe('DEVICE_NOT_FOUND');
    },
  );
});

describe('certificates', () => {
  it('are renewed beside the old one, which goes on until it is revoked', async () => {
    const { body: made } = await register('renewed');
    const { status, body } = await gateway.client.post(
      '/api/v1/devices/renewed/certificates/renew',
      undefined,
      {
        token,
      },
    );
    expect(status).toBe(201);
    expect(new X509Certificate(body.certificatePem).subject).toBe(`CN=${made.device.id}`);
    const list = await certificates('renewed');
    expect(list.map(({ state }: { state: string }) => state)).toEqual(['active', 'active']);
    expect(list[0].serial).toBe(body.certificate.serial);
    const fingerprint = createHash('sha256')
      .update(new X509Certificate(body.certificatePem).raw)
      .digest('hex');
    expect(list[0].fingerprintSha256).toBe(fingerprint);
  });

  it('are revoked for everybody before the answer: caches, CRL and sessions, in this order', async () => {
    const { body: made } = await register('revoked');
    const { serial } = made.certificate;
    gateway.events.length = 0;
    const path = `/api/v1/devices/revoked/certificates/${serial}/revoke`;
    const { status, body } = await gateway.client.post(path, { reason: 'keyCompromise' }, { token });
    expect(status).toBe(200);
    expect(body).toMatchObject({ serial, state: 'revoked', revocationReason: 'keyCompromise' });
    expect(gateway.events).toEqual(['device changed', 'crl published', 'sessions closed']);
    expect(gateway.closedSessions.at(-1)).toBe(made.device.id);
    const file = join(gateway.dir, 'published.pem');
    writeFileSync(file, gateway.published.at(-1)!.pem);
    const text = execFileSync('openssl', ['crl', '-in', file, '-noout', '-text'], { encoding: 'utf8' });
    expect(text.replace(/[^0-9A-F]/gi, '').toLowerCase()).toContain(serial);
    expect(text).toContain('Key Compromise');
    const again = await gateway.client.post(path, {}, { token });
    expect(again.body.code).toBe('CERTIFICATE_ALREADY_REVOKED');
    const unknown = await gateway.client.post(
      '/api/v1/devices/revoked/certificates/abc/revoke',
      {},
      { token },
    );
    expect(unknown.body.code).toBe('CERTIFICATE_NOT_FOUND');
  });

  it('of another device of the same owner are not found', async () => {
    const { body: made } = await register('first');
    await register('second');
    const path = `/api/v1/devices/second/certificates/${made.certificate.serial}/revoke`;
    expect((await gateway.client.post(path, {}, { token })).status).toBe(404);
  });

  it('stay bounded: too many good ones are refused', async () => {
    await register('many');
    const path = '/api/v1/devices/many/certificates/renew';
    const statuses = [];
    for (let count = 0; count < 5; count += 1)
      statuses.push((await gateway.client.post(path, {}, { token })).status);
    expect(statuses).toEqual([201, 201, 201, 201, 429]);
  });

  it('of a removed device are revoked, and its name is free', async () => {
    const { body: made } = await register('removed');
    gateway.events.length = 0;
    expect((await gateway.client.delete('/api/v1/devices/removed', { token })).status).toBe(204);
    expect(gateway.events).toEqual(['device changed', 'crl published', 'sessions closed']);
    expect((await gateway.client.get('/api/v1/devices/removed', { token })).status).toBe(404);
    expect((await gateway.store.findCertificate(made.certificate.serial))?.revokedAt).not.toBeNull();
    expect((await register('removed')).status).toBe(201);
  });

  it('bite although the sessions could not be closed at first', async () => {
    let tries = 0;
    const flaky = await startGateway({
      deps: {
        sessions: {
          closeSessions: async () => {
            tries += 1;
            if (tries === 1) throw new Error('management API away');
          },
        },
        crlPublisher: { publish: () => Promise.reject(new Error('disk full')) },
      },
    });
    try {
      const user = await flaky.user();
      await flaky.client.post('/api/v1/devices', { name: 'x' }, { token: user.token });
      expect((await flaky.client.delete('/api/v1/devices/x', { token: user.token })).status).toBe(204);
      await expect.poll(() => tries, { timeout: 5_000 }).toBe(2);
      expect(flaky.logs.filter((line) => line.includes('"level":"error"'))).toHaveLength(2);
    } finally {
      await flaky.stop();
    }
  });
});

describe('the CA’s public files', () => {
  it('are the root alone, and a CRL that grows in number with each revocation', async () => {
    const root = await gateway.client.get('/ca/rootca.pem');
    expect(root.text).toBe(gateway.authority.rootCaPem);
    expect(root.headers['cache-control']).toContain('max-age');
    const { body: made } = await register('listed');
    const number = async (): Promise<number> => {
      const { text, headers } = await gateway.client.get('/ca/crl.pem');
      expect(headers['cache-control']).toBe('public, max-age=60');
      const file = join(gateway.dir, 'served.pem');
      writeFileSync(file, text);
      const out = execFileSync('openssl', ['crl', '-in', file, '-noout', '-crlnumber'], { encoding: 'utf8' });
      return parseInt(out.split('=')[1]!, 16);
    };
    const before = await number();
    expect(await number()).toBe(before);
    const path = `/api/v1/devices/listed/certificates/${made.certificate.serial}/revoke`;
    await gateway.client.post(path, {}, { token });
    expect(await number()).toBeGreaterThan(before);
    const der = await gateway.client.get('/ca/issuing.crl');
    expect(der.headers['content-type']).toBe('application/pkix-crl');
    expect(new X509Certificate(made.certificatePem).toString()).toBeTruthy();
    const text = execFileSync('openssl', ['x509', '-noout', '-text'], {
      input: made.certificatePem,
      encoding: 'utf8',
    });
    expect(text).toContain('/ca/issuing.crl');
  });

  it('hold what another instance revoked, once that is told', async () => {
    const { body: made } = await register('elsewhere');
    const before = (await gateway.app.revocation.current()).number;
    const { serial } = made.certificate;
    await gateway.store.revokeCertificate(made.device.id, serial, gateway.clock.now(), 'superseded');
    gateway.app.deviceChanged(made.device.id);
    gateway.clock.advance(1_500);
    expect((await gateway.app.revocation.current()).number).toBeGreaterThan(before);
  });

  it('can be made anew at once, however young the last one is', async () => {
    const first = await gateway.app.revocation.renew();
    const second = await gateway.app.revocation.renew();
    expect(second.number).toBeGreaterThan(first.number);
  });

  it('are served although the store is away, as they were', async () => {
    const away = await startGateway();
    try {
      const before = await away.client.get('/ca/crl.pem');
      away.app.deviceChanged('any');
      away.clock.advance(2_000);
      await away.store.close();
      const after = await away.client.get('/ca/crl.pem');
      expect([after.status, after.text]).toEqual([200, before.text]);
    } finally {
      await away.stop();
    }
  });

  it('are made anew long before nextUpdate', async () => {
    const before = await gateway.app.revocation.current();
    gateway.clock.advance(25 * 3_600_000);
    expect((await gateway.app.revocation.current()).number).toBeGreaterThan(before.number);
    token = (await gateway.user()).token;
    strangerToken = (await gateway.user()).token;
  });
});
