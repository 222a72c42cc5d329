import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { IDEMPOTENCY_RETENTION_MS } from '../../src/domain/idempotency.js';
import { sha256Hex } from '../../src/domain/tokens.js';
import { startGateway, type Gateway } from './support/gateway.js';

let gateway: Gateway;
let token: string;
let me: { username: string; password: string };
beforeAll(async () => {
  gateway = await startGateway();
  const user = await gateway.user();
  me = { username: user.username, password: user.password };
  token = user.token;
  await gateway.client.post('/api/v1/devices', { name: 'lamp' }, { token });
});
afterAll(() => gateway.stop());
beforeEach(() => {
  gateway.devices.calls.length = 0;
  gateway.devices.answers.clear();
});
afterEach(() => {
  expect(gateway.client.violations.splice(0)).toEqual([]);
});

const logInAgain = async () => {
  token = (await gateway.client.post('/api/v1/auth/login', me)).body.accessToken;
};
const PATH = '/api/v1/devices/lamp/gpio/1';
const setPin = (key: string, value = 1, path = PATH, as = token) =>
  gateway.client.put(path, { value }, { token: as, headers: { 'idempotency-key': key } });

describe('the same Idempotency-Key', () => {
  it('gives the same answer and one execution', async () => {
    const first = await setPin('same');
    const second = await setPin('same');
    expect(second.status).toBe(200);
    expect(second.text).toBe(first.text);
    expect(first.headers).not.toHaveProperty('idempotency-replayed');
    expect(second.headers['idempotency-replayed']).toBe('true');
    expect(gateway.devices.calls).toHaveLength(1);
  });

  it('waits for the first call that is still under way', async () => {
    let finish = (): void => undefined;
    gateway.devices.answers.set(
      'set_gpio',
      (call) => new Promise((resolve) => (finish = () => resolve({ ...call.payload }))),
    );
    const answers = [setPin('slow'), setPin('slow'), setPin('slow')];
    await expect.poll(() => gateway.devices.calls.length).toBe(1);
    const other = await setPin('slow', 0);
    expect(other.body.code).toBe('IDEMPOTENCY_KEY_REUSED');
    finish();
    const done = await Promise.all(answers);
    expect(done.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(done.filter(({ headers }) => headers['idempotency-replayed'] === 'true')).toHaveLength(2);
    expect(gateway.devices.calls).toHaveLength(1);
  });

  it('under another body, resource or API is 409', async () => {
    await setPin('first');
    for (const answer of [
      await setPin('first', 0),
      await setPin('first', 1, '/api/v1/devices/lamp/gpio/2'),
      await gateway.client.post('/api/v1/devices/lamp/reset', undefined, {
        token,
        headers: { 'idempotency-key': 'first' },
      }),
    ])
      expect([answer.status, answer.body.code]).toEqual([409, 'IDEMPOTENCY_KEY_REUSED']);
    expect(gateway.devices.calls).toHaveLength(1);
  });

  it('of another user is another key', async () => {
    const other = await gateway.user();
    await gateway.client.post('/api/v1/devices', { name: 'lamp' }, { token: other.token });
    await setPin('shared', 1);
    expect((await setPin('shared', 0, PATH, other.token)).status).toBe(200);
    expect(gateway.devices.calls).toHaveLength(2);
  });

  it('is forgotten after a day', async () => {
    await setPin('daily', 1);
    gateway.clock.advance(IDEMPOTENCY_RETENTION_MS - 60_000);
    await logInAgain();
    expect((await setPin('daily', 1)).headers['idempotency-replayed']).toBe('true');
    gateway.clock.advance(60_000 + 35_000);
    // Another request under it, so that a kept record would show as 409.
    const later = await setPin('daily', 0);
    expect([later.status, later.headers['idempotency-replayed']]).toEqual([200, undefined]);
    expect(gateway.devices.calls).toHaveLength(2);
  });

  it.each(['DEVICE_TIMEOUT', 'DEVICE_BAD_REPLY', 'DEVICE_ERROR'] as const)(
    'gives %s again, since the device may have acted',
    async (code) => {
      gateway.devices.fail('set_gpio', code);
      const first = await setPin(code);
      gateway.devices.answers.clear();
      const second = await setPin(code);
      expect(second.text).toBe(first.text);
      expect(second.headers['content-type']).toBe('application/problem+json');
      expect(second.headers['idempotency-replayed']).toBe('true');
      expect(gateway.devices.calls).toHaveLength(1);
    },
  );

  it.each([
    ['DEVICE_OFFLINE', {}],
    ['DEVICE_BUSY', {}],
    ['BROKER_UNAVAILABLE', { notSent: true }],
  ] as const)('may run again after %s %j, which did nothing', async (code, options) => {
    gateway.devices.fail('set_gpio', code, options);
    expect((await setPin(`free ${code}`)).body.code).toBe(code);
    gateway.devices.answers.clear();
    const second = await setPin(`free ${code}`);
    expect(second.status).toBe(200);
    expect(second.headers).not.toHaveProperty('idempotency-replayed');
  });

  it('may run again after a request that was refused', async () => {
    expect((await setPin('refused', 7)).status).toBe(400);
    expect((await setPin('refused', 1)).status).toBe(200);
    expect((await setPin('nowhere', 1, '/api/v1/devices/none/gpio/1')).status).toBe(404);
    expect((await setPin('nowhere', 1)).status).toBe(200);
  });

  it('does not run again where the broker was lost in the middle', async () => {
    gateway.devices.fail('set_gpio', 'BROKER_UNAVAILABLE');
    expect((await setPin('lost')).status).toBe(503);
    gateway.devices.answers.clear();
    gateway.clock.advance(10_000);
    const second = await setPin('lost');
    expect([second.status, second.body.code]).toEqual([409, 'IDEMPOTENCY_OUTCOME_UNKNOWN']);
    expect(gateway.devices.calls).toHaveLength(1);
  });
});

describe('a call of another instance under the same key', () => {
  const claim = async (key: string, ageMs: number) => {
    const user = await gateway.user();
    await gateway.client.post('/api/v1/devices', { name: 'lamp' }, { token: user.token });
    const userId = (await gateway.store.findUserByName(user.username))!.id;
    const id = sha256Hex(`${userId}\n${key}`);
    const createdAt = gateway.clock.now() - ageMs;
    await gateway.store.claimIdempotency({
      id,
      requestHash: sha256Hex(`PUT ${PATH}\n{"value":1}`),
      createdAt,
      expiresAt: createdAt + 5_000 + IDEMPOTENCY_RETENTION_MS,
      answer: null,
    });
    return { id, token: user.token };
  };

  it('is waited for, up to the caller’s own timeout', async () => {
    const { token: as } = await claim('elsewhere', 0);
    const answer = await setPin('elsewhere', 1, `${PATH}?timeoutMs=200`, as);
    expect(answer.body.code).toBe('IDEMPOTENCY_OUTCOME_UNKNOWN');
    expect(answer.body.detail).toContain('still under way');
    expect(gateway.devices.calls).toEqual([]);
  });

  it('that died leaves an outcome that is not known, once its deadline has passed', async () => {
    const { token: as } = await claim('died', 8_000);
    const answer = await setPin('died', 1, PATH, as);
    expect(answer.body.code).toBe('IDEMPOTENCY_OUTCOME_UNKNOWN');
    expect(answer.body.detail).toContain('never written down');
    expect(gateway.devices.calls).toEqual([]);
  });
});

describe('registration under an Idempotency-Key', () => {
  it('hands the same key and certificate out again, kept encrypted', async () => {
    const headers = { 'idempotency-key': 'registration' };
    const register = () => gateway.client.post('/api/v1/devices', { name: 'once' }, { token, headers });
    const first = await register();
    const second = await register();
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toEqual(first.body);
    expect(second.headers.location).toBe('/api/v1/devices/once');
    const { sub } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
    const record = await gateway.store.findIdempotency(
      sha256Hex(`${sub}\nregistration`),
      gateway.clock.now(),
    );
    expect(record?.answer?.body).toMatch(/^v1\./);
    expect(record?.answer?.body).not.toContain('PRIVATE');
  });
});

describe('an Idempotency-Key', () => {
  it.each(['x'.repeat(256), 'ü', ''])('of %j is refused', async (key) => {
    const answer = await setPin(key);
    expect([answer.status, answer.body.code]).toEqual([400, 'VALIDATION_FAILED']);
  });

  it('works on the flat calls that change something', async () => {
    const login = { username: 'flat_idem', password: 'long enough' };
    await gateway.client.post('/signup', login);
    const { secret } = (await gateway.client.post('/login', login)).body;
    const auth = { username: login.username, secret };
    await gateway.client.post('/register_device', { ...auth, devicename: 'lamp' });
    const headers = { 'idempotency-key': 'flat' };
    const call = (value: number) =>
      gateway.client.post('/set_gpio', { ...auth, devicename: 'lamp', number: 1, value }, { headers });
    expect((await call(1)).status).toBe(200);
    const again = await call(1);
    expect([again.status, again.headers['idempotency-replayed']]).toEqual([200, 'true']);
    const other = await call(0);
    expect([other.status, other.headers.connection]).toEqual([409, 'close']);
    expect(gateway.devices.calls).toHaveLength(1);
  });
});
