import { execFileSync } from 'node:child_process';
import { X509Certificate, createPrivateKey, createPublicKey } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LAUNCHER, ended } from './support/cli.js';
import { onTerminal } from './support/pty.js';
import { World } from './support/world.js';

let world: World;
beforeAll(async () => {
  world = await World.make();
  await world.login();
});
afterAll(() => world.dispose());
beforeEach(() => {
  world.gateway.devices.length = 0;
  world.gateway.seen.length = 0;
  world.gateway.faults.length = 0;
  for (const name of ['lamp', 'other'])
    rmSync(join(world.shell.home, name), { recursive: true, force: true });
});

const postern = (...args: string[]) => world.shell.run(args);
const file = (...parts: string[]): string => join(world.shell.home, ...parts);
const text = (...parts: string[]): string => readFileSync(file(...parts), 'utf8');
const FILES = ['certificate.pem', 'chain.pem', 'device.json', 'key.pem', 'rootca.pem'];
const isPair = (folder: string): boolean =>
  new X509Certificate(text(folder, 'certificate.pem')).checkPrivateKey(
    createPrivateKey(text(folder, 'key.pem')),
  );

describe('device register', () => {
  it('makes the key here and writes all that the device needs, for its owner alone', async () => {
    const { code, stdout, stderr } = await postern('device', 'register', 'lamp');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(readdirSync(file('lamp')).sort()).toEqual(FILES);
    for (const name of FILES) expect(statSync(file('lamp', name)).mode & 0o777).toBe(0o600);
    expect(statSync(file('lamp')).mode & 0o777).toBe(0o700);
    expect(isPair('lamp')).toBe(true);
    const { id } = world.gateway.devices[0]!;
    expect(JSON.parse(text('lamp', 'device.json'))).toEqual({
      deviceId: id,
      name: 'lamp',
      mqtts: { host: 'localhost', port: 8883 },
      amqps: { host: 'localhost', port: 5671 },
    });
    execFileSync('openssl', [
      'verify',
      '-CAfile',
      file('lamp', 'rootca.pem'),
      file('lamp', 'certificate.pem'),
    ]);
    // The request went out, the key did not.
    const [sent] = world.gateway.seen.filter(({ method }) => method === 'POST');
    expect(sent?.body).toEqual({ name: 'lamp', csr: expect.stringContaining('BEGIN CERTIFICATE REQUEST') });
    expect(JSON.stringify(world.gateway.seen.map(({ body }) => body))).not.toContain('PRIVATE KEY');
    expect(stdout).not.toContain('PRIVATE KEY');
    expect(stdout).toContain(
      `mosquitto_sub -h localhost -p 8883 --cafile lamp/rootca.pem --cert lamp/chain.pem --key lamp/key.pem -i ${id} -t '${id}/#'`,
    );
    expect(stdout).toContain('npx postern-simulator --dir lamp');
  });

  it.each([
    ['ec-p256', 'ec'],
    ['rsa-2048', 'rsa'],
  ])('makes a key of type %s', async (type, kind) => {
    expect((await postern('device', 'register', 'lamp', '--key-type', type)).code).toBe(0);
    const key = createPublicKey(
      new X509Certificate(text('lamp', 'certificate.pem')).publicKey.export({ type: 'spki', format: 'pem' }),
    );
    expect(key.asymmetricKeyType).toBe(kind);
    expect(isPair('lamp')).toBe(true);
  });

  it('takes a request whose key is elsewhere', async () => {
    mkdirSync(file('other'));
    execFileSync(
      'openssl',
      [
        'req',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-subj',
        '/CN=x',
        '-keyout',
        file('other', 'key.pem'),
        '-out',
        file('other', 'it.csr'),
      ],
      { stdio: 'ignore' },
    );
    const key = text('other', 'key.pem');
    const { code, stdout } = await postern(
      'device',
      'register',
      'lamp',
      '--csr',
      'other/it.csr',
      '--out',
      'other',
      '--json',
    );
    expect(code).toBe(0);
    expect(text('other', 'key.pem')).toBe(key);
    expect(isPair('other')).toBe(true);
    expect(JSON.parse(stdout)).toMatchObject({
      files: { certificate: file('other', 'certificate.pem') },
      device: { name: 'lamp' },
    });
    expect(Object.keys((JSON.parse(stdout) as { files: object }).files)).not.toContain('key');
  });

  it('lets the gateway make the key when it is told to, and prints it nowhere', async () => {
    const { code, stdout } = await postern(
      'device',
      'register',
      'lamp',
      '--gateway-key',
      '--key-type',
      'rsa-2048',
      '--json',
    );
    expect(code).toBe(0);
    expect(world.gateway.seen[0]?.body).toEqual({ name: 'lamp', keyType: 'rsa-2048' });
    expect(isPair('lamp')).toBe(true);
    expect(stdout).not.toContain('PRIVATE KEY');
  });

  it('does not write over files, and looks before it registers', async () => {
    await postern('device', 'register', 'lamp');
    const before = text('lamp', 'key.pem');
    world.gateway.seen.length = 0;
    const { code, stderr } = await postern('device', 'register', 'other', '--out', 'lamp');
    expect(code).toBe(11);
    expect(stderr).toContain('--force');
    expect(world.gateway.seen).toEqual([]);
    expect(text('lamp', 'key.pem')).toBe(before);
    // With --force the files that were there are moved, not lost.
    const forced = await postern('device', 'register', 'other', '--out', 'lamp', '--force', '--json');
    expect(forced.code).toBe(0);
    const { movedTo } = JSON.parse(forced.stdout) as { movedTo: string };
    expect(readFileSync(join(movedTo, 'key.pem'), 'utf8')).toBe(before);
    expect(isPair('lamp')).toBe(true);
  });

  it('leaves nothing behind when the gateway refuses', async () => {
    world.gateway.addDevice('demo', 'lamp');
    const { code, stderr } = await postern('device', 'register', 'lamp');
    expect(code).toBe(9);
    expect(stderr).toContain('postern device renew lamp');
    expect(existsSync(file('lamp'))).toBe(false);
  });

  it('keeps the key where it is not known whether a certificate was issued', async () => {
    for (const _ of [1, 2])
      world.gateway.faults.push((request) => {
        request.socket.destroy();
        return true;
      });
    const { code, stderr } = await postern('device', 'register', 'lamp');
    expect(code).toBe(8);
    expect(stderr).toContain(file('lamp', 'key.pem.new'));
    expect(text('lamp', 'key.pem.new')).toContain('PRIVATE KEY');
    const again = await postern('device', 'register', 'lamp');
    expect(again.code).toBe(11);
    expect(again.stderr).toContain('cut short');
  });

  it('says how to get a new certificate where its files cannot be written', async () => {
    // While the gateway works, the folder turns into a file: also root cannot write into that.
    world.gateway.faults.push(() => {
      rmSync(file('lamp'), { recursive: true });
      writeFileSync(file('lamp'), '');
      return false;
    });
    const { code, stdout, stderr } = await postern('device', 'register', 'lamp');
    expect({ code, stdout }).toEqual({ code: 11, stdout: '' });
    const { serial } = world.gateway.devices[0]!.certificates[0]!;
    expect(stderr).toContain(`The certificate ${serial} of lamp is issued`);
    expect(stderr).toContain('postern device renew lamp --out <folder> --drop-old');
    // And that works.
    expect((await postern('device', 'renew', 'lamp', '--out', 'other', '--drop-old')).code).toBe(0);
    expect(isPair('other')).toBe(true);
    expect(world.gateway.devices[0]!.certificates.map(({ state }) => state)).toEqual(['active', 'revoked']);
  });

  it('excludes options that contradict each other', async () => {
    for (const [args, says] of [
      [['--csr', 'x', '--gateway-key'], 'exclude each other'],
      [['--csr', 'x', '--key-type', 'rsa-2048'], 'made already'],
      [['--key-type', 'dsa'], 'ec-p256, rsa-2048'],
    ] as const) {
      const { code, stderr } = await postern('device', 'register', 'lamp', ...args);
      expect(code).toBe(2);
      expect(stderr).toContain(says);
    }
    expect(existsSync(file('lamp'))).toBe(false);
  });
});

