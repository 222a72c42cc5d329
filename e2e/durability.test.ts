import { X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DeviceProcess, saveDevice } from './support/device.js';
import { ApiUser, FlatUser, type Answer, type Client, type FlatDevice } from './support/http.js';
import { Stack } from './support/stack.js';
import { until } from './support/wait.js';

/** What is left after `kill -9`, and what does not happen twice. Two gateways share the registry. */
let stack: Stack;
let client: Client;
let otherClient: Client;
let user: FlatUser;
let api: ApiUser;
/** The same user at the second gateway. */
let otherApi: ApiUser;

beforeAll(async () => {
  stack = await Stack.start({ POSTERN_GATEWAYS: '2' });
  client = stack.client(0);
  otherClient = stack.client(1);
  user = await FlatUser.signUp(client);
  api = new ApiUser(client, user.username, user.password);
  await api.logIn();
  otherApi = new ApiUser(otherClient, user.username, user.password);
  await otherApi.logIn();
});
afterAll(async () => {
  client?.close();
  otherClient?.close();
  await stack?.stop();
});

const at = (name: string, path = ''): string => `devices/${encodeURIComponent(name)}${path}`;

async function isReady(of: Client): Promise<boolean> {
  const answer = await of.send('GET', '/readyz').catch(() => null);
  return answer?.status === 200;
}
async function allReady(): Promise<void> {
  for (const one of [client, otherClient]) await until('the gateway is ready', () => isReady(one), 60_000);
}

/** Ends the first gateway as a power cut would, and waits for the one that takes its place. */
async function killGateway(): Promise<void> {
  const { pid } = stack.facts.gateways[0]!;
  process.kill(pid, 'SIGKILL');
  await until('a new gateway runs', () => stack.facts.gateways[0]!.pid !== pid, 60_000);
  await allReady();
}

/** Presence as both gateways tell it. */
async function presence(name: string, connected: boolean, timeoutMs = 20_000): Promise<void> {
  for (const one of [api, otherApi])
    await until(
      `${name} is told as ${connected ? 'there' : 'away'}`,
      async () => {
        const answer = await one.call('GET', at(name));
        return answer.status === 200 && answer.json.presence.connected === connected;
      },
      timeoutMs,
    );
}

async function executed(device: DeviceProcess): Promise<Record<string, number>> {
  const { devices } = (await device.command({ do: 'state' })) as unknown as {
    devices: { executed: Record<string, number> }[];
  };
  return devices[0]!.executed;
}

const KINDS: [string, string[]][] = [
  ['old MQTT', ['--style', 'old']],
  ['protocol 2 MQTT', ['--style', 'protocol2']],
  ['old AMQP', ['--style', 'old', '--transport', 'amqp']],
  ['protocol 2 AMQP', ['--style', 'protocol2', '--transport', 'amqp']],
];

