import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  clean,
  leftBehind,
  listening,
  postern,
  SupervisorProcess,
  temporaryFolder,
  until,
} from './support/supervisor.js';

/** A broker boots in 4 to 10 s, several times that on a machine that is busy. */
const RUN_MS = 240_000;

describe('make run, from the first start to the second', () => {
  const home = temporaryFolder();
  const runs: SupervisorProcess[] = [];
  const start = (env: NodeJS.ProcessEnv = {}): SupervisorProcess => {
    const supervisor = new SupervisorProcess(home, env);
    runs.push(supervisor);
    return supervisor;
  };
  let first: SupervisorProcess;
  let password: string;

  beforeAll(async () => {
    first = start();
    await first.ready();
  }, RUN_MS);
  afterAll(() => clean(home, runs), RUN_MS);

  it('ends its start with a line that begins with "Postern is ready" and holds the HTTPS URL', () => {
    const last = first.lines(/^Postern is ready/);
    expect(last).toHaveLength(1);
    expect(last[0]).toContain(first.facts.url);
    expect(first.facts.url).toMatch(/^https:\/\/localhost:\d+$/);
  });

  it('shows the password of demo once, and keeps it nowhere in clear', () => {
    const shown = first.lines(/^ {2}[A-Za-z0-9_-]{20}$/);
    expect(shown).toHaveLength(1);
    password = shown[0]!.trim();
    const files = readdirSync(home, { recursive: true, encoding: 'utf8' }).map((name) => join(home, name));
    const holders = files.filter(
      (path) => statSync(path, { throwIfNoEntry: false })?.isFile() && readFileSync(path).includes(password),
    );
    expect(holders).toEqual([]);
  });

  it('keeps its state where only its user can look', () => {
    expect(statSync(first.dataDir).mode & 0o777).toBe(0o700);
    const secrets = readdirSync(join(first.dataDir, 'secrets'));
    expect(secrets.sort()).toEqual(['key', 'management.password', 'token.key']);
    for (const name of secrets)
      expect(statSync(join(first.dataDir, 'secrets', name)).mode & 0o777, name).toBe(0o600);
    for (const name of readdirSync(join(first.dataDir, 'tls')).filter((file) => file.includes('key')))
      expect(statSync(join(first.dataDir, 'tls', name)).mode & 0o777, name).toBe(0o600);
  });

  it('leaves the postern command logged in as demo, with a lamp that answers', async () => {
    expect((await postern(home, 'whoami')).stdout).toContain('demo');
    expect(await postern(home, 'gpio', 'set', 'lamp', '12', '1')).toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('12'),
    });
    expect((await postern(home, 'gpio', 'get', 'lamp', '12')).stdout.trim()).toBe('1');
    expect(first.output).toContain('lamp: Request set_gpio');
  });

  it('says what it is that this broker cannot do', () => {
    const { version } = first.facts.broker;
    expect(first.output).toContain(`RabbitMQ ${version}`);
    expect(first.lines(/Not on this release: MQTT 5/)).toHaveLength(/^3\.1[0-2]\./.test(version) ? 1 : 0);
  });

  it('refuses a second start on the same data folder with one sentence', async () => {
    const second = start();
    expect(await second.ended).toBe(1);
    expect(second.output.trim().split('\n')).toHaveLength(1);
    expect(second.output).toContain(`process ${first.facts.pid}`);
    expect(second.output).toContain('POSTERN_DATA_DIR');
    expect((await postern(home, 'gpio', 'get', 'lamp', '12')).exitCode).toBe(0);
  });

  it(
    'heals a gateway that was killed, and says so',
    async () => {
      const { pid } = first.facts.gateways[0]!;
      process.kill(pid!, 'SIGKILL');
      await until(() => first.lines(/^The gateway is back/).length === 1, 'the gateway');
      expect(first.lines(/^The gateway ended \(SIGKILL\)\. Starting it again in /)).toHaveLength(1);
      expect(first.facts.gateways[0]!.pid).not.toBe(pid);
      await eventually(async () => (await postern(home, 'gpio', 'get', 'lamp', '12')).stdout.trim() === '1');
    },
    RUN_MS,
  );

  it(
    'heals a lamp that was killed',
    async () => {
      process.kill(first.facts.lamp!.pid!, 'SIGKILL');
      await until(() => first.lines(/^The simulated lamp is back/).length === 1, 'the lamp');
      await eventually(async () => (await postern(home, 'gpio', 'set', 'lamp', '12', '1')).exitCode === 0);
    },
    RUN_MS,
  );

  it(
    'heals a broker that was killed, with its data; device and gateway find it again',
    async () => {
      const { pid } = first.facts.broker;
      process.kill(pid!, 'SIGKILL');
      await until(() => first.lines(/^The broker is back/).length === 1, 'the broker', RUN_MS);
      expect(first.facts.broker.pid).not.toBe(pid);
      await eventually(async () => (await postern(home, 'gpio', 'get', 'lamp', '12')).stdout.trim() === '1');
    },
    RUN_MS,
  );

  it(
    'ends everything at Ctrl-C, broker and epmd included',
    async () => {
      const { ports, broker } = first.facts;
      expect(await first.stop('SIGINT')).toBe(0);
      expect(first.output.trimEnd().split('\n').at(-1)).toBe('Stopped.');
      expect(leftBehind(home)).toEqual([]);
      expect(listening([...Object.values(ports), Number(new URL(broker.managementUrl).port)])).toEqual([]);
      expect(readdirSync(first.dataDir)).not.toContain('stack.json');
      expect(readdirSync(first.dataDir)).not.toContain('supervisor.lock');
    },
    RUN_MS,
  );

  it(
    'keeps user, device and certificates over a second run, and shows no password',
    async () => {
      const root = readFileSync(join(first.dataDir, 'ca', 'rootca.pem'), 'utf8');
      const second = start();
      const { url } = await second.ready();
      expect(second.output).not.toContain(password);
      expect(second.lines(/^ {2}[A-Za-z0-9_-]{20}$|shown this once/)).toEqual([]);
      expect(readFileSync(join(first.dataDir, 'ca', 'rootca.pem'), 'utf8')).toBe(root);
      expect((await postern(home, 'gpio', 'set', 'lamp', '3', '1')).exitCode).toBe(0);
      expect((await postern(home, 'whoami')).stdout).toContain(url);
      // For the test after this one.
      expect((await postern(home, 'logout')).exitCode).toBe(0);
      expect(await second.stop('SIGTERM')).toBe(0);
      expect(leftBehind(home)).toEqual([]);
    },
    RUN_MS,
  );

  it(
    'starts the lamp also when the login has ended, and then says how to log in',
    async () => {
      const third = start();
      await third.ready();
      expect(third.output).toContain('npx postern login --username demo');
      expect(third.output).toContain('lamp: Connected');
      expect(await third.stop('SIGHUP')).toBe(0);
      expect(leftBehind(home)).toEqual([]);
    },
    RUN_MS,
  );
});

async function eventually(condition: () => Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) if (Date.now() > deadline) throw new Error('It did not come true in time');
}