describe('device renew and revoke', () => {
  it('renews with a new key, keeps the old files and the old certificate, and drops that on demand', async () => {
    await postern('device', 'register', 'lamp');
    const old = { key: text('lamp', 'key.pem'), serial: world.gateway.devices[0]!.certificates[0]!.serial };
    const first = await postern('device', 'renew', 'lamp');
    expect(first.code).toBe(0);
    expect(isPair('lamp')).toBe(true);
    expect(text('lamp', 'key.pem')).not.toBe(old.key);
    expect(text('lamp', `previous-${old.serial}`, 'key.pem')).toBe(old.key);
    expect((await postern('device', 'certificates', 'lamp')).stdout.match(/ active /g)).toHaveLength(2);

    const second = await postern('device', 'renew', 'lamp', '--drop-old', '--json');
    expect((JSON.parse(second.stdout) as { dropped: string[] }).dropped).toHaveLength(2);
    const states = world.gateway.devices[0]!.certificates.map(
      ({ state, reason }) => `${state} ${reason ?? ''}`,
    );
    expect(states).toEqual(['active ', 'revoked superseded', 'revoked superseded']);
  });

  it('renews with the same key on demand', async () => {
    await postern('device', 'register', 'lamp');
    const key = text('lamp', 'key.pem');
    expect((await postern('device', 'renew', 'lamp', '--same-key')).code).toBe(0);
    expect(text('lamp', 'key.pem')).toBe(key);
    expect(isPair('lamp')).toBe(true);
  });

  it('does not write over files of no device that it knows, but moves them with --force', async () => {
    await postern('device', 'register', 'lamp');
    rmSync(file('lamp', 'device.json'));
    const key = text('lamp', 'key.pem');
    const { code, stderr } = await postern('device', 'renew', 'lamp');
    expect(code).toBe(11);
    expect(stderr).toContain('--force');
    expect(text('lamp', 'key.pem')).toBe(key);
    const forced = await postern('device', 'renew', 'lamp', '--force', '--json');
    expect(forced.code).toBe(0);
    const { movedTo } = JSON.parse(forced.stdout) as { movedTo: string };
    expect(readFileSync(join(movedTo, 'key.pem'), 'utf8')).toBe(key);
    expect(isPair('lamp')).toBe(true);
  });

  it("does not mix one device's files with another's", async () => {
    await postern('device', 'register', 'lamp');
    world.gateway.addDevice('demo', 'other');
    const { code, stderr } = await postern('device', 'renew', 'other', '--out', 'lamp');
    expect(code).toBe(11);
    expect(stderr).toContain('another device');
  });

  it('revokes the only certificate, and asks which where there are more', async () => {
    await postern('device', 'register', 'lamp');
    await postern('device', 'renew', 'lamp');
    const [newer, older] = world.gateway.devices[0]!.certificates.map(({ serial }) => serial);
    const which = await postern('device', 'revoke', 'lamp');
    expect(which.code).toBe(2);
    expect(which.stderr).toContain(`postern device revoke lamp ${older}`);
    const one = await postern('device', 'revoke', 'lamp', older!.toUpperCase(), '--reason', 'keyCompromise');
    expect(one).toMatchObject({ code: 0, stdout: `Revoked ${older} of lamp.\n` });
    const last = await postern('device', 'revoke', 'lamp');
    expect(last.stdout).toContain(`Revoked ${newer}`);
    expect(last.stdout).toContain('postern device renew lamp');
    expect((await postern('device', 'revoke', 'lamp', older!)).code).toBe(9);
    expect((await postern('device', 'revoke', 'lamp', 'abcd')).code).toBe(4);
  });
});