describe('kill -9 of the gateway', () => {
  it('between answer and restart loses no user, device or certificate, and brings no revoked one back', async () => {
    const other = await FlatUser.signUp(client);
    const first = await other.register('first');
    const owner = new ApiUser(client, other.username, other.password);
    await owner.logIn();
    const serial = new X509Certificate(first.devicecert).serialNumber.toLowerCase();
    const renewed = await owner.call('POST', at('first', '/certificates/renew'), {});
    expect(renewed.status).toBe(201);
    expect((await owner.call('POST', at('first', `/certificates/${serial}/revoke`), {})).status).toBe(200);
    const before = await owner.call('GET', at('first', '/certificates'));
    await killGateway();

    await other.logIn();
    const list = await other.call('GET', '/get_device_list');
    expect(list.json.devices).toEqual([
      {
        devicename: 'first',
        deviceid: first.deviceid,
        rootca: first.rootca,
        devicecert: renewed.json.chainPem,
        devicepkey: renewed.json.privateKeyPem,
      },
    ]);
    // The tokens of before count as well.
    const after = await owner.call('GET', at('first', '/certificates'));
    expect([after.status, after.json]).toEqual([200, before.json]);
    const states = (after.json.certificates as { serial: string; state: string }[]).map(({ state }) => state);
    expect(states.sort()).toEqual(['active', 'revoked']);
  });

  it('amid many registrations loses none that was answered', async () => {
    const kept: FlatDevice[] = [];
    for (let round = 0; round < 2; round++) {
      const answered: Promise<unknown>[] = [];
      for (let number = 0; number < 24; number++)
        answered.push(
          user.register(`round ${round} ${number}`).then(
            (device) => kept.push(device),
            // Cut off: whether it was done is open, and the caller knows that.
            () => {},
          ),
        );
      // Some are answered, others are under way.
      await Promise.race(answered);
      await killGateway();
      await Promise.all(answered);
    }
    expect(kept.length).toBeGreaterThan(0);
    const list = await user.call('GET', '/get_device_list');
    const byId = new Map((list.json.devices as FlatDevice[]).map((device) => [device.deviceid, device]));
    for (const { deviceid, devicecert, devicepkey } of kept)
      expect(byId.get(deviceid)).toMatchObject({ devicecert, devicepkey });
    const device = new DeviceProcess(stack, saveDevice(stack, kept.at(-1)!));
    await device.connected();
    await presence(kept.at(-1)!.devicename, true);
    expect((await user.call('GET', '/get_status', { devicename: kept.at(-1)!.devicename })).status).toBe(200);
    await device.stop();
  });

  it('leaves devices connected, and they answer the one that comes next', async () => {
    const devices: [string, DeviceProcess][] = [];
    for (const [kind, options] of KINDS) {
      const name = `stays ${kind}`;
      const device = new DeviceProcess(stack, saveDevice(stack, await user.register(name)), options);
      await device.connected();
      await presence(name, true);
      expect((await user.call('POST', '/write_uart', { devicename: name, data: 'before' })).status).toBe(200);
      devices.push([name, device]);
    }
    await killGateway();
    for (const [name, device] of devices) {
      await presence(name, true);
      const answer = await user.call('POST', '/write_uart', { devicename: name, data: 'after' });
      expect([name, answer.status, answer.json]).toEqual([name, 200, { data: 'after' }]);
      expect(device.count('connected')).toBe(1);
      await device.stop();
    }
  });
});

describe('kill -9 of the broker', () => {
  it('calls in flight answer 503 at once, /readyz tells, and all heals', { timeout: 120_000 }, async () => {
    const devices: [string, DeviceProcess][] = [];
    for (const [kind, options] of KINDS) {
      const name = `heals ${kind}`;
      const device = new DeviceProcess(stack, saveDevice(stack, await user.register(name)), [
        ...options,
        ...['--backoff-max', '1000'],
      ]);
      await device.connected();
      await presence(name, true);
      devices.push([name, device]);
    }
    const leaver = new DeviceProcess(stack, saveDevice(stack, await user.register('leaves')));
    await leaver.connected();
    await presence('leaves', true);

    for (const [, device] of devices) await device.command({ do: 'faults', set: { silence: 1 } });
    const requests = devices.map(([, device]) => device.count('request'));
    let settled = 0;
    const inFlight = devices.flatMap(([name]) =>
      [api, otherApi].map((one) =>
        one.call('GET', at(name, '/mac?timeoutMs=60000')).finally(() => (settled += 1)),
      ),
    );
    await until('each device was asked', () =>
      devices.every(([, device], index) => device.count('request') > requests[index]!),
    );
    expect(settled).toBe(0);
    const killedAt = performance.now();
    // The broker leads a process group of its own.
    process.kill(-stack.facts.broker.pid, 'SIGKILL');
    for (const answer of await Promise.all(inFlight))
      expect([answer.status, answer.json.code]).toEqual([503, 'BROKER_UNAVAILABLE']);
    expect(performance.now() - killedAt).toBeLessThan(3_000);
    const ready = await client.send('GET', '/readyz');
    expect([ready.status, ready.json.code]).toEqual([503, 'BROKER_UNAVAILABLE']);
    const call = await api.call('GET', at('leaves', '/mac'));
    expect([call.status, call.json.code]).toEqual([503, 'BROKER_UNAVAILABLE']);
    expect((await client.send('GET', '/healthz')).status).toBe(200);
    await leaver.stop('SIGKILL');

    await allReady();
    for (const [name, device] of devices) {
      await device.command({ do: 'faults', set: { silence: 0 } });
      await device.connected(2);
      await presence(name, true);
      const answer = await until('it answers', async () => {
        const one = await api.call('GET', at(name, '/status'));
        return one.status === 200 && one;
      });
      expect(answer.json).toEqual({ status: 'running' });
      expect((await otherApi.call('GET', at(name, '/status'))).status).toBe(200);
      await device.stop();
    }
    await presence('leaves', false);
  });
});

