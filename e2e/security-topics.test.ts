import { once, type EventEmitter } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ChannelModel, ConfirmChannel, Options } from 'amqplib';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { amqpConnect } from './support/attacker.js';
import { DeviceProcess, saveDevice } from './support/device.js';
import { ApiUser, FlatUser, type Client, type FlatDevice } from './support/http.js';
import { Stack } from './support/stack.js';
import { until } from './support/wait.js';

/** What a device's own certificate is good for: its own topics, and nothing outside them. */
let stack: Stack;
let client: Client;
let user: FlatUser;
let api: ApiUser;
/** The attacker: a device with a good certificate. */
let a: FlatDevice;
let victim: FlatDevice;
let victimDevice: DeviceProcess;

beforeAll(async () => {
  stack = await Stack.start();
  client = stack.client();
  user = await FlatUser.signUp(client);
  api = new ApiUser(client, user.username, user.password);
  await api.logIn();
  a = await user.register('attacker');
  victim = await user.register('victim');
  victimDevice = new DeviceProcess(stack, saveDevice(stack, victim), ['--style', 'old']);
  await victimDevice.connected();
  await until('the gateway knows the victim', async () => (await victimStatus()).presence.connected);
});
afterAll(async () => {
  client?.close();
  await stack?.stop();
});

const is310 = (): boolean => stack.facts.broker.version.startsWith('3.10');
const victimStatus = async (): Promise<{ presence: { connected: boolean; protocol: number } }> =>
  (await api.call('GET', 'devices/victim')).json;

/** What the victim was asked beside the gateway's own question, which comes after all that was sent before. */
async function victimWasAsked(): Promise<string[]> {
  const before = victimDevice.count('request');
  expect((await api.call('GET', 'devices/victim/mac')).json).toEqual({
    value: expect.stringMatching(/^02:00:00|^[0-9A-Fa-f]{2}:/),
  });
  await until('the victim got the question', () => victimDevice.count('request') > before);
  return victimDevice.events
    .filter(({ event }) => event === 'request')
    .map(({ method }) => String(method))
    .filter((method) => method !== 'get_mac');
}
/** The types of both libraries know their own events alone. */
const event = (emitter: object, name: string): Promise<unknown> => once(emitter as EventEmitter, name);
const evil = JSON.stringify({ number: 9, value: 1 });

describe('over MQTT, a device', () => {
  async function connect(options: Partial<IClientOptions> = {}): Promise<MqttClient> {
    const connection = mqtt.connect({
      ...{ protocol: 'mqtts', host: 'localhost', port: stack.facts.ports.mqtts, ca: stack.ca },
      ...{ cert: a.devicecert, key: a.devicepkey, clientId: a.deviceid },
      ...{ reconnectPeriod: 0, protocolVersion: 4, clean: true },
      ...options,
    } as IClientOptions);
    connection.on('error', () => {});
    await event(connection, 'connect');
    return connection;
  }
  async function outcome(work: (connection: MqttClient) => Promise<unknown>): Promise<string> {
    const connection = await connect();
    const closed = event(connection, 'close').then(() => 'refused');
    const done = work(connection).then(
      () => 'done',
      () => 'refused',
    );
    const result = await Promise.race([done, closed]);
    connection.end(true);
    return result;
  }
  const subscribing = (filter: string): Promise<string> =>
    outcome((connection) => connection.subscribeAsync(filter, { qos: 1 }));
  const publishing = (topic: string, retain = false): Promise<string> =>
    outcome((connection) => connection.publishAsync(topic, evil, { qos: 1, retain }));

  it('subscribes to its own requests, and to nothing else', async () => {
    expect(await subscribing(`${a.deviceid}/#`)).toBe('done');
    for (const filter of [
      ...['#', '+/#', '+/get_gpio', '+/+', '$SYS/#', 'server/#', `server/${a.deviceid}/#`],
      ...[`${victim.deviceid}/#`, `${victim.deviceid}/get_gpio`, `server/${victim.deviceid}/#`],
      ...[a.deviceid, `${a.deviceid}x/#`, `/${a.deviceid}/#`, `$share/group/${victim.deviceid}/#`],
    ])
      expect([filter, await subscribing(filter)]).toEqual([filter, 'refused']);
  });

  it('publishes below its own replies, and nowhere else, retained or not', async () => {
    expect(await publishing(`server/${a.deviceid}/get_mac`)).toBe('done');
    for (const topic of [
      ...[`${victim.deviceid}/set_gpio`, `${a.deviceid}/set_gpio`, 'anything', 'server', '$SYS/broker'],
      ...[`server/${victim.deviceid}/hello`, `server/${victim.deviceid}/get_mac`, `server/${a.deviceid}`],
      ...[`server/${a.deviceid}x/hello`, `/server/${a.deviceid}/hello`],
    ])
      for (const retain of [false, true])
        expect([topic, await publishing(topic, retain)]).toEqual([topic, 'refused']);
    expect(await victimWasAsked()).toEqual([]);
    // No hello was said in its name.
    expect((await victimStatus()).presence.protocol).toBe(1);
  });

  it('leaves no will on a topic that is not its own', async () => {
    for (const topic of [`${victim.deviceid}/set_gpio`, `server/${victim.deviceid}/hello`]) {
      const will = {
        topic,
        payload: Buffer.from('{"protocol":2,"methods":[]}'),
        qos: 1 as const,
        retain: false,
      };
      const connection = await connect({ will }).catch(() => null);
      if (!connection) continue;
      // Cut without a DISCONNECT, which is when the will is sent (MQTT-3.1.2-8).
      const closed = event(connection, 'close');
      connection.stream.destroy();
      await closed;
      connection.end(true);
    }
    await until('the broker knows that it is gone', async () => {
      const { json } = await api.call('GET', 'devices/attacker');
      return !json.presence.connected;
    });
    expect(await victimWasAsked()).toEqual([]);
    expect((await victimStatus()).presence.protocol).toBe(1);
  });
});

