import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveDevice } from './support/device.js';
import { ApiUser, type Client, type FlatDevice } from './support/http.js';
import { LineProcess } from './support/line-process.js';
import { ROOT, Stack } from './support/stack.js';
import { until } from './support/wait.js';

/** Debian's, which has its packages; a Python that comes first in PATH has not. */
const PYTHON = '/usr/bin/python3';
const script = (name: string): string => join(ROOT, 'e2e/python', name);

interface FlatAnswer {
  readonly status: number;
  readonly body: any; // eslint-disable-line @typescript-eslint/no-explicit-any -- a test reads whatever came
  /** Our end of the connection: the same as long as it is the same connection. */
  readonly port: number;
  readonly problem?: string;
}

/** flat_client.py: one http.client connection object for all of its calls. */
class PythonClient {
  private readonly process: LineProcess;
  private sent = 0;
  username = '';
  secret = '';

  constructor(stack: Stack) {
    const url = new URL(stack.facts.url);
    this.process = new LineProcess(stack, PYTHON, [
      script('flat_client.py'),
      ...['--host', url.hostname, '--port', url.port, '--ca', stack.facts.caFile],
    ]);
  }

  private async command(command: object, timeoutMs = 35_000): Promise<FlatAnswer> {
    this.process.write(JSON.stringify(command));
    return JSON.parse(await this.process.line(/^/, { count: ++this.sent, timeoutMs })) as FlatAnswer;
  }

  async send(method: string, path: string, body: object): Promise<FlatAnswer> {
    const answer = await this.command({ method, path, body });
    if (answer.status < 0) throw new Error(`${method} ${path}: ${answer.problem}`);
    return answer;
  }

  call(method: 'GET' | 'POST', path: string, fields: object = {}): Promise<FlatAnswer> {
    return this.send(method, path, { username: this.username, secret: this.secret, ...fields });
  }

  async pause(seconds: number): Promise<void> {
    await this.command({ pause: seconds }, (seconds + 30) * 1_000);
  }

  stop(): Promise<void> {
    return this.process.stop();
  }
}

let stack: Stack;
let client: Client;
let python: PythonClient;
let apiUser: ApiUser;
const PASSWORD = '8letters';

beforeAll(async () => {
  const check = spawnSync(PYTHON, ['-c', 'import paho.mqtt.client, pika'], { encoding: 'utf8' });
  if (check.status !== 0)
    throw new Error(
      `These tests need ${PYTHON} with paho-mqtt and pika: apt-get install python3-paho-mqtt python3-pika. ${check.error?.message ?? check.stderr}`,
    );
  stack = await Stack.start();
  client = stack.client();
  python = new PythonClient(stack);
  python.username = `someone_some${randomBytes(4).toString('hex')}@example_com`;
  const { username } = python;
  expect((await python.send('POST', '/signup', { username, password: PASSWORD })).body).toEqual({
    status: 'OK',
  });
  const login = await python.send('POST', '/login', { username, password: PASSWORD });
  expect(login.body.status).toBe('OK');
  python.secret = login.body.secret;
  // For what the flat calls do not tell: presence.
  apiUser = new ApiUser(client, username, PASSWORD);
  await apiUser.logIn();
});
afterAll(async () => {
  client?.close();
  await stack?.stop();
});

async function register(devicename: string): Promise<FlatDevice> {
  const { status, body } = await python.call('POST', '/register_device', { devicename });
  expect([status, body?.status]).toEqual([200, 'OK']);
  return body as FlatDevice;
}

type Kind = { script: string; port: 'mqtts' | 'amqps'; options: string[]; withPassword?: boolean };

function startDevice(registered: FlatDevice, kind: Kind): LineProcess {
  const files = saveDevice(stack, registered);
  return new LineProcess(stack, PYTHON, [
    script(kind.script),
    ...['--host', 'localhost', '--port', String(stack.facts.ports[kind.port]), '--id', files.id],
    ...['--ca', files.ca, '--cert', files.cert, '--key', files.key],
    ...kind.options,
    ...(kind.withPassword ? ['--password-file', files.passwordFile] : []),
  ]);
}

const PAHO = { script: 'paho_device.py', port: 'mqtts' } as const;
const KINDS: Record<string, Kind & { ip: string }> = Object.fromEntries([
  ...['3.1', '3.1.1'].flatMap((version) =>
    [true, false].map(
      (withPassword) =>
        [
          `paho-mqtt, MQTT ${version}, ${withPassword ? 'with' : 'without'} user name and password`,
          { ...PAHO, options: ['--protocol', version], withPassword, ip: '192.0.2.7' },
        ] as const,
    ),
  ),
  ['pika, AMQP', { script: 'pika_device.py', port: 'amqps', options: [], ip: '192.0.2.8' }] as const,
]);

const address = { value: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/) };

