import { createPrivateKey, X509Certificate } from 'node:crypto';
import { Agent } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sha256Hex } from '../../src/domain/tokens.js';
import { startGateway, type Gateway } from './support/gateway.js';

let gateway: Gateway;
const credentials = { username: 'someone_some@example_com', secret: '' };
const PASSWORD = '8 chars.';
beforeAll(async () => {
  gateway = await startGateway();
  const { username } = credentials;
  await gateway.client.post('/signup', { username, password: PASSWORD });
  credentials.secret = (await gateway.client.post('/login', { username, password: PASSWORD })).body.secret;
  await post('/register_device', { devicename: 'lamp' });
});
afterAll(() => gateway.stop());
beforeEach(() => {
  gateway.devices.calls.length = 0;
  gateway.devices.answers.clear();
});
afterEach(() => {
  expect(gateway.client.violations.splice(0)).toEqual([]);
});

const post = (path: string, body: object = {}, headers = {}) =>
  gateway.client.post(path, { ...credentials, ...body }, { headers });
/** A JSON body on GET is what the existing clients send. */
const get = (path: string, body: object = {}) =>
  gateway.client.get(path, { body: { ...credentials, ...body } });

describe('POST /signup', () => {
  it('takes old names and 8-character passwords, whatever they hold', async () => {
    for (const [username, password] of [
      ['old_one@some_where', '12345678'],
      ['p', ' '.repeat(8)],
      ['q', 'x'.repeat(128)],
      ['r', 'pässwörd'],
    ]) {
      const { status, body } = await gateway.client.post('/signup', { username, password });
      expect([status, body]).toEqual([200, { status: 'OK' }]);
    }
  });

  it('says NG with 200 for what it refuses', async () => {
    const taken = await gateway.client.post('/signup', {
      username: credentials.username,
      password: PASSWORD,
    });
    expect(taken.status).toBe(200);
    expect(taken.body.status).toBe('NG, username already exist');
    for (const body of [
      { username: 'short', password: '1234567' },
      { username: 'long', password: 'x'.repeat(129) },
      { username: 'a b', password: PASSWORD },
      { username: '', password: PASSWORD },
      { password: PASSWORD },
      { username: 5, password: PASSWORD },
      {},
    ]) {
      const { status, body: answer } = await gateway.client.post('/signup', body);
      expect(status).toBe(200);
      expect(answer.status).toMatch(/^NG, ./);
    }
  });
});

describe('POST /login', () => {
  const login = () => gateway.client.post('/login', { username: credentials.username, password: PASSWORD });

  it('says NG and secret Unknown for wrong credentials', async () => {
    for (const body of [
      { username: credentials.username, password: 'wrong one' },
      { username: 'nobody', password: PASSWORD },
      {},
    ]) {
      const { status, body: answer } = await gateway.client.post('/login', body);
      expect(status).toBe(200);
      expect(answer.status).toMatch(/^NG, /);
      expect(answer.secret).toBe('Unknown');
    }
  });

  it('keeps the secrets of earlier logins, the last ten', async () => {
    const secrets: string[] = [];
    for (let count = 0; count < 11; count += 1) secrets.push((await login()).body.secret);
    const counts = async (secret: string) => (await get('/get_device_list', { secret })).body.status === 'OK';
    const live = [];
    for (const secret of secrets) live.push(await counts(secret));
    expect(live).toEqual([false, ...Array(10).fill(true)]);
    credentials.secret = secrets[10]!;
  });

  it('’s secret lives 30 days from its last use', async () => {
    const { secret } = (await login()).body;
    for (let month = 0; month < 3; month += 1) {
      gateway.clock.advance(29 * 86_400_000);
      expect((await get('/get_device_list', { secret })).body.status).toBe('OK');
    }
    gateway.clock.advance(31 * 86_400_000);
    expect((await get('/get_device_list', { secret })).body.status).toMatch(/^NG/);
    credentials.secret = (await login()).body.secret;
  });

  it('’s secret can be revoked', async () => {
    const { secret } = (await login()).body;
    expect((await post('/logout', { secret })).body).toEqual({ status: 'OK' });
    expect((await get('/get_status', { devicename: 'lamp', secret })).status).toBe(401);
  });

  it('asks too many to wait, with 429 and Retry-After', async () => {
    const strict = await startGateway({ env: { POSTERN_LOGIN_RATE: '3' } });
    strict.clock.freeze();
    try {
      const answers = [];
      for (let count = 0; count < 4; count += 1)
        answers.push(await strict.client.post('/login', { username: 'x', password: 'y' }));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
      const last = answers[3]!;
      expect(last.headers['retry-after']).toBe('60');
      expect(last.headers.connection).toBe('close');
      expect(last.body).toMatchObject({ status: expect.stringMatching(/^NG, /), secret: 'Unknown' });
      const api = await strict.client.post('/api/v1/auth/login', { username: 'x', password: 'y' });
      expect([api.status, api.body.code]).toEqual([429, 'RATE_LIMITED']);
      strict.clock.advance(59_000);
      expect((await strict.client.post('/login', { username: 'x', password: 'y' })).status).toBe(429);
      strict.clock.advance(1_000);
      expect((await strict.client.post('/login', { username: 'x', password: 'y' })).status).toBe(200);
      expect(strict.client.violations).toEqual([]);
    } finally {
      await strict.stop();
    }
  });
});

