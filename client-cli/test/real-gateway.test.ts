import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Shell } from './support/cli.js';
import { RealGateway } from './support/real-gateway.js';

let gateway: RealGateway;
let shell: Shell;
beforeAll(async () => {
  gateway = await RealGateway.start();
});
afterAll(() => gateway?.stop());
// Logins on one gateway share a config folder; each test is a user on a machine of its own.
beforeEach(() => {
  shell = new Shell();
});
afterEach(() => shell.dispose());

const PASSWORD = 'a long enough one';
const postern = (args: string[], stdin = '') =>
  shell.run(args, { stdin, env: { POSTERN_DATA_DIR: gateway.dataDir } });
/** Gives the password on stdin; only signup reads it. */
const json = async (...args: string[]): Promise<Record<string, unknown>> => {
  const { code, stdout, stderr } = await postern([...args, '--json'], PASSWORD);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return JSON.parse(stdout) as Record<string, unknown>;
};
const isPair = (folder: string): boolean => {
  const read = (name: string) => readFileSync(join(shell.home, folder, name));
  return new X509Certificate(read('certificate.pem')).checkPrivateKey(createPrivateKey(read('key.pem')));
};

describe('the real gateway, its registry and its CA', () => {
  it('carries an account and a device through their whole lives', async () => {
    expect(await postern(['signup', '--username', 'demo'], PASSWORD)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('pinned'),
    });
    expect((await postern(['signup', '--username', 'demo'], PASSWORD)).code).toBe(9);
    expect((await postern(['login', '--username', 'demo'], 'not the password')).code).toBe(3);
    expect(await json('whoami')).toMatchObject({ username: 'demo', gateway: gateway.url });

    expect((await postern(['device', 'register', 'my lamp'])).code).toBe(0);
    expect(isPair('my lamp')).toBe(true);
    expect(
      (await postern(['device', 'register', 'bare', '--gateway-key', '--key-type', 'rsa-2048'])).code,
    ).toBe(0);
    expect(isPair('bare')).toBe(true);
    expect((await postern(['device', 'register', 'bare', '--out', 'elsewhere'])).code).toBe(9);
    writeFileSync(join(shell.home, 'bad.csr'), 'no request');
    expect((await postern(['device', 'register', 'third', '--csr', 'bad.csr'])).code).toBe(2);

    const { devices } = (await json('device', 'list', '--limit', '1')) as { devices: { name: string }[] };
    expect(devices.map(({ name }) => name)).toEqual(['bare']);
    expect(((await json('device', 'list')) as { devices: object[] }).devices).toHaveLength(2);
    expect(await json('device', 'show', 'my lamp')).toMatchObject({
      name: 'my lamp',
      presence: { connected: false },
    });

    const renewed = await json('device', 'renew', 'my lamp', '--same-key', '--drop-old');
    expect(renewed['dropped']).toHaveLength(1);
    expect(isPair('my lamp')).toBe(true);
    const { certificates } = (await json('device', 'certificates', 'my lamp')) as {
      certificates: { state: string }[];
    };
    expect(certificates.map(({ state }) => state).sort()).toEqual(['active', 'revoked']);
    expect(await json('device', 'revoke', 'my lamp', '--reason', 'keyCompromise')).toMatchObject({
      activeCertificates: [],
    });

    expect((await postern(['device', 'remove', 'my lamp'])).code).toBe(0);
    expect((await postern(['device', 'show', 'my lamp'])).code).toBe(4);
    expect((await postern(['logout'])).code).toBe(0);
    expect((await postern(['whoami'])).code).toBe(3);
  });

  it('renews the login once for several processes', async () => {
    const signup = await json('signup', '--username', 'ada');
    const file = join(shell.config, 'profiles', `${String(signup['profile'])}.json`);
    const profile = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    writeFileSync(file, JSON.stringify({ ...profile, accessExpiresAt: 0 }));
    const results = await Promise.all([1, 2, 3, 4].map(() => postern(['whoami'])));
    expect(results.map(({ code, stderr }) => `${code}${stderr}`)).toEqual(['0', '0', '0', '0']);
    const after = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
    expect(after['refreshToken']).not.toBe(profile['refreshToken']);
  });

  it('says what it says of a device that cannot be reached', async () => {
    await json('signup', '--username', 'eve');
    await postern(['device', 'register', 'away']);
    for (const args of [
      ['gpio', 'get', 'away', '1'],
      ['gpio', 'set', 'away', '1', '1'],
      ['rtc', 'get', 'away'],
      ['rtc', 'set', 'away', 'now'],
      ['mac', 'get', 'away'],
      ['mac', 'set', 'away', '02:00:00:00:00:01'],
      ['net', 'show', 'away'],
      ['device', 'status', 'away'],
      ['device', 'reset', 'away'],
      ['uart', 'write', 'away', 'hello'],
      ['call', 'away', 'blink', '{"times":3}'],
    ]) {
      // There is no broker here: the gateway knows either that, or that the device never was there.
      const { code, stderr } = await postern([...args, '--json']);
      const { error } = JSON.parse(stderr) as { error: { code: string } };
      expect(['5 DEVICE_OFFLINE', '8 BROKER_UNAVAILABLE'], args.join(' ')).toContain(`${code} ${error.code}`);
      expect(
        (await postern([...args.map((arg) => (arg === 'away' ? 'nowhere' : arg))])).code,
        args.join(' '),
      ).toBe(4);
    }
  });
});
