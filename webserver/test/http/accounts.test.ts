import { SignJWT, UnsecuredJWT } from 'jose';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startGateway, type Gateway } from './support/gateway.js';

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
  gateway.clock.freeze();
});
afterAll(() => gateway.stop());
afterEach(() => {
  expect(gateway.client.violations.splice(0)).toEqual([]);
});

const whoami = (token: string) => gateway.client.get('/api/v1/auth/whoami', { token });
const refresh = (refreshToken: string) => gateway.client.post('/api/v1/auth/refresh', { refreshToken });

describe('signing up', () => {
  it('makes an account that can log in', async () => {
    const made = await gateway.client.post('/api/v1/auth/signup', {
      username: 'alice',
      password: 'correct horse',
    });
    expect(made.status).toBe(201);
    expect(made.headers.location).toBe('/api/v1/auth/whoami');
    expect(made.body).toEqual({ username: 'alice', createdAt: expect.stringMatching(/^\d{4}-.*Z$/) });
    const login = await gateway.client.post('/api/v1/auth/login', {
      username: 'alice',
      password: 'correct horse',
    });
    expect(login.body).toMatchObject({ tokenType: 'Bearer', expiresIn: 900, username: 'alice' });
    expect((await whoami(login.body.accessToken)).body.username).toBe('alice');
  });

  it('refuses a name that is taken, also of two at once', async () => {
    const body = { username: 'taken', password: 'long enough' };
    const answers = await Promise.all([1, 2, 3].map(() => gateway.client.post('/api/v1/auth/signup', body)));
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
    expect(answers.find(({ status }) => status === 409)!.body).toMatchObject({
      type: 'urn:postern:error:USERNAME_TAKEN',
      code: 'USERNAME_TAKEN',
      status: 409,
    });
  });

  it('says which field is wrong and how', async () => {
    const { status, body, headers } = await gateway.client.post('/api/v1/auth/signup', {
      username: 'a b',
      password: 'short',
      admin: true,
    });
    expect(status).toBe(400);
    expect(headers['content-type']).toBe('application/problem+json');
    expect(body.errors.map(({ path }: { path: string }) => path).sort()).toEqual([
      'body.admin',
      'body.password',
      'body.username',
    ]);
  });
});

describe('a gateway that is closed to signups', () => {
  it('says so on both APIs, and its accounts go on', async () => {
    const closed = await startGateway({ env: { POSTERN_SIGNUP: 'closed' } });
    try {
      const body = { username: 'late', password: 'long enough' };
      const api = await closed.client.post('/api/v1/auth/signup', body);
      expect([api.status, api.body.code]).toEqual([403, 'FORBIDDEN']);
      const flat = await closed.client.post('/signup', body);
      expect([flat.status, flat.body.status]).toEqual([200, 'NG, this gateway takes no new accounts']);
      expect(closed.client.violations).toEqual([]);
    } finally {
      await closed.stop();
    }
  });
});

describe('access tokens', () => {
  it.each([
    ['none at all', undefined],
    ['a word', 'nonsense'],
    ['three words', 'a.b.c'],
    ['a very long one', 'x'.repeat(8_000)],
  ])('refuses %s', async (_, token) => {
    const answer = await gateway.client.get('/api/v1/auth/whoami', token === undefined ? {} : { token });
    expect(answer.status).toBe(401);
    expect(answer.body.code).toBe('UNAUTHENTICATED');
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
  });

  it('refuses alg none, another key, another algorithm, another audience and a changed subject', async () => {
    const { token } = await gateway.user();
    const [head, payload, mac] = token.split('.') as [string, string, string];
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString());
    const header = JSON.parse(Buffer.from(head, 'base64url').toString());
    const key = new Uint8Array(32).fill(7);
    const forged = (alg: string, signingKey: Uint8Array) =>
      new SignJWT(claims).setProtectedHeader({ ...header, alg }).sign(signingKey);
    const other = Buffer.from(JSON.stringify({ ...claims, sub: 'somebody' })).toString('base64url');
    const tokens = [
      new UnsecuredJWT(claims).encode(),
      `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${payload}.`,
      await forged('HS256', key),
      await forged('HS512', new Uint8Array(64).fill(7)),
      `${head}.${other}.${mac}`,
      `${head}.${payload}.${mac.slice(0, -2)}`,
    ];
    for (const forgedToken of tokens) expect((await whoami(forgedToken)).status).toBe(401);
    expect((await whoami(token)).status).toBe(200);
  });

  it('expire after 15 minutes, and say so', async () => {
    const { token, refreshToken } = await gateway.user();
    gateway.clock.advance(15 * 60_000 + 1_000);
    expect((await whoami(token)).body.code).toBe('TOKEN_EXPIRED');
    const renewed = await refresh(refreshToken);
    expect((await whoami(renewed.body.accessToken)).status).toBe(200);
  });

  it('are not taken from the URL', async () => {
    const { token } = await gateway.user();
    const { status } = await gateway.client.get(`/api/v1/auth/whoami?access_token=${token}`);
    expect(status).toBe(401);
  });
});

