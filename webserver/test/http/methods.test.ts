import { METHODS } from '@postern/protocol';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Presence } from '../../src/domain/model.js';
import { startGateway, type Gateway } from './support/gateway.js';

let gateway: Gateway;
let token: string;
let id: string;
beforeAll(async () => {
  gateway = await startGateway();
  token = (await gateway.user()).token;
  id = (await gateway.client.post('/api/v1/devices', { name: 'lamp' }, { token })).body.device.id;
});
afterAll(() => gateway.stop());
beforeEach(() => {
  gateway.devices.calls.length = 0;
  gateway.devices.answers.clear();
});
afterEach(() => {
  expect(gateway.client.violations.splice(0)).toEqual([]);
});

const device = (rest: string) => `/api/v1/devices/lamp/${rest}`;
const get = (rest: string) => gateway.client.get(device(rest), { token });
const put = (rest: string, body: unknown) => gateway.client.put(device(rest), body, { token });
const post = (rest: string, body?: unknown) => gateway.client.post(device(rest), body, { token });
const connected = (protocol: 1 | 2): Presence => ({
  deviceId: id,
  connected: true,
  lastSeenAt: 0,
  address: null,
  transport: 'MQTT 3.1.1',
  connection: 'x',
  protocol,
  methods: null,
  model: null,
  version: null,
});

describe('methods as resources', () => {
  it.each([
    ['GET', 'gpio/12', undefined, 'get_gpio', { number: 12 }, { number: 12, value: 0 }],
    ['PUT', 'gpio/12', { value: 1 }, 'set_gpio', { number: 12, value: 1 }, { number: 12, value: 1 }],
    ['GET', 'rtc', undefined, 'get_rtc', {}, { value: 1561700000 }],
    ['PUT', 'rtc', { value: 4294967295 }, 'set_rtc', { value: 4294967295 }, { value: 4294967295 }],
    ['GET', 'mac', undefined, 'get_mac', {}, { value: '02:00:00:12:34:56' }],
    [
      'PUT',
      'mac',
      { value: '02-00-00-12-34-57' },
      'set_mac',
      { value: '02-00-00-12-34-57' },
      { value: '02-00-00-12-34-57' },
    ],
    ['GET', 'ip', undefined, 'get_ip', {}, { value: '192.168.1.2' }],
    ['GET', 'subnet', undefined, 'get_subnet', {}, { value: '255.255.255.0' }],
    ['GET', 'gateway', undefined, 'get_gateway', {}, { value: '192.168.1.1' }],
    ['GET', 'status', undefined, 'get_status', {}, { status: 'running' }],
    ['POST', 'reset', undefined, 'set_status', { status: 'restart' }, { status: 'restarting' }],
    ['POST', 'reset', {}, 'set_status', { status: 'restart' }, { status: 'restarting' }],
    [
      'POST',
      'uart',
      { data: 'Hello World!' },
      'write_uart',
      { data: 'Hello World!' },
      { data: 'Hello World!' },
    ],
    [
      'POST',
      'methods/blink',
      { times: [1, { a: null }] },
      'blink',
      { times: [1, { a: null }] },
      { echo: { times: [1, { a: null }] } },
    ],
    ['POST', 'methods/blink', undefined, 'blink', {}, { echo: {} }],
    [
      'POST',
      'methods/set_gpio',
      { number: 66, value: 0 },
      'set_gpio',
      { number: 66, value: 0 },
      { number: 66, value: 0 },
    ],
  ])('%s %s with %j calls %s', async (method, rest, body, called, payload, reply) => {
    const answer = await gateway.client.call(method, device(rest), { token, body });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual(reply);
    expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(answer.text)));
    expect(gateway.devices.calls).toEqual([
      { deviceId: id, method: called, payload, timeoutMs: 5000, requestId: answer.headers['x-request-id'] },
    ]);
  });

  it('asks all four network settings at once', async () => {
    // None is answered before all are asked: one after the other would wait for ever.
    const names = ['get_ip', 'get_subnet', 'get_gateway', 'get_mac'];
    let asked = 0;
    let allAsked = () => {};
    const together = new Promise<void>((resolve) => (allAsked = resolve));
    for (const name of names)
      gateway.devices.answers.set(name, async () => {
        asked += 1;
        if (asked === names.length) allAsked();
        await together;
        return { value: name };
      });
    expect((await get('network')).body).toEqual({
      ip: 'get_ip',
      subnet: 'get_subnet',
      gateway: 'get_gateway',
      mac: 'get_mac',
    });
    expect(asked).toBe(4);
  });

  it('hands on the timeout that the caller asks for', async () => {
    await get('status?timeoutMs=100');
    await get('status?timeoutMs=300000');
    expect(gateway.devices.calls.map(({ timeoutMs }) => timeoutMs)).toEqual([100, 300_000]);
  });

  it.each([
    ['GET', 'status?timeoutMs=99'],
    ['GET', 'status?timeoutMs=300001'],
    ['GET', 'status?timeoutMs=1e3'],
    ['GET', 'status?timeoutMs='],
    ['GET', 'status?timeoutMs=200&timeoutMs=300'],
    ['GET', 'status?timeout=200'],
    ['GET', 'gpio/67'],
    ['GET', 'gpio/-1'],
    ['GET', 'gpio/1.5'],
    ['GET', 'gpio/0x1'],
    ['GET', 'gpio/%20'],
    ['GET', 'gpio/999999999999'],
    ['PUT', 'gpio/1', { value: 2 }],
    ['PUT', 'gpio/1', { value: '1' }],
    ['PUT', 'gpio/1', { value: true }],
    ['PUT', 'gpio/1', {}],
    ['PUT', 'gpio/1', []],
    ['PUT', 'gpio/1', { value: 1, number: 2 }],
    ['PUT', 'rtc', { value: 4294967296 }],
    ['PUT', 'rtc', { value: -1 }],
    ['PUT', 'rtc', { value: 1.5 }],
    ['PUT', 'mac', { value: '02:00:00:12:34' }],
    ['PUT', 'mac', { value: '02:00-00:12:34:56' }],
    ['POST', 'uart', { data: 'é'.repeat(513) }],
    ['POST', 'uart', { data: '\ud800' }],
    ['POST', 'uart', { data: '!!!', encoding: 'base64' }],
    ['POST', 'uart', { data: 'a', encoding: 'latin1' }],
    ['POST', 'uart', { data: Buffer.alloc(1025).toString('base64'), encoding: 'base64' }],
    ['POST', 'reset', { hard: true }],
    ['POST', 'methods/set_gpio', { number: 1 }],
    ['POST', 'methods/set_status', { status: 'halt' }],
    ['POST', 'methods/get_rtc', { more: 1 }],
    ['POST', 'methods/reply', {}],
    ['POST', 'methods/hello', {}],
    ['POST', 'methods/Blink', {}],
    ['POST', 'methods/a.b', {}],
    ['POST', 'methods/%23', {}],
    ['POST', 'methods/a%2Fb', {}],
    ['POST', 'methods/blink', 'text'],
    ['POST', 'methods/blink', [1]],
  ])('refuses %s %s with %j, and asks no device', async (method, rest, body?: unknown) => {
    const { status, body: problem } = await gateway.client.call(method, device(rest), { token, body });
    expect(status).toBe(400);
    expect(problem.code).toBe('VALIDATION_FAILED');
    expect(problem.errors.length).toBeGreaterThan(0);
    expect(gateway.devices.calls).toEqual([]);
  });

  it('knows every method of the table by name', async () => {
    for (const name of METHODS.keys()) {
      const { status } = await post(`methods/${name}`, { bad: 'field' });
      expect(status).toBe(400);
    }
  });
});

