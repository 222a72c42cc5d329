import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeCa, makeServerCertificate } from './support/certificates.js';
import type { Shell } from './support/cli.js';
import { LAUNCHER, PASSWORD, ended, until } from './support/cli.js';
import { TestGateway } from './support/gateway.js';
import { onTerminal } from './support/pty.js';
import { World } from './support/world.js';

let world: World;
beforeEach(async () => {
  world = await World.make();
});
afterEach(() => world.dispose());

const postern = (args: string[], options: Parameters<Shell['run']>[1] = {}) => world.shell.run(args, options);
const profiles = (): string[] => readdirSync(join(world.shell.config, 'profiles')).sort();
const profileFile = (name = `localhost-${world.gateway.port}-demo`): string =>
  join(world.shell.config, 'profiles', `${name}.json`);
const stored = (name?: string): Record<string, unknown> =>
  JSON.parse(readFileSync(profileFile(name), 'utf8')) as Record<string, unknown>;

describe('login', () => {
  it('keeps credentials in files that only the owner may read, and pins the CA', async () => {
    await world.login();
    expect(profiles()).toEqual([`localhost-${world.gateway.port}-demo.json`]);
    expect(statSync(profileFile()).mode & 0o777).toBe(0o600);
    expect(statSync(world.shell.config).mode & 0o777).toBe(0o700);
    expect(statSync(join(world.shell.config, 'profiles')).mode & 0o777).toBe(0o700);
    expect(stored()['caPem']).toBe(world.ca.caPem);
    expect(JSON.stringify(stored())).not.toContain(PASSWORD);
    const { stdout } = await postern(['whoami']);
    expect(stdout).toBe(`demo on ${world.gateway.url} (profile localhost-${world.gateway.port}-demo)\n`);
  });

  it('closes a profile that others could read, and says so', async () => {
    await world.login();
    chmodSync(profileFile(), 0o644);
    const { code, stderr } = await postern(['whoami']);
    expect(code).toBe(0);
    expect(stderr).toContain('is now 0600');
    expect(statSync(profileFile()).mode & 0o777).toBe(0o600);
  });

  it('refuses a password on the command line, without repeating it', async () => {
    for (const args of [['--password', PASSWORD], [`--password=${PASSWORD}`]]) {
      const { code, stderr } = await postern(['login', '--username', 'demo', ...args]);
      expect(code).toBe(2);
      expect(stderr).toContain('--password-stdin');
      expect(stderr).not.toContain(PASSWORD);
    }
  });

  it('says that name or password is wrong, and keeps nothing', async () => {
    const { code, stderr } = await postern(
      ['login', '--gateway', world.gateway.url, '--ca', world.ca.caFile, '--username', 'demo'],
      { stdin: 'wrong horse' },
    );
    expect(code).toBe(3);
    expect(stderr).toContain('password is wrong');
    expect(existsSync(profileFile())).toBe(false);
  });

  it('finds gateway and CA in the data folder that POSTERN_DATA_DIR names', async () => {
    const dataDir = join(world.folder, 'data');
    mkdirSync(join(dataDir, 'ca'), { recursive: true });
    writeFileSync(join(dataDir, 'ca', 'rootca.pem'), world.ca.caPem);
    writeFileSync(join(dataDir, 'gateway.json'), JSON.stringify({ url: world.gateway.url }));
    const env = { POSTERN_DATA_DIR: dataDir };
    const login = await postern(['login', '--username', 'demo', '--json'], { stdin: PASSWORD, env });
    expect(JSON.parse(login.stdout)).toMatchObject({ gateway: world.gateway.url, dataDir });
    expect((await postern(['whoami'], { env })).code).toBe(0);
  });

  it('finds them in .postern of the current folder', async () => {
    const dataDir = join(world.shell.home, '.postern');
    mkdirSync(join(dataDir, 'ca'), { recursive: true });
    writeFileSync(join(dataDir, 'ca', 'rootca.pem'), world.ca.caPem);
    const login = await postern(['login', '--username', 'demo'], {
      stdin: PASSWORD,
      env: { POSTERN_HTTPS_PORT: String(world.gateway.port) },
    });
    expect(login.code).toBe(0);
    expect(stored()).toMatchObject({ dataDir, caPem: world.ca.caPem });
  });

  it('signs up and logs in', async () => {
    const args = ['--gateway', world.gateway.url, '--ca', world.ca.caFile, '--username', 'ada'];
    expect((await postern(['signup', ...args], { stdin: 'short' })).stderr).toContain(
      'at least 8 characters',
    );
    const { code, stdout } = await postern(['signup', ...args], { stdin: 'long enough' });
    expect(code).toBe(0);
    expect(stdout).toContain('Account ada is made');
    expect((await postern(['whoami'])).stdout).toContain('ada on');
    const again = await postern(['signup', ...args], { stdin: 'long enough' });
    expect(again.code).toBe(9);
  });

  it('ends on the gateway and here with logout', async () => {
    await world.login();
    expect((await postern(['logout'])).code).toBe(0);
    expect(world.gateway.logins).toEqual([]);
    expect(profiles()).toEqual([]);
    const { code, stderr } = await postern(['whoami']);
    expect(code).toBe(3);
    expect(stderr).toContain('postern login');
  });

  it('is kept where the gateway cannot be told of the logout, unless --local', async () => {
    await world.login();
    await world.gateway.stop();
    const refused = await postern(['logout']);
    expect(refused.code).toBe(8);
    expect(refused.stderr).toContain('--local');
    expect(existsSync(profileFile())).toBe(true);
    expect((await postern(['logout', '--local'])).code).toBe(0);
    expect(existsSync(profileFile())).toBe(false);
  });
});