describe('refresh tokens', () => {
  it('work once each', async () => {
    const { refreshToken } = await gateway.user();
    const first = await refresh(refreshToken);
    expect(first.status).toBe(200);
    expect(first.body.refreshToken).not.toBe(refreshToken);
    // Within the grace it is a retry: refused, and the session lives.
    expect((await refresh(refreshToken)).status).toBe(401);
    expect((await refresh(first.body.refreshToken)).status).toBe(200);
  });

  it('let one of many that come at once win', async () => {
    const { refreshToken } = await gateway.user();
    const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(refreshToken)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(7);
  });

  it('that come again after the grace end the session, access token included', async () => {
    const { refreshToken } = await gateway.user();
    const next = await refresh(refreshToken);
    gateway.clock.advance(11_000);
    expect((await refresh(refreshToken)).status).toBe(401);
    expect((await refresh(next.body.refreshToken)).status).toBe(401);
    expect((await whoami(next.body.accessToken)).status).toBe(401);
  });

  it('of two rotations ago end the session too', async () => {
    const { refreshToken } = await gateway.user();
    const second = await refresh(refreshToken);
    const third = await refresh(second.body.refreshToken);
    expect((await refresh(refreshToken)).status).toBe(401);
    expect((await refresh(third.body.refreshToken)).status).toBe(401);
  });

  it('that somebody made up end nobody’s session', async () => {
    const { refreshToken } = await gateway.user();
    const [session, secret] = refreshToken.split('.') as [string, string];
    const madeUp = `${session}.${secret.split('').reverse().join('')}.${'A'.repeat(22)}`;
    gateway.clock.advance(11_000);
    expect((await refresh(madeUp)).status).toBe(401);
    expect((await refresh(refreshToken)).status).toBe(200);
  });

  it('last 30 days from the last refresh', async () => {
    const { refreshToken } = await gateway.user();
    gateway.clock.advance(29 * 86_400_000);
    const next = await refresh(refreshToken);
    expect(next.status).toBe(200);
    gateway.clock.advance(31 * 86_400_000);
    expect((await refresh(next.body.refreshToken)).status).toBe(401);
  });
});

describe('logging out', () => {
  it('ends the access token and the refresh token at once', async () => {
    const { token, refreshToken } = await gateway.user();
    expect((await whoami(token)).status).toBe(200);
    const out = await gateway.client.post('/api/v1/auth/logout', undefined, { token });
    expect(out.status).toBe(204);
    expect(out.text).toBe('');
    expect((await whoami(token)).status).toBe(401);
    expect((await refresh(refreshToken)).status).toBe(401);
  });

  it('works by the refresh token once the access token has expired', async () => {
    const { token, refreshToken } = await gateway.user();
    gateway.clock.advance(16 * 60_000);
    expect((await gateway.client.post('/api/v1/auth/logout', undefined, { token })).body.code).toBe(
      'TOKEN_EXPIRED',
    );
    expect((await gateway.client.post('/api/v1/auth/logout', { refreshToken })).status).toBe(204);
    expect((await refresh(refreshToken)).status).toBe(401);
  });

  it('on another instance ends what this one has cached', async () => {
    const { token } = await gateway.user();
    expect((await whoami(token)).status).toBe(200);
    const { sid } = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString());
    await gateway.store.deleteSession(sid);
    expect((await whoami(token)).status).toBe(200); // cached, for 5 s at most
    gateway.app.sessionEnded(sid);
    expect((await whoami(token)).status).toBe(401);
  });
});