describe('device list and show', () => {
  it('shows aligned columns, all pages, over one connection', async () => {
    world.gateway.pageSize = 2;
    try {
      for (const name of ['attic', 'a very long name of a device', 'cellar'])
        world.gateway.addDevice('demo', name, name !== 'attic');
      const { stdout } = await postern('device', 'list');
      const lines = stdout.trimEnd().split('\n');
      expect(lines).toHaveLength(4);
      expect(lines[0]).toMatch(/^NAME +STATE +LAST SEEN +TRANSPORT +ADDRESS +ID$/);
      const column = lines[0]!.indexOf('STATE');
      expect(lines.slice(1).map((line) => line.slice(column).split(' ')[0])).toEqual([
        'connected',
        'never',
        'connected',
      ]);
      expect(stdout).not.toContain('\u001b');
      expect(new Set(world.gateway.seen.map(({ socket }) => socket)).size).toBe(1);
      const json = JSON.parse((await postern('device', 'list', '--json')).stdout) as {
        devices: { name: string }[];
        nextCursor: null;
      };
      expect(json.devices.map(({ name }) => name)).toEqual([
        'a very long name of a device',
        'attic',
        'cellar',
      ]);
      expect(json.nextCursor).toBeNull();
      const some = JSON.parse((await postern('device', 'list', '--json', '--limit', '1')).stdout) as {
        nextCursor: string;
      };
      const rest = await postern('device', 'list', '--json', '--cursor', some.nextCursor);
      expect((JSON.parse(rest.stdout) as { devices: object[] }).devices).toHaveLength(2);
    } finally {
      world.gateway.pageSize = 200;
    }
  });

  it('says so where there are none', async () => {
    const { code, stdout, stderr } = await postern('device', 'list');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain('postern device register');
  });

  it('is coloured on a terminal and cut at its width, and not coloured with NO_COLOR', async () => {
    world.gateway.addDevice('demo', 'lamp');
    const argv = [process.execPath, LAUNCHER, 'device', 'list'];
    const coloured = await onTerminal(world.shell, { argv, steps: [] });
    expect(coloured.transcript).toContain('\u001b[32mconnected');
    const plain = await onTerminal(world.shell, { argv, steps: [], env: { NO_COLOR: '1' } });
    expect(plain.transcript).not.toContain('\u001b');
    for (const line of plain.transcript.trimEnd().split('\r\n')) expect(line.length).toBeLessThanOrEqual(80);
  });

  it('ends quietly when the reader goes away', async () => {
    for (let n = 0; n < 50; n += 1) world.gateway.addDevice('demo', `device ${n}`);
    const child = world.shell.start(['device', 'list']);
    const end = ended(child);
    child.stdout?.destroy();
    expect(await end).toMatchObject({ code: 0, stderr: '' });
  });

  it('shows one device', async () => {
    const { id } = world.gateway.addDevice('demo', 'lamp');
    const { stdout } = await postern('device', 'show', 'lamp');
    expect(stdout).toContain(`id         ${id}\n`);
    expect(stdout).toContain('transport  MQTT 3.1.1 (protocol 2)\n');
  });
});

describe('device remove', () => {
  it('asks on a terminal, and does not where there is none', async () => {
    world.gateway.addDevice('demo', 'lamp');
    const argv = [process.execPath, LAUNCHER, 'device', 'remove', 'lamp'];
    const no = await onTerminal(world.shell, { argv, steps: [{ expect: '[y/N]', send: '\r' }] });
    expect(no.code).toBe(130);
    expect(world.gateway.devices).toHaveLength(1);
    const yes = await onTerminal(world.shell, { argv, steps: [{ expect: '[y/N]', send: 'y\r' }] });
    expect(yes.code).toBe(0);
    expect(world.gateway.devices).toHaveLength(0);
    world.gateway.addDevice('demo', 'lamp');
    expect((await postern('device', 'remove', 'lamp')).code).toBe(0);
    expect((await postern('device', 'remove', 'lamp')).code).toBe(4);
  });
});