describe('over AMQP, a device', () => {
  const REFUSED = /ACCESS_REFUSED|403/;
  const own = (): string => `mqtt-subscription-${a.deviceid}qos1`;
  const foreign = (): string => `mqtt-subscription-${victim.deviceid}qos1`;

  const connect = (): Promise<ChannelModel> => amqpConnect(stack, { cert: a.devicecert, key: a.devicepkey });
  /** Null where the broker let it, else what it closed the channel for. */
  async function outcome(
    work: (channel: ConfirmChannel) => Promise<unknown> | unknown,
  ): Promise<string | null> {
    const connection = await connect();
    try {
      const channel = await connection.createConfirmChannel();
      const failure = new Promise<string>((resolve) =>
        channel.once('error', (error: Error) => resolve(error.message)),
      );
      const done = (async () => {
        await work(channel);
        await channel.waitForConfirms();
        // A refused publish is told after the fact; this is a round trip on the channel.
        await channel.checkExchange('amq.topic');
        return null;
      })();
      return await Promise.race([done.catch(() => failure), failure]);
    } finally {
      await connection.close().catch(() => {});
    }
  }
  const publishing = (exchange: string, key: string, options: Options.Publish = {}): Promise<string | null> =>
    outcome((channel) => void channel.publish(exchange, key, Buffer.from(evil), options));
  const declareOwn = (channel: ConfirmChannel, options: Options.AssertQueue = {}) =>
    channel.assertQueue(own(), { durable: false, autoDelete: true, ...options });

  it('does what the contract needs', async () => {
    expect(
      await outcome(async (channel) => {
        await channel.assertExchange('amq.topic', 'topic', { durable: true });
        await declareOwn(channel);
        await channel.bindQueue(own(), 'amq.topic', `${a.deviceid}.#`);
        await channel.consume(own(), () => {});
        channel.publish('amq.topic', `server.${a.deviceid}.get_mac`, Buffer.from('{}'));
      }),
    ).toBeNull();
  });

  it("has no way to another's queue", async () => {
    const attempts: Record<string, (channel: ConfirmChannel) => Promise<unknown>> = {
      consume: (channel) => channel.consume(foreign(), () => {}),
      get: (channel) => channel.get(foreign()),
      declare: (channel) => channel.assertQueue(foreign(), { durable: false, autoDelete: true }),
      bind: (channel) => channel.bindQueue(foreign(), 'amq.topic', `${a.deviceid}.#`),
      unbind: (channel) => channel.unbindQueue(foreign(), 'amq.topic', `${victim.deviceid}.#`),
      purge: (channel) => channel.purgeQueue(foreign()),
      delete: (channel) => channel.deleteQueue(foreign()),
    };
    for (const [name, attempt] of Object.entries(attempts))
      expect([name, await outcome(attempt)]).toEqual([name, expect.stringMatching(REFUSED)]);
    expect(await victimWasAsked()).toEqual([]);
  });

  it('makes no other queue, and binds its own to nothing but its own requests', async () => {
    for (const name of ['', 'evil', `mqtt-subscription-${a.deviceid}qos2`, `x${own()}`])
      expect([name, await outcome((channel) => channel.assertQueue(name, { exclusive: true }))]).toEqual([
        name,
        expect.stringMatching(REFUSED),
      ]);
    for (const [exchange, key] of [
      ...['#', '*.#', '*.get_gpio', 'server.#', `server.${a.deviceid}.#`].map((each) => ['amq.topic', each]),
      ...[`${victim.deviceid}.#`, `server.${victim.deviceid}.#`].map((each) => ['amq.topic', each]),
      ...[
        'amq.rabbitmq.event',
        'amq.rabbitmq.trace',
        'amq.direct',
        'postern.changes',
        'postern.requests',
      ].map((each) => [each, '#']),
    ] as [string, string][]) {
      const bound = await outcome(async (channel) => {
        await declareOwn(channel);
        await channel.bindQueue(own(), exchange, key);
      });
      expect([exchange, key, bound]).toEqual([exchange, key, expect.stringMatching(REFUSED)]);
    }
  });

  it('publishes below its own replies, and nowhere else', async () => {
    for (const [exchange, key] of [
      ...[foreign(), own()].map((queue) => ['', queue]),
      ...[
        'amq.direct',
        'amq.fanout',
        'amq.headers',
        'amq.rabbitmq.event',
        'postern.changes',
        'postern.requests',
      ].map((each) => [each, '']),
      ...[`${victim.deviceid}.set_gpio`, `${a.deviceid}.set_gpio`, 'anything'].map((key) => [
        'amq.topic',
        key,
      ]),
      ...[`server.${victim.deviceid}.hello`, `server.${a.deviceid}`, 'server'].map((key) => [
        'amq.topic',
        key,
      ]),
    ] as [string, string][])
      expect([exchange, key, await publishing(exchange, key)]).toEqual([
        exchange,
        key,
        expect.stringMatching(REFUSED),
      ]);
    expect(await publishing('amq.topic', `server.${a.deviceid}.get_mac`)).toBeNull();
    expect(await publishing('amq.topic', `server.${a.deviceid}.x`, { userId: victim.deviceid })).toMatch(
      /PRECONDITION/,
    );
    expect(await victimWasAsked()).toEqual([]);
    expect((await victimStatus()).presence.protocol).toBe(1);
  });

  it('makes, changes, joins and removes no exchange', async () => {
    const attempts: Record<string, (channel: ConfirmChannel) => Promise<unknown>> = {
      make: (channel) => channel.assertExchange('evil', 'topic'),
      remove: (channel) => channel.deleteExchange('amq.topic'),
      'to itself': (channel) => channel.bindExchange('amq.topic', 'amq.topic', '#'),
      'from events': (channel) => channel.bindExchange('amq.topic', 'amq.rabbitmq.event', '#'),
      'to another': (channel) => channel.bindExchange('amq.fanout', 'amq.topic', `${a.deviceid}.#`),
    };
    for (const [name, attempt] of Object.entries(attempts))
      expect([name, await outcome(attempt)]).toEqual([name, expect.stringMatching(REFUSED)]);
  });

  it.each(['CC', 'BCC'] as const)(
    'sends no %s copy from 4.0 on; on 3.10 such a copy is no request and no hello',
    async (header) => {
      for (const key of [`${victim.deviceid}.set_gpio`, `server.${victim.deviceid}.hello`]) {
        const copied = await publishing('amq.topic', `server.${a.deviceid}.set_gpio`, { [header]: [key] });
        // The documented limit: 3.10 does not check copies. They carry the sender's own topic.
        if (is310()) expect(copied).toBeNull();
        else expect(copied).toMatch(REFUSED);
      }
      expect(await victimWasAsked()).toEqual([]);
      expect((await victimStatus()).presence.protocol).toBe(1);
    },
  );

  it('makes no dead letters for others: its queue is removed and its session closed', async () => {
    expect(await outcome((channel) => channel.deleteQueue(own()))).toBeNull();
    for (const deadLetterExchange of ['', 'amq.fanout', 'amq.direct'])
      expect(
        await outcome((channel) =>
          declareOwn(channel, { deadLetterExchange, deadLetterRoutingKey: foreign() }),
        ),
      ).toMatch(REFUSED);

    const connection = await connect();
    const closed = event(connection, 'close');
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    // Whether it is closed before or after it has bound its queue is the same to us.
    await (async () => {
      await channel.assertQueue(own(), {
        durable: false,
        autoDelete: true,
        messageTtl: 0,
        deadLetterExchange: 'amq.topic',
        deadLetterRoutingKey: `${victim.deviceid}.set_gpio`,
      });
      await channel.bindQueue(own(), 'amq.topic', `${a.deviceid}.#`);
    })().catch(() => {});
    await closed;
    await until('the attacker is away', async () => {
      const answer = await api.call('PUT', 'devices/attacker/gpio/9?timeoutMs=300', { value: 1 });
      return answer.status === 503 && answer.json.code === 'DEVICE_OFFLINE';
    });
    expect(await victimWasAsked()).toEqual([]);
  });
});
