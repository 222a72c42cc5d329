import { request } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import { connect as connectTcp } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { closeGracefully } from '../../src/http/server.js';
import { startGateway, type Gateway } from './support/gateway.js';

let gateway: Gateway;
let token: string;
beforeAll(async () => {
  const base = await import('../../src/config.js');
  const config = base.httpConfig(base.loadSettings({}));
  gateway = await startGateway({
    config: { limits: { ...config.limits, headersTimeoutMs: 1_000, requestTimeoutMs: 2_000 } },
  });
  token = (await gateway.user()).token;
  await gateway.client.post('/api/v1/devices', { name: 'lamp' }, { token });
});
afterAll(() => gateway.stop());
afterEach(() => {
  expect(gateway.client.violations.splice(0)).toEqual([]);
});

const open = (target: Gateway = gateway, options = {}): Promise<TLSSocket> =>
  new Promise((resolve, reject) => {
    const socket = connect(
      {
        port: target.port,
        host: '127.0.0.1',
        servername: 'localhost',
        ca: target.authority.rootCaPem,
        ...options,
      },
      () => resolve(socket),
    );
    socket.on('error', reject);
  });

/** Writes, and gives what comes back until the server ends the connection. */
async function exchange(text: string, target: Gateway = gateway): Promise<string> {
  const socket = await open(target);
  socket.write(text);
  return new Promise((resolve) => {
    let answer = '';
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', () => resolve(answer));
  });
}

describe('TLS', () => {
  it('is all there is: plain HTTP gets nothing', async () => {
    const answer = await new Promise<string>((resolve) => {
      const socket = connectTcp(gateway.port, '127.0.0.1', () =>
        socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'),
      );
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString()));
      socket.on('error', () => resolve(text));
      socket.on('close', () => resolve(text));
    });
    expect(answer).not.toContain('200');
  });

  it('older than 1.2 is refused', async () => {
    await expect(
      open(gateway, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }),
    ).rejects.toThrow();
    const socket = await open(gateway, { maxVersion: 'TLSv1.2' });
    expect(socket.getProtocol()).toBe('TLSv1.2');
    socket.destroy();
  });

  it('shows a certificate that only our root vouches for', async () => {
    await expect(open(gateway, { ca: undefined })).rejects.toThrow();
  });
});

