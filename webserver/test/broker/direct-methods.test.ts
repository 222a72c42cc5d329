import { readFileSync } from 'node:fs';
import amqplib from 'amqplib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { GATEWAY_COMMON_NAME, METHODS, type JsonObject } from '@postern/protocol';
import { BrokerHarness, until, type Instance } from './harness.js';

let harness: BrokerHarness;
let gateway: Instance;
let running: { stop(): unknown }[] = [];

beforeAll(async () => {
  harness = await new BrokerHarness().start();
  gateway = await harness.instance();
}, 120_000);
afterEach(async () => {
  await Promise.all(running.map((device) => device.stop()));
  running = [];
});
afterAll(() => harness.stop());

type DeviceOptions = Parameters<BrokerHarness['device']>[2];
type More = Parameters<BrokerHarness['device']>[3];

async function connected(
  kind: 'mqtt' | 'amqp',
  options: DeviceOptions = {},
  more: More = {},
  instance = gateway,
) {
  const registered = await harness.register();
  const device = harness.device(registered, kind, options, more);
  running.push(device);
  const wanted = options?.style === 'protocol2' ? 2 : 1;
  await until('the device is connected', () => {
    const presence = instance.presence.peek(registered.id);
    return presence?.connected && presence.protocol === wanted;
  });
  return { id: registered.id, device, registered };
}

const kinds: [string, 'mqtt' | 'amqp', DeviceOptions, More][] = [
  ['an old MQTT 3.1 device', 'mqtt', { style: 'old' }, { version: '3.1' }],
  ['an old MQTT 3.1.1 device', 'mqtt', { style: 'old' }, {}],
  ['an old AMQP device', 'amqp', { style: 'old' }, {}],
  ['a protocol 2 device over MQTT 3.1.1', 'mqtt', { style: 'protocol2' }, {}],
  ['a protocol 2 device over AMQP', 'amqp', { style: 'protocol2' }, {}],
];

it('asks nobody whether the gateway may send to a device: its calls do not wait for an answer', async () => {
  const { id } = await connected('mqtt', { style: 'old' });
  await gateway.call(id, 'get_gpio', { number: 1 });
  const written = harness.topicQuestions.filter(({ permission }) => permission === 'write');
  expect(written.some(({ username }) => username === id)).toBe(true);
  expect(written.filter(({ username }) => username === GATEWAY_COMMON_NAME)).toEqual([]);
});

describe.each(kinds)('%s', (_name, kind, options, more) => {
  it('answers many calls at once, each its own, and is known to be away when it is', async () => {
    const { id, device } = await connected(kind, options, more);
    const replies = await Promise.all(
      Array.from({ length: 30 }, (_, number) => gateway.call(id, 'set_gpio', { number, value: number % 2 })),
    );
    expect(replies).toEqual(Array.from({ length: 30 }, (_, number) => ({ number, value: number % 2 })));
    expect(await gateway.call(id, 'get_gpio', { number: 13 })).toEqual({ number: 13, value: 1 });
    await device.stop();
    await until('the device is away', () => gateway.presence.peek(id)?.connected === false);
    await expect(gateway.call(id, 'get_gpio', { number: 12 })).rejects.toMatchObject({
      code: 'DEVICE_OFFLINE',
    });
  });

  it('answers every method of the contract', async () => {
    const { id } = await connected(kind, options, more);
    const requests: Record<string, JsonObject> = {
      get_gpio: { number: 12 },
      set_gpio: { number: 12, value: 1 },
      set_rtc: { value: 1_561_700_000 },
      set_mac: { value: '02:00:00:ab:cd:ef' },
      write_uart: { data: 'Hello World!' },
      set_status: { status: 'restart' },
    };
    for (const [method, spec] of METHODS) {
      if (method === 'set_status') continue;
      const reply = await gateway.call(id, method, requests[method] ?? {});
      expect(spec.reply.safeParse(reply).success, `${method}: ${JSON.stringify(reply)}`).toBe(true);
      expect(reply).not.toHaveProperty('correlationId');
    }
    expect(await gateway.call(id, 'set_status', requests['set_status'])).toMatchObject({
      status: 'restarting',
    });
  });

  it('that repeats and delays its replies never answers another call', async () => {
    const { id } = await connected(
      kind,
      {
        ...options,
        seed: 'repeat',
        faults: { duplicate: 0.5, duplicateDelayMs: { min: 0, max: 8 }, delayMs: { min: 0, max: 5 } },
      },
      more,
    );
    const calls = Array.from({ length: 300 }, (_, i) => ({ number: i % 60, value: (i >> 1) & 1 }));
    const outcomes: JsonObject[] = [];
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < calls.length) {
        const index = next++;
        outcomes[index] = await gateway.call(id, 'set_gpio', calls[index]!, 20_000);
      }
    };
    await Promise.all(Array.from({ length: 10 }, worker));
    expect(outcomes).toEqual(calls);
  });
});