describe('guessing passwords', () => {
  const login = (username: string, password: string) =>
    gateway.client.post('/api/v1/auth/login', { username, password });

  it('answers an unknown name and a wrong password alike, in words and time', async () => {
    const { username } = await gateway.user();
    const times: Record<string, number[]> = { known: [], unknown: [] };
    for (let round = 0; round < 3; round += 1) {
      for (const [kind, name] of [
        ['known', username],
        ['unknown', `nobody${round}`],
      ] as const) {
        // Processor time, hashing threads included: other processes do not count into it.
        const before = process.cpuUsage();
        const { status, body } = await login(name, 'wrong password');
        const { user, system } = process.cpuUsage(before);
        times[kind]!.push(user + system);
        expect(status).toBe(401);
        expect({ ...body, requestId: '' }).toEqual({
          type: 'urn:postern:error:BAD_CREDENTIALS',
          title: 'The user name or the password is wrong',
          status: 401,
          code: 'BAD_CREDENTIALS',
          requestId: '',
        });
      }
    }
    const [known, unknown] = [Math.min(...times['known']!), Math.min(...times['unknown']!)];
    expect(Math.max(known, unknown) / Math.min(known, unknown)).toBeLessThan(2);
  });

  it('makes a name wait after five failures, longer each time, and forgives a success', async () => {
    const username = 'guessed';
    await gateway.client.post('/api/v1/auth/signup', { username, password: 'the right one' });
    for (let failure = 0; failure < 5; failure += 1)
      expect((await login(username, 'wrong')).status).toBe(401);
    const refused = await login(username, 'the right one');
    expect(refused.status).toBe(429);
    expect(refused.body.code).toBe('RATE_LIMITED');
    expect(refused.headers['retry-after']).toBe('1');
    gateway.clock.advance(1_100);
    expect((await login(username, 'wrong')).status).toBe(401);
    expect((await login(username, 'wrong')).headers['retry-after']).toBe('2');
    gateway.clock.advance(2_100);
    expect((await login(username, 'the right one')).status).toBe(200);
    expect((await login(username, 'wrong')).status).toBe(401);
  });

  it('waits at most 15 minutes, and refused attempts do not lengthen it', async () => {
    const username = 'hammered';
    const at = gateway.clock.now();
    for (let failure = 0; failure < 40; failure += 1) await gateway.store.recordLoginFailure(username, at, 0);
    const first = await login(username, 'x');
    expect(Number(first.headers['retry-after'])).toBeLessThanOrEqual(900);
    gateway.clock.advance(600_000);
    expect(Number((await login(username, 'x')).headers['retry-after'])).toBeLessThanOrEqual(300);
    gateway.clock.advance(300_001);
    expect((await login(username, 'x')).status).toBe(401);
  });

  it('does not keep the owner out whom a stranger locks', async () => {
    const username = 'victim';
    const password = 'the right one';
    await gateway.client.post('/api/v1/auth/signup', { username, password });
    // The owner has logged in from here; the stranger fails from elsewhere.
    expect((await login(username, password)).status).toBe(200);
    for (let failure = 0; failure < 20; failure += 1)
      await gateway.store.recordLoginFailure(username, gateway.clock.now(), 0);
    expect((await login(username, password)).status).toBe(200);
  });

  it('checks guesses at one name one after the other, so that they cannot race the count', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => login('raced', 'wrong')));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.filter((status) => status === 401)).toHaveLength(5);
    expect(statuses.filter((status) => status === 429)).toHaveLength(3);
  });
});

describe('the audit record', () => {
  it('lists what was done in the user’s own name, by pages', async () => {
    const { token } = await gateway.user();
    const other = await gateway.user();
    await gateway.client.post('/api/v1/devices', { name: 'lamp' }, { token });
    await gateway.client.post('/api/v1/devices', { name: 'other' }, { token: other.token });
    await gateway.client.put('/api/v1/devices/lamp/gpio/3', { value: 1 }, { token });
    await gateway.app.audit.flush();
    const first = await gateway.client.get('/api/v1/audit?limit=2', { token });
    expect(first.status).toBe(200);
    const rest = await gateway.client.get(`/api/v1/audit?limit=2&cursor=${first.body.nextCursor}`, { token });
    const entries = [...first.body.entries, ...rest.body.entries];
    expect(entries.map(({ action }: { action: string }) => action)).toEqual([
      'method.set_gpio',
      'device.register',
      'account.login',
      'account.signup',
    ]);
    expect(rest.body.nextCursor).toBeNull();
    expect(entries[0]).toMatchObject({ outcome: 'OK', address: '127.0.0.1' });
    expect(JSON.stringify(entries)).not.toContain('other');
  });
});