describe('prompts on a terminal', () => {
  const login = (): string[] => [
    process.execPath,
    LAUNCHER,
    'login',
    '--gateway',
    world.gateway.url,
    '--ca',
    world.ca.caFile,
  ];

  it('ask for name and password and do not show the password', async () => {
    const { code, transcript, unmet } = await onTerminal(world.shell, {
      argv: login(),
      steps: [
        { expect: 'User name: ', send: 'demox\u007f\r' },
        { expect: 'Password: ', send: `${PASSWORD}!\u007f\r` },
      ],
    });
    expect({ code, unmet }).toEqual({ code: 0, unmet: [] });
    expect(transcript).toContain('Logged in as demo');
    expect(transcript).not.toContain('correct');
  });

  it('take what is typed ahead', async () => {
    const { code } = await onTerminal(world.shell, {
      argv: login(),
      steps: [{ expect: 'User name: ', send: `demo\r${PASSWORD}\r` }],
    });
    expect(code).toBe(0);
  });

  it.each(['User name: ', 'Password: '])('end with 130 on Ctrl-C at "%s"', async (question) => {
    const { code, transcript } = await onTerminal(world.shell, {
      argv: login(),
      steps: [
        ...(question === 'Password: ' ? [{ expect: 'User name: ', send: 'demo\r' }] : []),
        { expect: question, send: '\u0003' },
      ],
    });
    expect(code).toBe(130);
    expect(transcript).toContain('Interrupted');
  });

  it('ask twice for a new password', async () => {
    const argv = login().map((word) => (word === 'login' ? 'signup' : word));
    const { code, transcript } = await onTerminal(world.shell, {
      argv,
      steps: [
        { expect: 'User name: ', send: 'ada\r' },
        { expect: 'Password: ', send: 'long enough\r' },
        { expect: 'Password again: ', send: 'long enouhg\r' },
      ],
    });
    expect(code).toBe(2);
    expect(transcript).toContain('differ');
    expect(world.gateway.users.has('ada')).toBe(false);
  });
});

describe('tokens', () => {
  it('are renewed when they are about to expire, and kept', async () => {
    world.gateway.expiresIn = 20;
    await world.login();
    const before = stored()['refreshToken'];
    world.gateway.expiresIn = 900;
    expect((await postern(['whoami'])).code).toBe(0);
    expect(world.gateway.refreshes).toBe(1);
    expect(stored()['refreshToken']).not.toBe(before);
    expect((await postern(['whoami'])).code).toBe(0);
    expect(world.gateway.refreshes).toBe(1);
  });

  it('are renewed when the gateway does not take one any more', async () => {
    await world.login();
    world.gateway.forgetAccessTokens();
    expect((await postern(['whoami'])).code).toBe(0);
    expect(world.gateway.refreshes).toBe(1);
  });

  it('are renewed once by many processes at once, and none loses the login', async () => {
    world.gateway.expiresIn = 20;
    await world.login();
    world.gateway.expiresIn = 900;
    const results = await Promise.all(Array.from({ length: 8 }, () => postern(['whoami'])));
    expect(results.map(({ code, stderr }) => `${code}${stderr}`)).toEqual(
      Array.from({ length: 8 }, () => '0'),
    );
    expect(world.gateway.refreshes).toBe(1);
    expect(profiles()).toHaveLength(1);
  });

  it('are renewed past a lock that a killed process left', async () => {
    world.gateway.expiresIn = 20;
    await world.login();
    // A refresh whose answer never comes: its process holds the lock until it is killed.
    let reached = false;
    world.gateway.faults.push(() => (reached = true));
    const stuck = world.shell.start(['whoami']);
    await until('the refresh has begun', () => reached);
    const gone = ended(stuck);
    stuck.kill('SIGKILL');
    await gone;
    expect(profiles()).toContain(`localhost-${world.gateway.port}-demo.lock`);
    expect((await postern(['whoami'])).code).toBe(0);
    expect(profiles()).toEqual([`localhost-${world.gateway.port}-demo.json`]);
  });

  it('survive Ctrl-C during a refresh', async () => {
    world.gateway.expiresIn = 20;
    await world.login();
    const before = stored()['refreshToken'];
    let answer: (() => void) | undefined;
    // Answers late: the refresh itself is done by the route once it is let go.
    world.gateway.faults.push((request, response) => {
      answer = () => world.gateway.answer(request, response, { refreshToken: before });
      return true;
    });
    const child = world.shell.start(['whoami']);
    const end = ended(child);
    await until('the refresh has begun', () => answer !== undefined);
    let said = '';
    child.stderr?.on('data', (text: string) => (said += text));
    child.kill('SIGINT');
    await until('the signal has arrived', () => said.includes('once the login is renewed'));
    answer?.();
    expect((await end).code).toBe(130);
    expect(stored()['refreshToken']).not.toBe(before);
    expect((await postern(['whoami'])).code).toBe(0);
  });

  it('that the gateway refuses to renew end the login with a sentence', async () => {
    world.gateway.expiresIn = 20;
    await world.login();
    world.gateway.logins.length = 0;
    const { code, stderr } = await postern(['whoami']);
    expect(code).toBe(3);
    expect(stderr).toContain('The login of demo');
    expect(stderr).toContain(`postern login --gateway ${world.gateway.url} --username demo`);
    // What is left is a logout here.
    expect((await postern(['logout'])).code).toBe(0);
  });
});