describe('a device of the older kind', () => {
  it('that is silent once times out, and answers the next call', async () => {
    const { id, device } = await connected('mqtt', { style: 'old', faults: { silence: 1 } });
    for (const method of ['get_rtc', 'get_gpio']) {
      const request: JsonObject = method === 'get_gpio' ? { number: 3 } : {};
      await expect(gateway.call(id, method, request, 200)).rejects.toMatchObject({ code: 'DEVICE_TIMEOUT' });
    }
    device.device.setFaults({ silence: 0 });
    expect(await gateway.call(id, 'get_gpio', { number: 3 })).toEqual({ number: 3, value: 0 });
    expect(await gateway.call(id, 'get_rtc')).toHaveProperty('value');
  });

  it('that answers late never answers the next call with it', async () => {
    const { id, device } = await connected('mqtt', {
      style: 'old',
      faults: { delayMs: { min: 700, max: 700 } },
    });
    const before = Math.floor(Date.now() / 1000);
    await gateway.call(id, 'set_rtc', { value: 1_000 }, 5_000);
    await expect(gateway.call(id, 'get_rtc', {}, 300)).rejects.toMatchObject({ code: 'DEVICE_TIMEOUT' });
    device.device.setFaults({ delayMs: { min: 0, max: 0 } });
    await gateway.call(id, 'set_rtc', { value: before }, 5_000);
    const { value } = (await gateway.call(id, 'get_rtc', {}, 5_000)) as { value: number };
    expect(value).toBeGreaterThanOrEqual(before);
  });

  it('gets the fields of the contract and nothing else', async () => {
    const { id } = await connected('mqtt', { style: 'old', uartReply: 'request' });
    expect(await gateway.call(id, 'write_uart', { data: 'x' })).toEqual({ data: 'x' });
  });
});

describe('several gateway instances', () => {
  it('share one old device without mixing up its answers, also when the owner goes', async () => {
    const second = await harness.instance();
    const { id } = await connected('mqtt', { style: 'old' });
    await until('the second knows it', () => second.presence.peek(id)?.connected);
    const both = [gateway, second];
    const calls = Array.from({ length: 200 }, (_, i) => ({ number: i % 60, value: (i >> 1) & 1 }));
    const run = async (instances: Instance[]): Promise<JsonObject[]> => {
      const outcomes: JsonObject[] = [];
      let next = 0;
      const worker = async (instance: Instance): Promise<void> => {
        while (next < calls.length) {
          const index = next++;
          outcomes[index] = await instance.call(id, 'set_gpio', calls[index]!, 10_000);
        }
      };
      await Promise.all(instances.flatMap((instance) => Array.from({ length: 6 }, () => worker(instance))));
      return outcomes;
    };
    expect(await run(both)).toEqual(calls);
    const third = await harness.instance();
    await until('the third knows it', () => third.presence.peek(id)?.connected);
    expect(await third.call(id, 'get_gpio', { number: 1 })).toHaveProperty('number', 1);
    await second.close();
    expect(await run([gateway, third])).toEqual(calls);
  });

  it('go on when the owner of a device is gone', async () => {
    const owner = await harness.instance();
    const { id } = await connected('mqtt', { style: 'old' }, {}, owner);
    await until('the other knows it', () => gateway.presence.peek(id)?.connected);
    await owner.call(id, 'get_status');
    expect(await gateway.call(id, 'get_status')).toEqual({ status: 'running' });
    await owner.close();
    expect(await gateway.call(id, 'get_status')).toEqual({ status: 'running' });
  });
});