describe('UART data', () => {
  it('in base64 that is text goes to any device as text', async () => {
    await post('uart', { data: Buffer.from('Grüße\0').toString('base64'), encoding: 'base64' });
    await post('uart', { data: 'x', encoding: 'utf8' });
    await post('methods/write_uart', { data: 'aGk=', encoding: 'base64' });
    expect(gateway.devices.calls.map(({ payload }) => payload)).toEqual([
      { data: 'Grüße\0' },
      { data: 'x' },
      { data: 'hi' },
    ]);
  });

  it('that is no text goes to devices of protocol 2 alone', async () => {
    const bytes = { data: Buffer.from([0xff, 0xfe]).toString('base64'), encoding: 'base64' };
    expect((await post('uart', bytes)).body.code).toBe('DEVICE_OFFLINE');
    gateway.presence.set(id, connected(1));
    const refused = await post('uart', bytes);
    expect(refused.status).toBe(400);
    expect(refused.body.detail).toContain('protocol 1');
    gateway.presence.set(id, connected(2));
    expect((await post('uart', bytes)).status).toBe(200);
    expect(gateway.devices.calls.map(({ payload }) => payload)).toEqual([bytes]);
  });

  it('may have 1,024 bytes and not one more', async () => {
    expect((await post('uart', { data: 'x'.repeat(1024) })).status).toBe(200);
    expect((await post('uart', { data: 'x'.repeat(1025) })).status).toBe(400);
    const most = Buffer.alloc(1024, 65).toString('base64');
    expect((await post('uart', { data: most, encoding: 'base64' })).status).toBe(200);
  });
});