describe('registry calls', () => {
  it('POST /register_device hands out all that a device needs', async () => {
    const { status, body } = await post('/register_device', { devicename: 'fresh' });
    expect(status).toBe(200);
    expect(Object.keys(body).sort()).toEqual(
      [
        'devicecert',
        'deviceid',
        'devicename',
        'devicepkey',
        'password',
        'rootca',
        'status',
        'username',
      ].sort(),
    );
    expect(body).toMatchObject({ status: 'OK', devicename: 'fresh', username: body.deviceid });
    expect(body.rootca).toBe(gateway.authority.rootCaPem);
    const chain = body.devicecert.match(/-----BEGIN[^]+?-----END CERTIFICATE-----/g);
    expect(chain).toHaveLength(2);
    const leaf = new X509Certificate(chain[0]);
    expect(leaf.subject).toBe(`CN=${body.deviceid}`);
    expect(leaf.checkPrivateKey(createPrivateKey(body.devicepkey))).toBe(true);
    expect(leaf.verify(new X509Certificate(chain[1]).publicKey)).toBe(true);
    const stored = (await gateway.store.findDeviceById(body.deviceid))!;
    expect(stored.passwordHash).toBe(sha256Hex(body.password));
    expect(stored.sealedKey).not.toContain('PRIVATE');
    const again = await post('/register_device', { devicename: 'fresh' });
    expect([again.status, again.body.status]).toEqual([200, 'NG, device already registered']);
  });

  it('GET /get_device_list hands the same key out again, and none for a device of the other API', async () => {
    const { username } = credentials;
    const { body: made } = await post('/register_device', { devicename: 'again' });
    const { body: tokens } = await gateway.client.post('/api/v1/auth/login', {
      username,
      password: PASSWORD,
    });
    await gateway.client.post('/api/v1/devices', { name: 'of-api' }, { token: tokens.accessToken });
    const { body } = await get('/get_device_list');
    const named = (name: string) =>
      body.devices.find((device: { devicename: string }) => device.devicename === name);
    const { status: _, username: _u, password: _p, ...device } = made;
    expect(named('again')).toEqual(device);
    expect(named('of-api').devicepkey).toBe('');
    expect(new X509Certificate(named('of-api').devicecert).subject).toContain('CN=d');
    const one = await get('/get_device_list', { devicename: 'again' });
    expect(one.body).toEqual({ status: 'OK', devices: [device] });
    const none = await get('/get_device_list', { devicename: 'nowhere' });
    expect([none.status, none.body.status]).toEqual([200, 'NG, device not registered']);
  });

  it('GET /get_device_list pairs a renewed certificate with its own key', async () => {
    const { username } = credentials;
    await post('/register_device', { devicename: 'renewed' });
    const { body: tokens } = await gateway.client.post('/api/v1/auth/login', {
      username,
      password: PASSWORD,
    });
    const path = '/api/v1/devices/renewed/certificates/renew';
    await gateway.client.post(path, {}, { token: tokens.accessToken });
    const { body } = await get('/get_device_list', { devicename: 'renewed' });
    const leaf = new X509Certificate(body.devices[0].devicecert);
    expect(leaf.checkPrivateKey(createPrivateKey(body.devices[0].devicepkey))).toBe(true);
  });

  it('POST /unregister_device removes the device and its rights', async () => {
    const { body: made } = await post('/register_device', { devicename: 'gone' });
    expect((await post('/unregister_device', { devicename: 'gone' })).body).toEqual({ status: 'OK' });
    expect(gateway.closedSessions.at(-1)).toBe(made.deviceid);
    const again = await post('/unregister_device', { devicename: 'gone' });
    expect([again.status, again.body.status]).toEqual([200, 'NG, device not registered']);
  });

  it('say NG with 200 for wrong credentials, bad names and another’s device', async () => {
    const stranger = { username: 'flat_stranger', password: PASSWORD };
    await gateway.client.post('/signup', stranger);
    const { secret } = (await gateway.client.post('/login', stranger)).body;
    const asStranger = { username: stranger.username, secret, devicename: 'lamp' };
    for (const [path, body] of [
      ['/register_device', { secret: 'wrong', devicename: 'x' }],
      ['/register_device', { secret: undefined, devicename: 'x' }],
      ['/register_device', { username: stranger.username, devicename: 'x' }],
      ['/register_device', { devicename: '../x' }],
      ['/register_device', {}],
      ['/unregister_device', { username: ['x'], devicename: 'lamp' }],
      ['/unregister_device', asStranger],
      ['/unregister_device', { devicename: 7 }],
    ] as const) {
      const { status, body: answer } = await post(path, body);
      expect([path, status, answer.status]).toEqual([path, 200, expect.stringMatching(/^NG, ./)]);
    }
    const list = await get('/get_device_list', asStranger);
    expect([list.status, list.body.status]).toEqual([200, 'NG, device not registered']);
  });

  it('list an account’s many devices without pages', async () => {
    const { username } = credentials;
    const owner = (await gateway.store.findUserByName(username))!.id;
    const template = (await gateway.store.findDeviceByName(owner, 'lamp'))!;
    const [certificate] = await gateway.store.listCertificates(template.id);
    for (let index = 0; index < 250; index += 1) {
      const id = `many${index}`;
      const device = { ...template, id, name: id, sealedKey: null };
      await gateway.store.insertDevice(device, { ...certificate!, serial: id, deviceId: id }, 100_000);
    }
    const { body } = await get('/get_device_list');
    expect(body.devices.length).toBeGreaterThan(250);
    expect(new Set(body.devices.map((device: { deviceid: string }) => device.deviceid)).size).toBe(
      body.devices.length,
    );
  });
});