describe('a device that is away', () => {
  it('with a session that outlives its connection is told at once, and nothing fires when it comes back', async () => {
    const { id, device, registered } = await connected(
      'mqtt',
      { style: 'protocol2' },
      { persistentSession: true },
    );
    await device.stop();
    await until('the device is away', () => gateway.presence.peek(id)?.connected === false);
    await expect(gateway.call(id, 'set_gpio', { number: 5, value: 1 }, 30_000)).rejects.toMatchObject({
      code: 'DEVICE_OFFLINE',
    });
    const again = harness.device(registered, 'mqtt', { style: 'protocol2' }, { persistentSession: true });
    running.push(again);
    await until('it is back', () => gateway.presence.peek(id)?.protocol === 2);
    expect(await gateway.call(id, 'get_gpio', { number: 5 })).toEqual({ number: 5, value: 0 });
  });

  it('never connected is the same', async () => {
    const { id } = await harness.register();
    await expect(gateway.call(id, 'get_status')).rejects.toMatchObject({ code: 'DEVICE_OFFLINE' });
  });
});

describe('a device that sets a trap', () => {
  it('with a queue that dead-letters to another device loses its queue and its session', async () => {
    const victim = await connected('mqtt', { style: 'old' });
    const evil = await harness.register();
    const read = (file: string): Buffer => readFileSync(file);
    const connection = await amqplib.connect(
      { protocol: 'amqps', hostname: 'localhost', port: harness.ports.amqps },
      {
        ca: [read(evil.credentials.ca)],
        cert: read(evil.credentials.cert),
        key: read(evil.credentials.key),
        credentials: amqplib.credentials.external(),
      },
    );
    let closed = false;
    connection.on('error', () => {});
    connection.on('close', () => (closed = true));
    await until('the evil device is connected', () => gateway.presence.peek(evil.id)?.connected);
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    const queue = `mqtt-subscription-${evil.id}qos1`;
    await channel.assertQueue(queue, {
      durable: false,
      autoDelete: true,
      deadLetterExchange: 'amq.topic',
      deadLetterRoutingKey: `${victim.id}.set_gpio`,
    });
    await channel.bindQueue(queue, 'amq.topic', `${evil.id}.#`).catch(() => {});
    await until('its session is closed', () => closed);
    await expect(gateway.call(evil.id, 'set_gpio', { number: 1, value: 1 }, 500)).rejects.toMatchObject({
      code: 'DEVICE_OFFLINE',
    });
    expect(await gateway.call(victim.id, 'get_gpio', { number: 1 })).toEqual({ number: 1, value: 0 });
  });
});

describe('limits', () => {
  it('32 calls to one device; the next is told to come later', async () => {
    const { id } = await connected('mqtt', {
      style: 'protocol2',
      faults: { delayMs: { min: 500, max: 500 } },
    });
    const calls = Array.from({ length: 32 }, () => gateway.call(id, 'get_rtc'));
    await expect(gateway.call(id, 'get_rtc')).rejects.toMatchObject({
      code: 'DEVICE_BUSY',
      retryAfterSeconds: 1,
    });
    expect(await Promise.all(calls)).toHaveLength(32);
  });
});

describe('replies that break the contract', () => {
  it.each([
    ['mqtt', 'old'],
    ['mqtt', 'protocol2'],
    ['amqp', 'protocol2'],
  ] as const)('%s %s', async (kind, style) => {
    const { id } = await connected(kind, {
      style,
      faults: { garbage: 1, garbageKinds: ['not-json', 'wrong-fields', 'wrong-type'] },
    });
    for (let i = 0; i < 5; i++) {
      const error = await gateway
        .call(id, 'get_gpio', { number: 3 }, 1_000)
        .catch((caught: unknown) => caught);
      // Without JSON there is no correlation over MQTT 3.1.1: then nobody can tell whose reply it was.
      expect(['DEVICE_BAD_REPLY', 'DEVICE_TIMEOUT']).toContain((error as { code: string }).code);
    }
  });
});