describe.each(KINDS)('a device that goes without a word, %s', (kind, options) => {
  it('is told as away when its process is killed, and when its connection is half-open', async () => {
    const name = `goes ${kind}`;
    const files = saveDevice(stack, await user.register(name));
    const killed = new DeviceProcess(stack, files, options);
    await killed.connected();
    await presence(name, true);
    const { lastSeenAt } = (await api.call('GET', at(name))).json.presence;
    await killed.stop('SIGKILL');
    await presence(name, false, 5_000);
    const after = (await api.call('GET', at(name))).json.presence;
    expect(Date.parse(after.lastSeenAt)).toBeGreaterThanOrEqual(Date.parse(lastSeenAt));

    const frozen = new DeviceProcess(stack, files, [...options, '--keep-alive', '2']);
    await frozen.connected();
    await presence(name, true);
    // Its connection stands, and nothing comes any more.
    frozen.signal('SIGSTOP');
    await presence(name, false, 20_000);
    const answer = await api.call('GET', at(name, '/mac'));
    expect([answer.status, answer.json.code]).toEqual([503, 'DEVICE_OFFLINE']);
    frozen.signal('SIGCONT');
    await frozen.connected(2);
    await presence(name, true);
    expect((await api.call('GET', at(name, '/mac'))).status).toBe(200);
    await frozen.stop();
  });
});

describe.each(KINDS)('an Idempotency-Key, %s', (kind, options) => {
  it(
    'gives one answer and one execution, at both gateways and after a kill -9',
    { timeout: 90_000 },
    async () => {
      const name = `once ${kind}`;
      const device = new DeviceProcess(stack, saveDevice(stack, await user.register(name)), options);
      await device.connected();
      await presence(name, true);
      const write = (one: ApiUser, data: string, key: string): Promise<Answer> =>
        one.call('POST', at(name, '/uart'), { data }, { 'idempotency-key': key });
      const key = `key-${name.replaceAll(' ', '-')}`;
      const answers = await Promise.all(
        [api, otherApi, api, otherApi, api, otherApi].map((one) => write(one, 'once', key)),
      );
      for (const answer of answers) expect([answer.status, answer.json]).toEqual([200, { data: 'once' }]);
      expect((await executed(device))['write_uart']).toBe(1);
      for (const one of [api, otherApi]) {
        const reused = await write(one, 'another', key);
        expect([reused.status, reused.json.code]).toEqual([409, 'IDEMPOTENCY_KEY_REUSED']);
      }
      await killGateway();
      const again = await write(api, 'once', key);
      expect([again.status, again.json]).toEqual([200, { data: 'once' }]);
      expect((await executed(device))['write_uart']).toBe(1);
      expect((await write(api, 'once', `${key}-2`)).status).toBe(200);
      expect((await executed(device))['write_uart']).toBe(2);
      await device.stop();
    },
  );
});

describe.each(['old', 'protocol2'])('a device with a persistent session, %s', (style) => {
  it('does not carry out later what was asked while it was away', async () => {
    const name = `persistent ${style}`;
    const files = saveDevice(stack, await user.register(name));
    const options = ['--style', style, '--persistent'];
    const first = new DeviceProcess(stack, files, options);
    await first.connected();
    await presence(name, true);
    await first.stop();
    await presence(name, false);
    const set = (value: number, timeoutMs: number): Promise<Answer> =>
      api.call('PUT', at(name, `/gpio/7?timeoutMs=${timeoutMs}`), { value });
    const away = await set(1, 300_000);
    expect([away.status, away.json.code]).toEqual([503, 'DEVICE_OFFLINE']);

    const second = new DeviceProcess(stack, files, options);
    await second.connected();
    await presence(name, true);
    // Answered after all that might have been kept for it.
    expect((await api.call('GET', at(name, '/status'))).status).toBe(200);
    expect((await executed(second))['set_gpio']).toBeUndefined();

    // The moment in which nobody knows yet that it is gone: the call waits in its queue, and ends there in time.
    const killed = second.stop('SIGKILL');
    const lost = await set(1, 300);
    await killed;
    expect([503, 504]).toContain(lost.status);
    await presence(name, false);
    const third = new DeviceProcess(stack, files, options);
    await third.connected();
    await presence(name, true);
    const pin = await until('it answers', async () => {
      const answer = await api.call('GET', at(name, '/gpio/7'));
      return answer.status === 200 && answer;
    });
    expect(pin.json).toEqual({ number: 7, value: 0 });
    expect((await executed(third))['set_gpio']).toBeUndefined();
    await third.stop();
  });
});