describe('control calls', () => {
  const lamp = { devicename: 'lamp' };

  it.each([
    ['GET', '/get_gpio', { number: 12 }, 'get_gpio', { number: 12 }, { number: 12, value: 0 }],
    ['GET', '/get_gpio', { number: '12' }, 'get_gpio', { number: 12 }, { number: 12, value: 0 }],
    [
      'POST',
      '/set_gpio',
      { number: 3, value: 1 },
      'set_gpio',
      { number: 3, value: 1 },
      { number: 3, value: 1 },
    ],
    [
      'POST',
      '/set_gpio',
      { number: '3', value: '0' },
      'set_gpio',
      { number: 3, value: 0 },
      { number: 3, value: 0 },
    ],
    ['GET', '/get_rtc', {}, 'get_rtc', {}, { value: 1561700000 }],
    ['POST', '/set_rtc', { value: '1561700000' }, 'set_rtc', { value: 1561700000 }, { value: 1561700000 }],
    ['GET', '/get_mac', {}, 'get_mac', {}, { value: '02:00:00:12:34:56' }],
    [
      'POST',
      '/set_mac',
      { value: '02:00:00:12:34:57' },
      'set_mac',
      { value: '02:00:00:12:34:57' },
      { value: '02:00:00:12:34:57' },
    ],
    ['GET', '/get_ip', {}, 'get_ip', {}, { value: '192.168.1.2' }],
    ['GET', '/get_subnet', {}, 'get_subnet', {}, { value: '255.255.255.0' }],
    ['GET', '/get_gateway', {}, 'get_gateway', {}, { value: '192.168.1.1' }],
    ['GET', '/get_status', {}, 'get_status', {}, { status: 'running' }],
    [
      'POST',
      '/set_status',
      { status: 'restart' },
      'set_status',
      { status: 'restart' },
      { status: 'restarting' },
    ],
    ['POST', '/reset_device', {}, 'set_status', { status: 'restart' }, { status: 'restarting' }],
    [
      'POST',
      '/write_uart',
      { data: 'Hello World!' },
      'write_uart',
      { data: 'Hello World!' },
      { data: 'Hello World!' },
    ],
    ['POST', '/write_uart', { data: '12' }, 'write_uart', { data: '12' }, { data: '12' }],
    ['GET', '/get_rtc', { note: 'ignored' }, 'get_rtc', {}, { value: 1561700000 }],
  ])('%s %s with %j asks the device for %s', async (method, path, fields, called, payload, reply) => {
    const answer = await gateway.client.call(method, path, { body: { ...credentials, ...lamp, ...fields } });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual(reply);
    expect(gateway.devices.calls.map(({ method: name, payload: sent }) => [name, sent])).toEqual([
      [called, payload],
    ]);
  });

  it('hand on what else a reply holds', async () => {
    gateway.devices.answers.set('get_rtc', () => ({ value: 5, source: 'GPS' }));
    expect((await get('/get_rtc', lamp)).body).toEqual({ value: 5, source: 'GPS' });
  });

  it.each([
    [401, 'GET', '/get_rtc', { secret: 'wrong' }],
    [401, 'GET', '/get_rtc', { secret: undefined }],
    [401, 'GET', '/get_rtc', { username: { $ne: '' } }],
    [404, 'GET', '/get_rtc', { devicename: 'nowhere' }],
    [404, 'GET', '/get_rtc', { devicename: '../lamp' }],
    [400, 'GET', '/get_rtc', { devicename: undefined }],
    [400, 'GET', '/get_gpio', {}],
    [400, 'GET', '/get_gpio', { number: 67 }],
    [400, 'GET', '/get_gpio', { number: '1e1' }],
    [400, 'GET', '/get_gpio', { number: null }],
    [400, 'POST', '/set_gpio', { number: 1, value: 2 }],
    [400, 'POST', '/set_gpio', { number: 1, value: true }],
    [400, 'POST', '/set_rtc', { value: -1 }],
    [400, 'POST', '/set_mac', { value: 'zz' }],
    [400, 'POST', '/set_status', { status: 'halt' }],
    [400, 'POST', '/write_uart', { data: 'x'.repeat(1025) }],
    [405, 'GET', '/set_gpio', {}],
    [405, 'POST', '/get_gpio', {}],
  ])('answer %d to %s %s with %j, and close the connection', async (status, method, path, fields) => {
    const body = { ...credentials, ...lamp, ...fields };
    const answer = await gateway.client.call(method, path, { body });
    expect(answer.status).toBe(status);
    expect(answer.body.status).toMatch(/^NG, ./);
    expect(answer.headers.connection).toBe('close');
    expect(gateway.devices.calls).toEqual([]);
  });

  it.each([
    ['DEVICE_OFFLINE', 503],
    ['DEVICE_TIMEOUT', 504],
    ['DEVICE_BUSY', 429],
    ['DEVICE_BAD_REPLY', 502],
    ['BROKER_UNAVAILABLE', 503],
  ] as const)('say %s as %d and close the connection', async (code, status) => {
    gateway.devices.fail('get_rtc', code, { retryAfterSeconds: 1 });
    const answer = await get('/get_rtc', lamp);
    expect(answer.status).toBe(status);
    expect(answer.headers.connection).toBe('close');
    expect(answer.headers['retry-after']).toBe('1');
    expect(answer.body).toMatchObject({ status: expect.stringMatching(/^NG, /), code });
  });
});

