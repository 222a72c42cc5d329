import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceProcess, saveDevice } from './support/device.js';
import { ApiUser, FlatUser, type Client, type FlatDevice } from './support/http.js';
import { Stack } from './support/stack.js';
import { until } from './support/wait.js';

let stack: Stack;
let client: Client;
let user: FlatUser;

beforeAll(async () => {
  stack = await Stack.start();
  client = stack.client();
  user = await FlatUser.signUp(client);
});
afterAll(async () => {
  client?.close();
  await stack?.stop();
});

/** MQTT 5 is for RabbitMQ 3.13 and later; on 3.10 its test says that such a device is refused. */
const speaksMqtt5 = (): boolean => !stack.facts.broker.version.startsWith('3.10');

const KINDS: Record<string, string[]> = {
  'old MQTT 3.1': ['--style', 'old', '--mqtt-version', '3.1', '--tls12'],
  'old MQTT 3.1.1': ['--style', 'old'],
  'old AMQP': ['--style', 'old', '--transport', 'amqp'],
  'protocol 2 MQTT 3.1.1': ['--style', 'protocol2'],
  'protocol 2 AMQP': ['--style', 'protocol2', '--transport', 'amqp'],
};

let devices = 0;
async function startDevice(
  options: string[],
): Promise<{ name: string; device: DeviceProcess; registered: FlatDevice }> {
  const name = `device ${++devices}`;
  const registered = await user.register(name);
  const device = new DeviceProcess(stack, saveDevice(stack, registered), options);
  await device.connected();
  const wanted = options.includes('old') ? 1 : 2;
  await until('the gateway knows it', async () => {
    const { json } = await apiUser.call('GET', `devices/${encodeURIComponent(name)}`);
    return json.presence.connected && json.presence.protocol === wanted;
  });
  return { name, device, registered };
}

/** The same user over the other API, for what the flat calls do not tell. */
let apiUser: ApiUser;
beforeAll(async () => {
  apiUser = new ApiUser(client, user.username, user.password);
  await apiUser.logIn();
});

type Row = [
  method: 'GET' | 'POST',
  path: string,
  fields: Record<string, unknown>,
  reply: Record<string, unknown>,
];
const ROWS: Row[] = [
  ['GET', '/get_status', {}, { status: 'running' }],
  ['POST', '/set_gpio', { number: 12, value: 1 }, { number: 12, value: 1 }],
  ['GET', '/get_gpio', { number: 12 }, { number: 12, value: 1 }],
  ['GET', '/get_gpio', { number: '12' }, { number: 12, value: 1 }],
  ['POST', '/set_gpio', { number: '66', value: '0' }, { number: 66, value: 0 }],
  ['POST', '/set_rtc', { value: 1_561_700_000 }, { value: 1_561_700_000 }],
  ['GET', '/get_rtc', {}, { value: expect.closeTo(1_561_700_000, -2) }],
  ['POST', '/set_mac', { value: '02:00:00:ab:cd:ef' }, { value: '02:00:00:ab:cd:ef' }],
  ['GET', '/get_mac', {}, { value: '02:00:00:ab:cd:ef' }],
  ['GET', '/get_ip', {}, { value: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/) }],
  ['GET', '/get_subnet', {}, { value: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/) }],
  ['GET', '/get_gateway', {}, { value: expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/) }],
  ['POST', '/write_uart', { data: 'Hello World!' }, { data: 'Hello World!' }],
  ['POST', '/set_status', { status: 'restart' }, { status: 'restarting' }],
];

describe.each(Object.entries(KINDS))('a device of the kind %s', (_kind, options) => {
  it('answers every flat call, and comes back from a restart', async () => {
    const { name, device } = await startDevice(options);
    for (const [method, path, fields, reply] of ROWS) {
      const answer = await user.call(method, path, { devicename: name, ...fields });
      expect({ path, status: answer.status, json: answer.json }).toEqual({ path, status: 200, json: reply });
      expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(answer.text)));
      expect(answer.headers['transfer-encoding']).toBeUndefined();
    }
    await device.connected(2);
    const uart = device.events.find(({ event }) => event === 'uart');
    expect(Buffer.from(String(uart?.['base64']), 'base64').toString()).toBe('Hello World!');
    const reset = await until('the restarted device answers', async () => {
      const answer = await user.call('POST', '/reset_device', { devicename: name });
      return answer.status === 200 && answer;
    });
    expect(reset.json).toEqual({ status: 'restarting' });
    await device.connected(3);
  });

  it('is told as away at once, as silent after the timeout, and as broken when it is', async () => {
    const { name, device } = await startDevice(options);
    await device.command({ do: 'faults', set: { silence: 1 } });
    const silent = await apiUser.call('GET', `devices/${encodeURIComponent(name)}/rtc?timeoutMs=300`);
    expect([silent.status, silent.json.code]).toEqual([504, 'DEVICE_TIMEOUT']);
    await device.command({ do: 'faults', set: { silence: 0, garbage: 1, garbageKinds: ['wrong-type'] } });
    const broken = await user.call('GET', '/get_mac', { devicename: name });
    expect(broken.status).toBe(502);
    expect(broken.headers['connection']).toBe('close');
    await device.stop();
    const away = await until('the gateway knows', async () => {
      const answer = await user.call('GET', '/get_ip', { devicename: name });
      return answer.status === 503 && answer;
    });
    expect(away.headers['connection']).toBe('close');
    const started = performance.now();
    expect((await user.call('POST', '/set_gpio', { devicename: name, number: 1, value: 1 })).status).toBe(
      503,
    );
    expect(performance.now() - started).toBeLessThan(2_500);
  });
});