describe.each(Object.entries(KINDS))('a device of %s', (name, kind) => {
  it("answers all flat calls of Python's http.client, and gets nothing but the contract's fields", async () => {
    const registered = await register(name.replaceAll(',', ' '));
    const { devicename } = registered;
    const device = startDevice(registered, kind);
    await device.line(/^connected/);
    await until('the gateway knows', async () => {
      const { json } = await apiUser.call('GET', `devices/${encodeURIComponent(devicename)}`);
      return json.presence.connected;
    });

    const rows: [
      method: 'GET' | 'POST',
      path: string,
      fields: object,
      reply: unknown,
      request?: [string, object],
    ][] = [
      ['GET', '/get_status', {}, { status: 'running' }, ['get_status', {}]],
      [
        'POST',
        '/set_gpio',
        { number: 12, value: 1 },
        { number: 12, value: 1 },
        ['set_gpio', { number: 12, value: 1 }],
      ],
      ['GET', '/get_gpio', { number: 12 }, { number: 12, value: 1 }, ['get_gpio', { number: 12 }]],
      ['GET', '/get_gpio', { number: '12' }, { number: 12, value: 1 }, ['get_gpio', { number: 12 }]],
      [
        'POST',
        '/set_gpio',
        { number: '12', value: '0' },
        { number: 12, value: 0 },
        ['set_gpio', { number: 12, value: 0 }],
      ],
      [
        'POST',
        '/set_rtc',
        { value: '1561700000' },
        { value: 1_561_700_000 },
        ['set_rtc', { value: 1_561_700_000 }],
      ],
      ['GET', '/get_rtc', {}, { value: expect.closeTo(1_561_700_000, -2) }, ['get_rtc', {}]],
      [
        'POST',
        '/set_mac',
        { value: '02:00:00:ab:cd:ef' },
        { value: '02:00:00:ab:cd:ef' },
        ['set_mac', { value: '02:00:00:ab:cd:ef' }],
      ],
      ['GET', '/get_mac', {}, { value: '02:00:00:ab:cd:ef' }, ['get_mac', {}]],
      ['GET', '/get_ip', {}, { value: kind.ip }, ['get_ip', {}]],
      ['GET', '/get_subnet', {}, address, ['get_subnet', {}]],
      ['GET', '/get_gateway', {}, address, ['get_gateway', {}]],
      [
        'POST',
        '/write_uart',
        { data: 'Grüße, 12!' },
        { data: 'Grüße, 12!' },
        ['write_uart', { data: 'Grüße, 12!' }],
      ],
      [
        'POST',
        '/set_status',
        { status: 'restart' },
        { status: 'restarting' },
        ['set_status', { status: 'restart' }],
      ],
    ];
    const ports = new Set<number>();
    for (const [method, path, fields, reply] of rows) {
      const { status, body, port } = await python.call(method, path, { devicename, ...fields });
      expect({ path, status, body }).toEqual({ path, status: 200, body: reply });
      ports.add(port);
    }
    // All over the one connection that the client keeps.
    expect(ports.size).toBe(1);
    expect(device.lines).toContain('uart Grüße, 12!');
    const requests = device.lines.flatMap((line) => {
      const match = /^request (\w+) (.*)$/.exec(line);
      return match ? [[match[1], JSON.parse(match[2]!) as object]] : [];
    });
    expect(requests).toEqual(rows.map(([, , , , request]) => request));

    await device.line(/^connected/, { count: 2 });
    const reset = await until('the restarted device answers', async () => {
      const answer = await python.call('POST', '/reset_device', { devicename });
      return answer.status === 200 && answer;
    });
    expect(reset.body).toEqual({ status: 'restarting' });
    await device.line(/^connected/, { count: 3 });
    await device.stop();
  });
});

describe("Python's http.client with one connection object", () => {
  it('throws answers other than 200 away unread and goes on', async () => {
    const { devicename } = await register('never connected');
    const device = { devicename };
    const secret = python.secret;
    for (const [path, fields, wanted] of [
      ['/get_gpio', { devicename: 'no such device', number: 1 }, 404],
      ['/get_gpio', { ...device, number: 1 }, 503],
      ['/get_gpio', { ...device, number: 67 }, 400],
      ['/get_gpio', { ...device, number: 'twelve' }, 400],
      ['/get_gpio', { ...device, number: 1, secret: 'made-up' }, 401],
      ['/get_gpio', { ...device, number: 1, padding: 'x'.repeat(70_000) }, 413],
    ] as const) {
      const refused = await python.call('GET', path, fields);
      expect({ wanted, status: refused.status }).toEqual({ wanted, status: wanted });
      const next = await python.call('GET', '/get_device_list', { devicename, secret });
      expect([next.status, next.body.status]).toEqual([200, 'OK']);
      expect(next.port).not.toBe(refused.port);
    }
  });

  it('reads the list and the registration again, with the same certificate and key', async () => {
    const registered = await register('read again');
    const { body } = await python.call('GET', '/get_device_list', { devicename: 'read again' });
    const { rootca, devicecert, devicepkey, deviceid, devicename } = registered;
    expect(body).toEqual({
      status: 'OK',
      devices: [{ devicename, deviceid, rootca, devicecert, devicepkey }],
    });
    expect((await python.call('POST', '/unregister_device', { devicename })).body).toEqual({ status: 'OK' });
    expect((await python.call('GET', '/get_device_list', { devicename })).body.devices ?? []).toEqual([]);
  });

  it('goes on with the secret of an earlier login', async () => {
    const { username } = python;
    const again = await python.send('POST', '/login', { username, password: PASSWORD });
    expect(again.body.secret).not.toBe(python.secret);
    expect((await python.call('GET', '/get_device_list')).body.status).toBe('OK');
  });

  // Slow by its nature: the contract lets clients pause for up to a minute.
  it('finds its connection open after a pause of 61 s', { timeout: 120_000 }, async () => {
    const patient = new PythonClient(stack);
    patient.username = python.username;
    patient.secret = python.secret;
    const before = await patient.call('GET', '/get_device_list');
    await patient.pause(61);
    const after = await patient.call('GET', '/get_device_list');
    expect([after.status, after.body.status]).toEqual([200, 'OK']);
    expect(after.port).toBe(before.port);
    await patient.stop();
  });
});