describe('what every flat answer keeps', () => {
  const raw = async (text: string, headers: Record<string, string> = {}) =>
    gateway.client.call('POST', '/set_gpio', { raw: text, headers });

  it.each(['{', 'nonsense', '[]', '"x"', 'null', '{"a":1}{"b":2}'])(
    'a body of %j is 400 with a JSON answer',
    async (text) => {
      const answer = await raw(text);
      expect(answer.status).toBe(400);
      expect(answer.body).toMatchObject({ status: expect.stringMatching(/^NG, /), code: 'MALFORMED_JSON' });
      expect(answer.headers.connection).toBe('close');
      expect(answer.text).not.toContain('nonsense');
    },
  );

  it('no media type is asked for, and no encoding but none taken', async () => {
    const body = JSON.stringify({ ...credentials, devicename: 'lamp', number: 1, value: 1 });
    expect((await raw(body, { 'content-type': 'text/plain' })).status).toBe(200);
    expect((await raw(body, { 'content-encoding': 'gzip' })).status).toBe(415);
  });

  it('an unknown path is 404 and closes', async () => {
    const answer = await gateway.client.post('/no_such_call', {});
    expect([answer.status, answer.headers.connection]).toEqual([404, 'close']);
  });

  it('OPTIONS names the methods, HEAD answers without a body', async () => {
    const options = await gateway.client.call('OPTIONS', '/get_gpio');
    expect([options.status, options.headers.allow]).toEqual([204, 'GET, HEAD, OPTIONS']);
    const head = await gateway.client.call('HEAD', '/get_gpio');
    expect([head.status, head.text]).toEqual([401, '']);
  });

  it('success keeps the connection and has a Content-Length, never chunks', async () => {
    const agent = new Agent({
      ca: gateway.authority.rootCaPem,
      keepAlive: true,
      maxSockets: 1,
      servername: 'localhost',
    });
    const sockets = new Set<unknown>();
    agent.on('free', (socket) => sockets.add(socket));
    for (const [method, path] of [
      ['GET', '/get_device_list'],
      ['GET', '/get_rtc'],
      ['POST', '/reset_device'],
      ['POST', '/register_device'],
    ] as const) {
      const body = { ...credentials, devicename: 'lamp' };
      const answer = await gateway.client.call(method, path, { body, agent });
      expect(answer.status).toBe(200);
      expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(answer.text)));
      expect(answer.headers).not.toHaveProperty('transfer-encoding');
      expect(answer.headers).not.toHaveProperty('etag');
      expect(answer.headers.connection).toBe('keep-alive');
    }
    expect(sockets.size).toBe(1);
    agent.destroy();
  });

  it('the connection outlives a pause of a minute', () => {
    expect(gateway.server.keepAliveTimeout).toBeGreaterThanOrEqual(75_000);
    expect(gateway.server.timeout).toBe(0);
  });
});