describe('a device over MQTT 5', () => {
  it('is served where the broker speaks it, and refused where it does not', async () => {
    const registered = await user.register('five');
    const device = new DeviceProcess(stack, saveDevice(stack, registered), [
      '--style',
      'protocol2',
      '--mqtt-version',
      '5',
    ]);
    if (!speaksMqtt5()) {
      await until('it is refused', () => device.count('connectFailed') > 0);
      await device.stop();
      return;
    }
    await device.connected();
    await until('its hello was heard', async () => {
      const { json } = await apiUser.call('GET', 'devices/five');
      return json.presence.protocol === 2 && json.presence.transport === 'MQTT 5.0';
    });
    for (const [method, path, fields, reply] of ROWS) {
      const answer = await user.call(method, path, { devicename: 'five', ...fields });
      expect({ path, status: answer.status, json: answer.json }).toEqual({ path, status: 200, json: reply });
    }
    await device.stop();
  });
});

describe('an old device with a user name and a password', () => {
  it.each(['3.1', '3.1.1'])(
    'connects over MQTT %s with the pair that registration returned',
    async (version) => {
      const registered = await user.register(`pair ${version}`);
      expect(registered.username).toBe(registered.deviceid);
      const files = saveDevice(stack, registered);
      const device = new DeviceProcess(stack, files, [
        ...['--style', 'old', '--mqtt-version', version, '--tls12'],
        ...['--username', registered.username, '--password-file', files.passwordFile],
      ]);
      await device.connected();
      await until(
        'it answers',
        async () => (await user.call('GET', '/get_status', { devicename: `pair ${version}` })).status === 200,
      );
      await device.stop();
    },
  );
});

describe('the registry calls', () => {
  it('signup, login, register, list and unregister answer 200 with a status', async () => {
    const other = await FlatUser.signUp(client);
    const taken = await client.send('POST', '/signup', { username: other.username, password: 'whatever1' });
    expect([taken.status, taken.json]).toEqual([200, { status: 'NG, username already exist' }]);
    const wrong = await client.send('POST', '/login', { username: other.username, password: 'wrong-one' });
    expect(wrong.status).toBe(200);
    expect(wrong.json).toEqual({ status: expect.stringMatching(/^NG, /), secret: 'Unknown' });

    const registered = await other.register('first');
    expect(Object.keys(registered).sort()).toEqual(
      [
        'devicecert',
        'deviceid',
        'devicename',
        'devicepkey',
        'password',
        'rootca',
        'status',
        'username',
      ].sort(),
    );
    expect(registered.rootca).toBe(stack.ca);
    expect(registered.devicecert.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    const again = await other.call('POST', '/register_device', { devicename: 'first' });
    expect([again.status, again.json]).toEqual([200, { status: 'NG, device already registered' }]);
    await other.register('second');
    const list = await other.call('GET', '/get_device_list');
    expect(list.json.status).toBe('OK');
    expect(list.json.devices).toHaveLength(2);
    const [first] = list.json.devices as FlatDevice[];
    expect(first).toEqual({
      devicename: 'first',
      deviceid: registered.deviceid,
      rootca: registered.rootca,
      devicecert: registered.devicecert,
      devicepkey: registered.devicepkey,
    });
    const only = await other.call('GET', '/get_device_list', { devicename: 'second' });
    expect(only.json.devices).toHaveLength(1);

    expect((await user.call('GET', '/get_gpio', { devicename: 'first', number: 1 })).status).toBe(404);
    const foreign = await user.call('POST', '/unregister_device', { devicename: 'first' });
    expect([foreign.status, foreign.json]).toEqual([200, { status: 'NG, device not registered' }]);
    expect((await other.call('POST', '/unregister_device', { devicename: 'first' })).json).toEqual({
      status: 'OK',
    });
    expect((await other.call('GET', '/get_device_list')).json.devices).toHaveLength(1);
  });

  it('wrong credentials are NG on these and 401 on the control calls', async () => {
    const stranger = new FlatUser(client, user.username);
    stranger.secret = 'made-up';
    const list = await stranger.call('GET', '/get_device_list');
    expect([list.status, list.json.status.slice(0, 4)]).toEqual([200, 'NG, ']);
    const control = await stranger.call('GET', '/get_gpio', { devicename: 'x', number: 1 });
    expect(control.status).toBe(401);
    expect(control.headers['connection']).toBe('close');
  });

  it('the last ten logins count', async () => {
    const other = await FlatUser.signUp(client);
    const secrets = [other.secret];
    for (let i = 0; i < 10; i++) {
      await other.logIn();
      secrets.push(other.secret);
    }
    const works = async (secret: string): Promise<boolean> => {
      other.secret = secret;
      return (await other.call('GET', '/get_device_list')).json.status === 'OK';
    };
    const results = [];
    for (const secret of secrets) results.push(await works(secret));
    expect(results).toEqual([false, ...Array.from({ length: 10 }, () => true)]);
  });

  it('bad fields are 400, a body over the limit is 413', async () => {
    const { name } = await startDevice(KINDS['protocol 2 MQTT 3.1.1']!);
    for (const [path, fields] of [
      ['/set_gpio', { number: 67, value: 1 }],
      ['/set_gpio', { number: 1, value: 2 }],
      ['/set_gpio', { number: 1 }],
      ['/set_rtc', { value: 4_294_967_296 }],
      ['/set_status', { status: 'stop' }],
      ['/write_uart', { data: 'x'.repeat(1_025) }],
    ] as const) {
      const answer = await user.call('POST', path, { devicename: name, ...fields });
      expect([path, answer.status, answer.headers['connection']]).toEqual([path, 400, 'close']);
    }
    const large = await user.call('POST', '/write_uart', { devicename: name, data: 'x'.repeat(70_000) });
    expect([large.status, large.headers['connection']]).toEqual([413, 'close']);
  });
});