describe('profiles', () => {
  it('are one for each gateway and user, and the last login is the current one', async () => {
    world.gateway.users.set('ada', PASSWORD);
    await world.login();
    await world.shell.login(world.gateway.url, world.ca.caFile, 'ada');
    expect((await postern(['whoami'])).stdout).toContain('ada on');
    const demo = `localhost-${world.gateway.port}-demo`;
    expect((await postern(['whoami', '--profile', demo])).stdout).toContain('demo on');
    expect((await postern(['profile', 'list'])).stdout).toMatch(/^\* +localhost-\d+-ada /m);
    expect((await postern(['profile', 'use', demo])).code).toBe(0);
    expect((await postern(['whoami'])).stdout).toContain('demo on');
    const missing = await postern(['whoami', '--profile', 'nobody']);
    expect(missing.code).toBe(4);
    expect(missing.stderr).toContain(demo);
    expect((await postern(['profile', 'remove', demo])).code).toBe(0);
    expect((await postern(['whoami'])).code).toBe(3);
  });

  it('follow POSTERN_HTTPS_PORT', async () => {
    const other = await TestGateway.start(
      world.ca,
      makeServerCertificate(world.ca, { san: 'DNS:localhost' }),
    );
    try {
      other.users.set('demo', PASSWORD);
      await world.login();
      await world.shell.login(other.url, world.ca.caFile);
      const on = async (port: number) =>
        (await postern(['whoami'], { env: { POSTERN_HTTPS_PORT: String(port) } })).stdout;
      expect(await on(world.gateway.port)).toContain(world.gateway.url);
      expect(await on(other.port)).toContain(other.url);
      const none = await postern(['whoami'], { env: { POSTERN_HTTPS_PORT: '1' } });
      expect(none.code).toBe(3);
      expect(none.stderr).toContain('https://localhost:1 (POSTERN_HTTPS_PORT)');
    } finally {
      await other.stop();
    }
  });

  it('of two data folders stay apart, also where both had gateways at one address in turn', async () => {
    const folders = await Promise.all(
      ['one', 'two'].map(async (name) => {
        const ca = makeCa(world.folder, name);
        const folder = join(world.folder, `data-${name}`);
        mkdirSync(join(folder, 'ca'), { recursive: true });
        writeFileSync(join(folder, 'ca', 'rootca.pem'), ca.caPem);
        return { folder, ca, certificate: makeServerCertificate(ca, { san: 'DNS:localhost' }) };
      }),
    );
    const [one, two] = [folders[0]!, folders[1]!];
    const env = (folder: string) => ({ POSTERN_DATA_DIR: folder });
    const first = await TestGateway.start(one.ca, one.certificate);
    const { port } = first;
    const url = JSON.stringify({ url: first.url });
    first.users.set('demo', PASSWORD);
    writeFileSync(join(one.folder, 'gateway.json'), url);
    const login = async (folder: string) => {
      const { code, stderr } = await postern(['login', '--username', 'demo'], {
        stdin: PASSWORD,
        env: env(folder),
      });
      expect({ code, stderr }).toMatchObject({ code: 0 });
    };
    await login(one.folder);
    await first.stop();

    const second = await TestGateway.start(two.ca, two.certificate, port);
    second.users.set('demo', PASSWORD);
    writeFileSync(join(two.folder, 'gateway.json'), url);
    expect((await postern(['whoami'], { env: env(two.folder) })).code).toBe(3);
    await login(two.folder);
    expect(profiles()).toHaveLength(2);
    expect((await postern(['whoami'], { env: env(two.folder) })).code).toBe(0);
    // The login of the first is there, and its token does not go to the second.
    const seen = second.seen.length;
    expect((await postern(['whoami'], { env: env(one.folder) })).code).toBe(8);
    expect(second.seen).toHaveLength(seen);
    await second.stop();

    // The first gateway comes back on another port: its folder says where.
    const moved = await TestGateway.start(one.ca, one.certificate);
    try {
      moved.logins.push(...first.logins);
      writeFileSync(join(one.folder, 'gateway.json'), JSON.stringify({ url: moved.url }));
      expect((await postern(['whoami'], { env: env(one.folder) })).stdout).toContain(moved.url);
      const both = { ...env(one.folder), POSTERN_HTTPS_PORT: String(moved.port) };
      expect((await postern(['whoami'], { env: both })).code).toBe(0);
    } finally {
      await moved.stop();
    }
  });

  it('that are damaged are named, kept, and not written over', async () => {
    await world.login();
    writeFileSync(profileFile(), '{"version":1,"accessToken":"secret-token"');
    for (const args of [
      ['whoami'],
      ['login', '--gateway', world.gateway.url, '--ca', world.ca.caFile, '--username', 'demo'],
    ]) {
      const { code, stderr } = await postern(args, { stdin: PASSWORD });
      expect(code).toBe(11);
      expect(stderr).toContain(profileFile());
      expect(stderr).not.toContain('secret-token');
    }
    expect(readFileSync(profileFile(), 'utf8')).toContain('secret-token');
    expect((await postern(['profile', 'remove', `localhost-${world.gateway.port}-demo`])).code).toBe(0);
    await world.login();
  });
});