describe('a body over the limit', () => {
  /** What the server says to a request that is written as fast as it is taken, and how the connection ends. */
  function send(head: string, size: number): Promise<{ answer: string; sent: number }> {
    return new Promise((resolve, reject) => {
      const socket: TLSSocket = connect({
        port: gateway.port,
        host: '127.0.0.1',
        servername: 'localhost',
        ca: gateway.authority.rootCaPem,
      });
      let answer = '';
      let sent = 0;
      const block = Buffer.alloc(64 * 1024, 0x20);
      const pump = (): void => {
        while (sent < size && !socket.destroyed) {
          const part = block.subarray(0, Math.min(block.length, size - sent));
          sent += part.length;
          if (!socket.write(part)) return;
        }
      };
      socket.on('secureConnect', () => {
        socket.write(head);
        pump();
      });
      socket.on('drain', pump);
      socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
      socket.on('end', () => {
        socket.destroy();
        resolve({ answer, sent });
      });
      socket.on('error', reject);
    });
  }
  const MB = 1024 * 1024;

  it('of 10 MB is answered 413 before the connection closes, and the sender can read it', async () => {
    const length = 10 * MB;
    const { answer, sent } = await send(
      `POST /set_gpio HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\n`,
      length,
    );
    expect(sent).toBe(length);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toContain('Connection: close');
    expect(answer).toMatch(/"status":"NG, the body must be at most 65536 bytes"/);
  });

  it('that is chunked and says no length is answered 413 as well', async () => {
    const chunk = `10000\r\n${' '.repeat(0x10000)}\r\n`;
    const head = `POST /api/v1/auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n`;
    const { answer } = await send(`${head}${chunk}${chunk}${chunk}0\r\n\r\n`, 0);
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toContain('"code":"BODY_TOO_LARGE"');
  });

  it('of exactly 64 KiB is taken', async () => {
    const body = JSON.stringify({ ...credentials, devicename: 'lamp' });
    const answer = await gateway.client.call('GET', '/get_rtc', { raw: body.padEnd(64 * 1024, ' ') });
    expect(answer.status).toBe(200);
    const over = await gateway.client.call('GET', '/get_rtc', { raw: body.padEnd(64 * 1024 + 1, ' ') });
    expect(over.status).toBe(413);
  });
});
