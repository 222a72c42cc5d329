import { readFileSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { request } from 'node:https';
import { connect as netConnect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect, type ConnectionOptions } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceProcess, saveDevice } from './support/device.js';
import { ApiUser, FlatUser, type Client, type FlatDevice } from './support/http.js';
import { Stack } from './support/stack.js';
import { until } from './support/wait.js';

/** What can be reached from outside, and what can be read by others: sockets, TLS, logs, arguments, files. */
let stack: Stack;
let client: Client;
let user: FlatUser;
let device: FlatDevice;

beforeAll(async () => {
  // As it is for users: on every interface. And as talkative as it gets.
  stack = await Stack.start({ POSTERN_BIND_ADDRESS: '0.0.0.0', POSTERN_LOG_LEVEL: 'trace' });
  client = stack.client();
  user = await FlatUser.signUp(client);
  device = await user.register('lamp');
});
afterAll(async () => {
  client?.close();
  await stack?.stop();
});

/** The processes of this stack: those that were started with its folder in their environment or arguments. */
function processes(): { pid: number; cmdline: string }[] {
  const found = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      const cmdline = readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const environ = readFileSync(`/proc/${name}/environ`, 'utf8');
      if (cmdline.includes(stack.dir) || environ.includes(stack.dir))
        found.push({ pid: Number(name), cmdline });
    } catch {
      // It has ended, or is somebody else's.
    }
  }
  return found;
}

interface Listener {
  readonly address: string;
  readonly port: number;
  readonly inode: string;
}
/** All listening TCP sockets (state 0A); addresses as /proc spells them, in hex. */
function listeners(): Listener[] {
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A')
      .map((fields) => {
        const [address = '', port = ''] = fields[1]!.split(':');
        return { address, port: parseInt(port, 16), inode: fields[9]! };
      }),
  );
}
const LOOPBACK = /^(0100007F|00000000000000000000000001000000|0000000000000000FFFF00000100007F)$/;

function ownListeners(): Listener[] {
  const inodes = new Set(
    processes().flatMap(({ pid }) => {
      try {
        return readdirSync(`/proc/${pid}/fd`).map((fd) => {
          try {
            return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? '';
          } catch {
            return '';
          }
        });
      } catch {
        return [];
      }
    }),
  );
  return listeners().filter(({ inode }) => inodes.has(inode));
}

const publicPorts = (): number[] => Object.values(stack.facts.ports).sort((one, other) => one - other);

describe('what listens', () => {
  it('off loopback is the three TLS listeners and nothing else', () => {
    const own = ownListeners();
    // Broker, management, epmd and the rest are seen, or this test would see nothing at all.
    expect(own.filter(({ address }) => LOOPBACK.test(address)).length).toBeGreaterThanOrEqual(3);
    const open = [...new Set(own.filter(({ address }) => !LOOPBACK.test(address)).map(({ port }) => port))];
    expect(open.sort((one, other) => one - other)).toEqual(publicPorts());
  });

  it('is not to be had by the address of this machine, but for these three', async () => {
    const address = Object.values(networkInterfaces())
      .flat()
      .find((each) => each && !each.internal && each.family === 'IPv4')?.address;
    // A machine without a network has no such address: then the test above has said it all.
    if (!address) return;
    const open = (port: number): Promise<boolean> =>
      new Promise((resolve) => {
        const socket = netConnect({ host: address, port });
        socket.once('connect', () => (socket.destroy(), resolve(true)));
        socket.once('error', () => resolve(false));
      });
    for (const port of new Set(ownListeners().map((each) => each.port)))
      expect([port, await open(port)]).toEqual([port, publicPorts().includes(port)]);
  });

  it('speaks TLS alone', async () => {
    for (const port of publicPorts()) {
      const heard = await new Promise<string>((resolve) => {
        let text = '';
        const socket = netConnect({ host: '127.0.0.1', port }, () =>
          socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n'),
        );
        socket.on('data', (chunk) => (text += chunk.toString('latin1')));
        socket.on('error', () => {});
        socket.on('close', () => resolve(text));
      });
      // At most an alert (record type 21), in clear.
      expect([port, heard === '' || heard.charCodeAt(0) === 21]).toEqual([port, true]);
    }
  });
});