describe('any other method', () => {
  const raw = (text: string) => gateway.client.call('POST', device('methods/blink'), { token, raw: text });

  it('takes no object that poisons JavaScript ones', async () => {
    expect((await raw('{"__proto__":{"admin":true}}')).status).toBe(400);
    expect((await raw('{"a":[{"\\u005f_proto__":1}]}')).status).toBe(400);
    expect((await raw('{"constructor":{"prototype":1}}')).status).toBe(200);
    expect(({} as { admin?: boolean }).admin).toBeUndefined();
  });

  it('takes no object that is too deep', async () => {
    const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;
    expect((await raw(nested(32))).status).toBe(200);
    expect((await raw(nested(33))).status).toBe(400);
    expect((await raw(nested(10_000))).status).toBe(400);
    expect((await raw(`{"a":${'['.repeat(32_000)}${']'.repeat(32_000)}}`)).status).toBe(400);
  });

  it('takes no object that grows over the limit when it is written out', async () => {
    expect((await raw(`{"a":[${Array(10_000).fill('1e20').join(',')}]}`)).status).toBe(400);
  });
});

describe('what may come of a call', () => {
  it.each([
    ['DEVICE_OFFLINE', 503],
    ['DEVICE_TIMEOUT', 504],
    ['DEVICE_BUSY', 429],
    ['BROKER_UNAVAILABLE', 503],
    ['DEVICE_BAD_REPLY', 502],
    ['DEVICE_ERROR', 502],
  ] as const)('%s is %d', async (code, status) => {
    gateway.devices.fail('get_rtc', code, {
      retryAfterSeconds: 1,
      ...(code === 'DEVICE_ERROR' && { deviceError: { code: 'FAILED', message: 'it tried' } }),
      ...(code === 'DEVICE_BAD_REPLY' && { reply: '{"valu' }),
    });
    const answer = await get('rtc');
    expect(answer.status).toBe(status);
    expect(answer.body).toMatchObject({ code, type: `urn:postern:error:${code}` });
    expect(answer.headers['retry-after']).toBe('1');
    if (code === 'DEVICE_ERROR') expect(answer.body.deviceError.code).toBe('FAILED');
    if (code === 'DEVICE_BAD_REPLY') expect(answer.body.reply).toBe('{"valu');
  });

  it('a bug is INTERNAL: said with the request id, told to the log alone', async () => {
    gateway.devices.answers.set('get_rtc', () => Promise.reject(new Error('secret inside')));
    const { status, body, text } = await get('rtc');
    expect(status).toBe(500);
    expect(text).not.toContain('secret inside');
    const line = gateway.logs.find((entry) => entry.includes('secret inside'))!;
    expect(line).toContain(body.requestId);
  });

  it('is counted by method and outcome, with no name of a user or device', async () => {
    gateway.devices.fail('get_mac', 'DEVICE_OFFLINE');
    await get('mac');
    await post('methods/blink_lamp', {});
    const { status, text } = await gateway.client.get('/metrics');
    expect(status).toBe(200);
    expect(text).toContain('postern_calls_total{method="get_mac",outcome="DEVICE_OFFLINE"} 1');
    expect(text).toMatch(/postern_calls_total\{method="other",outcome="OK"\} \d+/);
    expect(text).toContain('postern_calls_in_flight 0');
    expect(text).not.toMatch(/lamp|user\d|blink/);
    expect(text).not.toContain(id);
  });

  it('of a change is audited, of a read is not', async () => {
    gateway.devices.fail('set_rtc', 'DEVICE_TIMEOUT');
    await put('rtc', { value: 1 });
    await get('rtc');
    await gateway.app.audit.flush();
    const { body } = await gateway.client.get('/api/v1/audit?limit=1', { token });
    expect(body.entries[0]).toMatchObject({
      action: 'method.set_rtc',
      target: id,
      outcome: 'DEVICE_TIMEOUT',
    });
  });
});

describe('a device that was removed and registered anew', () => {
  it('is the new one for the next call', async () => {
    const first = await gateway.client.post('/api/v1/devices', { name: 'twice' }, { token });
    await gateway.client.get('/api/v1/devices/twice/status', { token });
    await gateway.client.delete('/api/v1/devices/twice', { token });
    expect((await gateway.client.get('/api/v1/devices/twice/status', { token })).status).toBe(404);
    const second = await gateway.client.post('/api/v1/devices', { name: 'twice' }, { token });
    await gateway.client.get('/api/v1/devices/twice/status', { token });
    const called = gateway.devices.calls.map(({ deviceId }) => deviceId);
    expect(called).toEqual([first.body.device.id, second.body.device.id]);
  });
});