describe('requests that node’s parser refuses', () => {
  it.each([
    [
      'headers that are too large',
      `GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
      431,
    ],
    ['no HTTP', 'hello\r\n\r\n', 400],
    ['no Host', 'GET /healthz HTTP/1.1\r\n\r\n', 400],
    ['two lengths', 'POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
    [
      'a length and chunks (request smuggling)',
      'POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['a bare line feed in a header', 'GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\0b\r\n\r\n', 400],
  ])('%s: answered and closed', async (_, text, status) => {
    expect(await exchange(text)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });
});

describe('slow senders', () => {
  it('of headers are cut off with 408', async () => {
    expect(await exchange('GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow')).toMatch(/^HTTP\/1\.1 408 /);
  });

  it('of a body are cut off with 408', async () => {
    const head = 'POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{';
    expect(await exchange(head)).toMatch(/^HTTP\/1\.1 408 .*REQUEST_TIMEOUT/s);
  });

  it('leave nothing in flight', async () => {
    const { text } = await gateway.client.get('/metrics');
    expect(text).toMatch(/postern_http_requests_in_flight 1\n/); // this one
  });
});

describe('a long call', () => {
  it('outlives the request timeout: that bounds the request alone', async () => {
    gateway.devices.answers.set(
      'get_rtc',
      () => new Promise((resolve) => setTimeout(() => resolve({ value: 1 }), 5_000)),
    );
    const answer = await gateway.client.get('/api/v1/devices/lamp/rtc?timeoutMs=10000', { token });
    expect(answer.status).toBe(200);
    gateway.devices.answers.clear();
  });
});

describe('header and path games', () => {
  it('give a request id of ours unless the caller’s is sane', async () => {
    const id = async (given: string) =>
      (await gateway.client.get('/healthz', { headers: { 'x-request-id': given } })).headers['x-request-id'];
    expect(await id('my-Id_1')).toBe('my-Id_1');
    for (const given of ['a b', 'x'.repeat(65), '"quote"', '../x', '{}'])
      expect(await id(given)).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('do not put a header of the caller’s into the answer', async () => {
    const name = encodeURIComponent('x\r\nSet-Cookie: a=b');
    const { status, headers } = await gateway.client.get(`/api/v1/devices/${name}`, { token });
    expect(status).toBe(404);
    expect(headers).not.toHaveProperty('set-cookie');
  });

  it('do not make the Host header part of any answer', async () => {
    const answer = await gateway.client.post(
      '/api/v1/devices',
      { name: 'hosted' },
      {
        token,
        headers: { host: 'evil.example' },
      },
    );
    expect(answer.status).toBe(201);
    expect(answer.text + JSON.stringify(answer.headers)).not.toContain('evil.example');
  });

  it.each(['/api/v1/devices/%', '/api/v1/devices/%zz/gpio/1', '/%ff'])(
    '%s is refused calmly',
    async (path) => {
      const { status, body } = await gateway.client.get(path, { token });
      expect([400, 404]).toContain(status);
      expect(body.code).toMatch(/VALIDATION_FAILED|NOT_FOUND/);
    },
  );

  it.each([
    '/docs/..%2f..%2fpackage.json',
    '/docs/%2e%2e/package.json',
    '/docs/package.json',
    '/docs/constructor',
    '/ca/../registry.db',
    '/ca/ca.key',
    '/API/v1/devices',
    '/api/v1/devices/',
    '/api/v1',
  ])('%s serves nothing', async (path) => {
    const { status } = await gateway.client.get(path, { token });
    expect(status).toBe(404);
  });

  it('put no line of the caller’s into the log', async () => {
    gateway.logs.length = 0;
    await gateway.client.get('/x%0a{"level":"error"}?secret=geheim', { headers: { 'user-agent': 'a"b' } });
    expect(gateway.logs).toHaveLength(1);
    expect(JSON.parse(gateway.logs[0]!)).toMatchObject({ status: 404, method: 'GET' });
    expect(gateway.logs[0]).not.toContain('geheim');
  });

  it('log no token, password or secret', async () => {
    gateway.logs.length = 0;
    const { password, token: own, refreshToken } = await gateway.user();
    await gateway.client.post('/login', { username: 'x', password });
    await gateway.client.get('/api/v1/auth/whoami', { token: own });
    const all = gateway.logs.join('');
    expect(all.length).toBeGreaterThan(0);
    for (const hidden of [password, own, refreshToken]) expect(all).not.toContain(hidden);
  });
});

describe('security headers', () => {
  it('are on answers and errors alike', async () => {
    for (const path of ['/healthz', '/nothing', '/api/v1/devices', '/docs']) {
      const { headers } = await gateway.client.get(path);
      expect(headers['content-security-policy']).toContain("default-src 'none'");
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['x-frame-options']).toBe('SAMEORIGIN');
      expect(headers).not.toHaveProperty('x-powered-by');
      expect(headers).not.toHaveProperty('access-control-allow-origin');
    }
    const { headers } = await gateway.client.get('/api/v1/devices', { token });
    expect(headers['cache-control']).toBe('no-store');
  });

  it('bind browsers to HTTPS where the public name is not the machine’s own', async () => {
    expect((await gateway.client.get('/healthz')).headers).not.toHaveProperty('strict-transport-security');
    const far = await startGateway({ env: { POSTERN_PUBLIC_URL: 'https://gate.example/' } });
    try {
      expect((await far.client.get('/healthz')).headers['strict-transport-security']).toBe(
        'max-age=31536000',
      );
    } finally {
      await far.stop();
    }
  });
});

describe('media types and methods', () => {
  it('a body that is no JSON is 415 or 400', async () => {
    const send = (raw: string, type: string, more = {}) =>
      gateway.client.call('POST', '/api/v1/auth/login', { raw, headers: { 'content-type': type, ...more } });
    expect((await send('username=x', 'application/x-www-form-urlencoded')).status).toBe(415);
    expect((await send('{}', 'application/jsonp')).status).toBe(415);
    expect((await send('{}', 'application/json', { 'content-encoding': 'gzip' })).status).toBe(415);
    expect((await send('{', 'application/json')).body.code).toBe('MALFORMED_JSON');
    expect((await send('{"username":"\xff"}', 'Application/JSON; charset=utf-8')).status).toBe(400);
    const invalid = await gateway.client.call('POST', '/api/v1/auth/login', {
      raw: Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]),
      headers: { 'content-type': 'application/json' },
    });
    expect(invalid.body.code).toBe('MALFORMED_JSON');
  });

  it('a method that the resource does not know is 405 with Allow', async () => {
    const answer = await gateway.client.call('PATCH', '/api/v1/devices', { token });
    expect([answer.status, answer.headers.allow]).toEqual([405, 'GET, HEAD, POST, OPTIONS']);
    expect((await gateway.client.call('TRACE', '/api/v1/devices', { token })).status).toBe(405);
  });
});

describe('behind a proxy', () => {
  const attempts = async (target: Gateway, address: (index: number) => string) => {
    const statuses = [];
    for (let index = 0; index < 3; index += 1)
      statuses.push(
        (
          await target.client.post(
            '/api/v1/auth/login',
            { username: `p${index}`, password: 'x' },
            { headers: { 'x-forwarded-for': address(index) } },
          )
        ).status,
      );
    return statuses;
  };

  it('that nobody told us of, X-Forwarded-For changes nothing', async () => {
    const strict = await startGateway({ env: { POSTERN_LOGIN_RATE: '2' } });
    strict.clock.freeze();
    try {
      expect(await attempts(strict, (index) => `192.0.2.${index}`)).toEqual([401, 401, 429]);
      const { status } = await strict.client.get('/metrics', { headers: { 'x-forwarded-for': '127.0.0.1' } });
      expect(status).toBe(403);
    } finally {
      await strict.stop();
    }
  });

  it('that is trusted, clients count by their own address, IPv6 by /64', async () => {
    const trusting = await startGateway({
      env: { POSTERN_LOGIN_RATE: '2', POSTERN_TRUST_PROXY: 'loopback' },
    });
    trusting.clock.freeze();
    try {
      expect(await attempts(trusting, (index) => `192.0.2.${index}`)).toEqual([401, 401, 401]);
      expect(await attempts(trusting, (index) => `2001:db8:0:7::${index + 1}`)).toEqual([401, 401, 429]);
      const far = await trusting.client.get('/metrics', { headers: { 'x-forwarded-for': '192.0.2.1' } });
      expect(far.status).toBe(403);
    } finally {
      await trusting.stop();
    }
  });
});

describe('shutting down', () => {
  it('finishes what is in flight, refuses what is new, then closes', async () => {
    const leaving = await startGateway();
    const user = await leaving.user();
    await leaving.client.post('/api/v1/devices', { name: 'lamp' }, { token: user.token });
    let finish = (): void => undefined;
    leaving.devices.answers.set(
      'get_rtc',
      () => new Promise((resolve) => (finish = () => resolve({ value: 1 }))),
    );
    const inFlight = leaving.client.get('/api/v1/devices/lamp/rtc', { token: user.token });
    await expect.poll(() => leaving.devices.calls.length).toBe(1);
    leaving.app.beginShutdown();
    const refused = await leaving.client.get('/api/v1/devices/lamp/mac', { token: user.token });
    expect([refused.status, refused.body.code]).toEqual([503, 'SHUTTING_DOWN']);
    expect(refused.headers.connection).toBe('close');
    const closed = closeGracefully(leaving.server, 10_000);
    finish();
    const answer = await inFlight;
    expect([answer.status, answer.headers.connection]).toEqual([200, 'close']);
    await closed;
    expect(leaving.client.violations).toEqual([]);
    await leaving.stop();
  });

  it('cuts what does not finish in time', async () => {
    const leaving = await startGateway();
    const user = await leaving.user();
    await leaving.client.post('/api/v1/devices', { name: 'lamp' }, { token: user.token });
    leaving.devices.answers.set('get_rtc', () => new Promise(() => undefined));
    const inFlight = leaving.client.get('/api/v1/devices/lamp/rtc', { token: user.token });
    const cut = expect(inFlight).rejects.toThrow();
    await expect.poll(() => leaving.devices.calls.length).toBe(1);
    const startedAt = Date.now();
    await closeGracefully(leaving.server, 200);
    expect(Date.now() - startedAt).toBeLessThan(3_000);
    await cut;
    await leaving.stop();
  });
});

describe('a store that is away', () => {
  it('makes calls 503 with Retry-After, and /readyz as well', async () => {
    const lost = await startGateway();
    try {
      const user = await lost.user();
      await lost.store.close();
      const answer = await lost.client.get('/api/v1/devices', { token: user.token });
      expect([answer.status, answer.body.code]).toEqual([503, 'STORE_UNAVAILABLE']);
      expect(answer.headers['retry-after']).toBe('1');
      const flat = await lost.client.post('/register_device', {
        username: 'x',
        secret: 'y',
        devicename: 'z',
      });
      expect([flat.status, flat.headers.connection]).toEqual([503, 'close']);
      const ready = await lost.client.get('/readyz');
      expect([ready.status, ready.body.code]).toEqual([503, 'STORE_UNAVAILABLE']);
      expect((await lost.client.get('/healthz')).status).toBe(200);
      expect(lost.client.violations).toEqual([]);
    } finally {
      await lost.stop();
    }
  });
});

describe('a client that goes away', () => {
  it('in the middle of its body or of its call leaves nothing behind', async () => {
    const socket = await open();
    socket.write('POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{');
    gateway.devices.answers.set(
      'get_rtc',
      () => new Promise((resolve) => setTimeout(() => resolve({ value: 1 }), 100)),
    );
    const { port, authority } = gateway;
    const req = request({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: authority.rootCaPem,
      path: '/api/v1/devices/lamp/rtc',
      headers: { authorization: `Bearer ${token}` },
    });
    req.on('error', () => undefined);
    req.end();
    const called = gateway.devices.calls.length;
    await expect.poll(() => gateway.devices.calls.length).toBe(called + 1);
    req.destroy();
    socket.destroy();
    await expect
      .poll(async () => (await gateway.client.get('/metrics')).text)
      .toMatch(/postern_http_requests_in_flight 1\n/);
    gateway.devices.answers.clear();
  });
});