describe('TLS', () => {
  /** `connected`, or what ended the handshake. SECLEVEL=0, so that it is the server that refuses and not we. */
  const handshake = (port: number, options: ConnectionOptions): Promise<string> =>
    new Promise((resolve) => {
      const socket = tlsConnect({
        ...{ host: 'localhost', port, ca: stack.ca, cert: device.devicecert, key: device.devicepkey },
        ...options,
        ciphers: `${options.ciphers ?? 'DEFAULT'}:@SECLEVEL=0`,
      });
      socket.once('secureConnect', () => {
        resolve(`connected ${socket.getProtocol()}`);
        socket.destroy();
      });
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });

  it('is 1.2 and 1.3, on each listener', async () => {
    for (const port of publicPorts()) {
      for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
        expect(await handshake(port, { minVersion: version, maxVersion: version })).toBe(
          `connected ${version}`,
        );
      for (const version of ['TLSv1', 'TLSv1.1'] as const)
        expect([port, await handshake(port, { minVersion: version, maxVersion: version })]).toEqual([
          port,
          // The alert is the server's.
          expect.stringMatching(/ALERT|ECONNRESET|UNSUPPORTED_PROTOCOL/),
        ]);
    }
  });

  it('is forward-secret and authenticated encryption, on each listener', async () => {
    const use = (ciphers: string): ConnectionOptions => ({ maxVersion: 'TLSv1.2', ciphers });
    for (const port of publicPorts()) {
      expect(await handshake(port, use('ECDHE-ECDSA-AES128-GCM-SHA256'))).toBe('connected TLSv1.2');
      for (const weak of [
        ...['ECDHE-ECDSA-AES128-SHA', 'ECDHE-ECDSA-AES256-SHA384', 'ECDHE-ECDSA-AES128-SHA256'],
        ...['AES128-SHA', 'AES128-GCM-SHA256', 'AES256-SHA256', 'AECDH-AES128-SHA', 'ECDHE-ECDSA-NULL-SHA'],
      ])
        expect([port, weak, await handshake(port, use(weak))]).toEqual([
          port,
          weak,
          expect.stringMatching(/ALERT|ECONNRESET/),
        ]);
    }
  });
});

describe('the listener on which the broker asks who may do what', () => {
  const ask = (credential: { cert?: string; key?: string }): Promise<string> =>
    new Promise((resolve) => {
      const body = 'username=postern-gateway';
      const sent = request(
        {
          ...{ host: '127.0.0.1', servername: 'localhost', port: stack.facts.gateways[0]!.brokerAuthPort },
          ...{ method: 'POST', path: '/v3/user', ca: stack.ca, agent: false, ...credential },
          headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': body.length },
        },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => (text += chunk.toString()));
          response.on('end', () => resolve(`${response.statusCode} ${text}`));
        },
      );
      sent.on('error', (error) => resolve(error.message));
      sent.end(body);
    });
  const tls = (name: string): { cert: string; key: string } => ({
    cert: readFileSync(join(stack.dataDir, `tls/${name}.pem`), 'utf8'),
    key: readFileSync(join(stack.dataDir, `tls/${name}.key.pem`), 'utf8'),
  });

  it('answers the broker, and nobody else', async () => {
    expect(await ask(tls('broker-client'))).toBe('200 allow');
    expect(await ask(tls('gateway'))).toBe('403 ');
    expect(await ask({ cert: device.devicecert, key: device.devicepkey })).toBe('403 ');
    expect(await ask({})).toMatch(/certificate|alert|ECONNRESET|hang up/i);
  });
});