describe('trust', () => {
  const refused = async (gateway: TestGateway, ca: string) => {
    const { code, stderr } = await postern(
      ['login', '--gateway', gateway.url, '--ca', ca, '--username', 'demo'],
      { stdin: PASSWORD },
    );
    expect(code).toBe(8);
    expect(gateway.seen).toEqual([]);
    return stderr;
  };

  it('is refused to a certificate of another CA', async () => {
    const foreign = makeCa(world.folder, 'foreign');
    expect(await refused(world.gateway, foreign.caFile)).toContain('was not issued by the CA that is pinned');
  });

  it('is refused without a CA to a gateway that the system does not know', async () => {
    const { code, stderr } = await postern(['login', '--gateway', world.gateway.url, '--username', 'demo'], {
      stdin: PASSWORD,
    });
    expect(code).toBe(8);
    expect(stderr).toContain('not issued by a CA that this machine trusts');
    expect(stderr).toContain('--ca');
    expect(world.gateway.seen).toEqual([]);
  });

  it.each([
    ['another name', { san: 'DNS:elsewhere.example' }, 'not for this name'],
    [
      'a time that is over',
      { san: 'DNS:localhost', from: '20200101000000Z', until: '20210101000000Z' },
      'has expired',
    ],
    [
      'a time to come',
      { san: 'DNS:localhost', from: '20900101000000Z', until: '20910101000000Z' },
      'not valid yet',
    ],
  ])('is refused to a certificate for %s', async (_what, certificate, says) => {
    const gateway = await TestGateway.start(world.ca, makeServerCertificate(world.ca, certificate));
    try {
      expect(await refused(gateway, world.ca.caFile)).toContain(says);
    } finally {
      await gateway.stop();
    }
  });

  it('says that nothing listens, with what to do', async () => {
    const { url } = world.gateway;
    await world.gateway.stop();
    const { code, stderr } = await postern(
      ['login', '--gateway', url, '--ca', world.ca.caFile, '--username', 'demo'],
      { stdin: PASSWORD },
    );
    expect(code).toBe(8);
    expect(stderr).toContain('connection refused');
    expect(stderr).toContain('make run');
  });

  it.each([
    ['that is not there', 'nowhere.pem', 11, 'there is no such file'],
    ['that holds no certificate', 'text.pem', 2, 'not a certificate in PEM'],
    ['that is no CA', 'leaf.pem', 2, 'not that of a CA'],
  ])('is not given to a --ca file %s', async (_what, name, exit, says) => {
    const file = join(world.folder, name);
    if (name === 'text.pem') writeFileSync(file, 'hello');
    if (name === 'leaf.pem')
      writeFileSync(file, makeServerCertificate(world.ca, { san: 'DNS:localhost' }).cert);
    const { code, stderr } = await postern(
      ['login', '--gateway', world.gateway.url, '--ca', file, '--username', 'demo'],
      { stdin: PASSWORD },
    );
    expect(code).toBe(exit);
    expect(stderr).toContain(says);
  });
});
