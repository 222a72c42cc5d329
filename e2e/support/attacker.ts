import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as tlsConnect } from 'node:tls';
import amqplib, { type ChannelModel } from 'amqplib';
import type { Stack } from './stack.js';

/** What somebody shows the broker's TLS; null: nothing. */
export type Credential = { readonly cert: string; readonly key: string } | null;

export type MqttVersion = '3.1' | '3.1.1' | '5';

export interface MqttLogin {
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  readonly version?: MqttVersion;
}

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
};

/** A CONNECT packet (MQTT-3.1), byte by byte: client libraries leave out an empty password. */
export function connectPacket({ clientId, username, password, version = '3.1.1' }: MqttLogin): Buffer {
  const flags = 0x02 | (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  const rest = Buffer.concat([
    text(version === '3.1' ? 'MQIsdp' : 'MQTT'),
    Buffer.from([{ '3.1': 3, '3.1.1': 4, '5': 5 }[version], flags, 0, 30]),
    version === '5' ? Buffer.from([0]) : Buffer.alloc(0),
    text(clientId),
    username === undefined ? Buffer.alloc(0) : text(username),
    password === undefined ? Buffer.alloc(0) : text(password),
  ]);
  const length = rest.length < 128 ? [rest.length] : [(rest.length & 0x7f) | 0x80, rest.length >> 7];
  return Buffer.concat([Buffer.from([0x10, ...length]), rest]);
}

/** `session`, or why there is none. */
export function mqttLogin(stack: Stack, credential: Credential, login: MqttLogin): Promise<string> {
  return new Promise((resolve, reject) => {
    let outcome = 'the broker hung up';
    const socket = tlsConnect({
      host: 'localhost',
      port: stack.facts.ports.mqtts,
      servername: 'localhost',
      ca: stack.ca,
      ...(credential ?? {}),
    });
    const timer = setTimeout(() => {
      socket.destroy();
      reject(new Error('the broker neither answered nor hung up'));
    }, 15_000);
    socket.on('secureConnect', () => socket.write(connectPacket(login)));
    socket.on('data', (packet: Buffer) => {
      // CONNACK: type, length, flags, code.
      outcome = packet[0] === 0x20 && packet[3] === 0 ? 'session' : `code ${packet[3]}`;
      socket.destroy();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => (outcome = `TLS: ${error.code ?? error.message}`));
    socket.on('close', () => {
      clearTimeout(timer);
      resolve(outcome);
    });
  });
}

export async function amqpConnect(
  stack: Stack,
  credential: Credential,
  options: { readonly plain?: { readonly username: string; readonly password: string } } = {},
): Promise<ChannelModel> {
  const connection = await amqplib.connect(
    { protocol: 'amqps', hostname: 'localhost', port: stack.facts.ports.amqps, heartbeat: 0 },
    {
      ca: [Buffer.from(stack.ca)],
      ...(credential ?? {}),
      credentials: options.plain
        ? amqplib.credentials.plain(options.plain.username, options.plain.password)
        : amqplib.credentials.external(),
      timeout: 15_000,
    },
  );
  connection.on('error', () => {});
  return connection;
}

/** `session`, or why there is none. */
export async function amqpLogin(
  stack: Stack,
  credential: Credential,
  options: Parameters<typeof amqpConnect>[2] = {},
): Promise<string> {
  try {
    const connection = await amqpConnect(stack, credential, options);
    await connection.close();
    return 'session';
  } catch (error) {
    return (error as Error).message || String(error);
  }
}

/** openssl with files in a folder that is gone afterwards. */
function withOpenssl<T>(work: (openssl: (...args: string[]) => void, folder: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'postern-e2e-pki-'));
  try {
    return work((...args) => void execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' }), folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const leafExtensions = (deviceId: string): string =>
  [
    'basicConstraints=critical,CA:FALSE',
    'keyUsage=critical,digitalSignature',
    'extendedKeyUsage=clientAuth',
    `subjectAltName=DNS:${deviceId}`,
  ].join('\n');

const newKey = ['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

/** A leaf for a device, as of a CA that calls itself like ours. */
export function foreignLeaf(deviceId: string, caName: string): NonNullable<Credential> {
  return withOpenssl((openssl, folder) => {
    writeFileSync(join(folder, 'leaf.ext'), leafExtensions(deviceId));
    openssl(
      ...newKey,
      '-x509',
      '-keyout',
      'ca.key',
      '-out',
      'ca.pem',
      '-days',
      '2',
      '-subj',
      `/CN=${caName}`,
    );
    openssl(...newKey, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', `/CN=${deviceId}`);
    openssl(
      ...['x509', '-req', '-in', 'leaf.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-set_serial', '77'],
      ...['-days', '1', '-extfile', 'leaf.ext', '-out', 'leaf.pem'],
    );
    const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
    return { cert: read('leaf.pem') + read('ca.pem'), key: read('leaf.key') };
  });
}

/** A leaf by our own issuing CA, made by hand with its key, with the dates that are asked for (`YYYYMMDDHHMMSSZ`). */
export function ownLeaf(
  stack: Stack,
  deviceId: string,
  dates: { readonly from: string; readonly to: string },
): NonNullable<Credential> {
  const ca = join(stack.dataDir, 'ca');
  return withOpenssl((openssl, folder) => {
    writeFileSync(join(folder, 'index.txt'), '');
    writeFileSync(join(folder, 'leaf.ext'), leafExtensions(deviceId));
    writeFileSync(
      join(folder, 'ca.cnf'),
      `[ca]\ndefault_ca=issuing\n[issuing]\ndatabase=index.txt\nnew_certs_dir=.\nrand_serial=yes\ndefault_md=sha256\npolicy=any\n[any]\ncommonName=supplied\n`,
    );
    openssl(...newKey, '-keyout', 'leaf.key', '-out', 'leaf.csr', '-subj', `/CN=${deviceId}`);
    openssl(
      ...['ca', '-batch', '-notext', '-config', 'ca.cnf', '-in', 'leaf.csr', '-out', 'leaf.pem'],
      ...['-cert', join(ca, 'issuing.pem'), '-keyfile', join(ca, 'issuing.key.pem')],
      ...['-passin', `file:${join(stack.dataDir, 'secrets/key')}`, '-extfile', 'leaf.ext'],
      ...['-startdate', dates.from, '-enddate', dates.to],
    );
    const leaf = readFileSync(join(folder, 'leaf.pem'), 'utf8');
    return {
      cert: leaf + readFileSync(join(ca, 'issuing.pem'), 'utf8'),
      key: readFileSync(join(folder, 'leaf.key'), 'utf8'),
    };
  });
}