describe('what is secret', () => {
  it('is in no log and no argument, after logins, registrations, calls and errors', async () => {
    const secrets = new Map<string, string>([
      ['password', user.password],
      ['flat secret', user.secret],
      ['MQTT password', device.password],
      // A line from its middle.
      ['device key', device.devicepkey.split('\n')[1]!],
    ]);
    const api = new ApiUser(client, user.username, user.password);
    await api.logIn();
    secrets.set('access token', api.accessToken).set('first refresh token', api.refreshToken);
    const refreshed = await client.send('POST', '/api/v1/auth/refresh', { refreshToken: api.refreshToken });
    expect(refreshed.status).toBe(200);
    secrets.set('refresh token', refreshed.json.refreshToken).set('next token', refreshed.json.accessToken);
    const issued = await api.call('POST', 'devices', { name: 'new style' });
    expect(issued.status).toBe(201);
    secrets.set('key of /api/v1', issued.json.privateKeyPem.split('\n')[1]);
    const renewed = await api.call('POST', 'devices/lamp/certificates/renew', {});
    secrets.set('renewed key', renewed.json.privateKeyPem.split('\n')[1]);

    // Errors quote what was wrong: not if it is a secret.
    const wrong = 'wrong-password-1';
    const stray = 'stray-secret-000';
    secrets.set('wrong password', wrong).set('stray secret', stray);
    await client.send('POST', '/login', { username: user.username, password: wrong });
    await client.send('POST', '/api/v1/auth/login', { username: user.username, password: wrong });
    await client.send('POST', '/api/v1/auth/signup', { username: user.username, password: wrong });
    await client.send('POST', '/login', `{"username":"x","password":"${stray}"`);
    await client.send('POST', '/signup', { username: 'no spaces', password: stray });
    await client.send('GET', '/get_device_list', { username: user.username, secret: stray });
    await client.send('GET', '/api/v1/devices', undefined, { authorization: `Bearer ${stray}` });
    await client.send('POST', '/api/v1/auth/refresh', { refreshToken: stray });

    // A device that logs in by its password, rightly and wrongly.
    const files = saveDevice(stack, device);
    const old = ['--style', 'old', '--username', files.id, '--password-file'];
    const right = new DeviceProcess(stack, files, [...old, files.passwordFile]);
    await right.connected();
    await user.call('GET', '/get_mac', { devicename: 'lamp' });
    await right.stop();

    for (const name of readdirSync(join(stack.dataDir, 'secrets')))
      secrets.set(`file ${name}`, readFileSync(join(stack.dataDir, 'secrets', name), 'utf8').trim());
    // The gateway writes its log in blocks, at least once a second.
    const last = await client.send('GET', '/healthz');
    const gatewayLog = join(stack.dataDir, 'logs/gateway.log');
    await until('the log is written', () =>
      readFileSync(gatewayLog, 'utf8').includes(String(last.headers['x-request-id'])),
    );
    const places = new Map<string, string>([['what the terminal shows', stack.output]]);
    for (const name of readdirSync(stack.dataDir, { recursive: true, encoding: 'utf8' }))
      if (/\.log(\.\d+)?$/.test(name)) places.set(name, readFileSync(join(stack.dataDir, name), 'utf8'));
    // The gateway's and the broker's at least, or there was nothing to search.
    expect(places.size).toBeGreaterThanOrEqual(3);
    expect(places.get('logs/gateway.log')).toContain('/api/v1/auth/login');
    for (const { pid, cmdline } of processes())
      places.set(`arguments of ${pid}: ${cmdline.slice(0, 80)}`, cmdline);

    const found = [];
    for (const [place, text] of places) {
      for (const [name, secret] of secrets) if (text.includes(secret)) found.push(`${name} in ${place}`);
      if (text.includes('PRIVATE KEY')) found.push(`a private key in ${place}`);
    }
    expect(found).toEqual([]);
  });

  it('is in files of mode 0600, in folders of mode 0700', () => {
    const wrong: string[] = [];
    const keys: string[] = [];
    const look = (path: string): void => {
      const stat = statSync(path);
      const mode = (stat.mode & 0o777).toString(8);
      if (stat.isDirectory()) {
        // What RabbitMQ makes inside of its database is closed by the folder's own mode.
        if (stat.mode & 0o077 && !path.includes('/broker/database/')) wrong.push(`${mode} ${path}`);
        for (const name of readdirSync(path)) look(join(path, name));
      } else if (stat.isFile() && stat.size < 1_000_000) {
        const isSecret =
          /\/secrets\/|erlang\.cookie$/.test(path) ||
          readFileSync(path, 'latin1').includes('PRIVATE KEY-----');
        if (!isSecret) return;
        keys.push(path);
        if (stat.mode & 0o177) wrong.push(`${mode} ${path}`);
      }
    };
    look(stack.dataDir);
    // Root, issuing CA, five servers and clients, and the secrets.
    expect(keys.length).toBeGreaterThanOrEqual(10);
    expect(wrong).toEqual([]);
  });
});
