import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { MqttClient } from 'mqtt';
import type { ChannelModel, ConfirmChannel, Options } from 'amqplib';
import { isAtLeast } from '@postern/broker-config';
import { openBed, testBrokers, type Bed } from './support/bed.js';
import { amqpOpen, eventually, management, mqttConnect } from './support/clients.js';

const brokers = await testBrokers();

type Device = ReturnType<Bed['device']>;
type Event = { key: string; headers: Record<string, unknown> };

/** What an AMQP device with a valid certificate can and cannot do beside its own business. */
describe.each(brokers)('AMQP devices on $label', ({ home }) => {
  let bed: Bed;
  let a: Device;
  let victim: Device;
  let victimClient: MqttClient;
  let gateway: ChannelModel;
  let gatewayChannel: ConfirmChannel;
  let own: string;
  let foreign: string;
  const victimGot: string[] = [];
  const gatewayGot: string[] = [];
  const returned: string[] = [];
  const events: Event[] = [];

  beforeAll(async () => {
    bed = await openBed({ home });
    a = bed.device();
    victim = bed.device();
    own = `mqtt-subscription-${a.id}qos1`;
    foreign = `mqtt-subscription-${victim.id}qos1`;
    gateway = await amqpOpen(bed, bed.gateway);
    gatewayChannel = await gateway.createConfirmChannel();
    gatewayChannel.on('return', (message: { fields: { routingKey: string } }) =>
      returned.push(message.fields.routingKey),
    );
    const replies = await gatewayChannel.assertQueue('', { exclusive: true });
    await gatewayChannel.bindQueue(replies.queue, 'amq.topic', 'server.#');
    await gatewayChannel.consume(
      replies.queue,
      (message) => gatewayGot.push(message?.fields.routingKey ?? ''),
      {
        noAck: true,
      },
    );
    const eventQueue = await gatewayChannel.assertQueue('', { exclusive: true });
    await gatewayChannel.bindQueue(eventQueue.queue, 'amq.rabbitmq.event', 'queue.*');
    await gatewayChannel.consume(
      eventQueue.queue,
      (message) =>
        events.push({ key: message?.fields.routingKey ?? '', headers: { ...message?.properties.headers } }),
      { noAck: true },
    );
    victimClient = await mqttConnect(bed, victim, { clientId: victim.id });
    victimClient.on('message', (topic, payload) => victimGot.push(`${topic} ${payload.toString()}`));
    await victimClient.subscribeAsync(`${victim.id}/#`, { qos: 1 });
  }, 120_000);
  afterAll(async () => {
    victimClient?.end(true);
    await gateway?.close().catch(() => undefined);
    await bed?.close();
  }, 60_000);
  beforeEach(() => {
    victimGot.length = 0;
    gatewayGot.length = 0;
    events.length = 0;
  });

  const checksCarbonCopies = (): boolean => isAtLeast(bed.installation.version, '4.0');

  /** Runs `work` on a channel of A; resolves with null, or with what the broker closed the channel for. */
  const asDevice = async (work: (channel: ConfirmChannel) => Promise<unknown>): Promise<string | null> => {
    const connection = await amqpOpen(bed, a);
    try {
      const channel = await connection.createConfirmChannel();
      const failure = new Promise<string>((resolve) =>
        channel.once('error', (error: Error) => resolve(error.message)),
      );
      const done = (async () => {
        await work(channel);
        await channel.waitForConfirms();
        // A publish is refused after the fact: a round trip on the channel brings the refusal.
        await channel.checkExchange('amq.topic');
        return null;
      })();
      const broken = done.catch(() => failure);
      return await Promise.race([broken, failure]);
    } finally {
      await connection.close().catch(() => undefined);
    }
  };
  const publishing = (exchange: string, key: string, options: Options.Publish = {}) =>
    asDevice(async (channel) => channel.publish(exchange, key, Buffer.from('evil'), options));
  const declareOwn = (channel: ConfirmChannel, options: Options.AssertQueue = {}) =>
    channel.assertQueue(own, { durable: false, autoDelete: true, ...options });
  /** All that the victim got before a mark that the gateway sends now. */
  const victimSees = async (): Promise<string[]> => {
    gatewayChannel.publish('amq.topic', `${victim.id}.mark`, Buffer.from('mark'));
    await eventually('the mark', () => victimGot.includes(`${victim.id}/mark mark`));
    return victimGot.filter((line) => !line.endsWith(' mark'));
  };
  const REFUSED = /ACCESS_REFUSED/;

  test('serves a device of the first kind as the contract has it', async () => {
    const connection = await amqpOpen(bed, a);
    const channel = await connection.createChannel();
    await channel.assertExchange('amq.topic', 'topic', { durable: true });
    await channel.assertQueue(own, { durable: false, autoDelete: true });
    await channel.bindQueue(own, 'amq.topic', `${a.id}.#`);
    // It never acknowledges.
    await channel.consume(own, () => {
      channel.publish('amq.topic', `server.${a.id}.get_gpio`, Buffer.from('{}'));
    });
    for (let call = 0; call < 3; call++) {
      gatewayChannel.publish('amq.topic', `${a.id}.get_gpio`, Buffer.from('{}'), { mandatory: true });
    }
    await eventually('three replies', () => gatewayGot.length === 3);
    expect(gatewayGot).toEqual(Array(3).fill(`server.${a.id}.get_gpio`));
    await connection.close();
    await eventually('the queue to go with its device', () =>
      events.some(({ key, headers }) => key === 'queue.deleted' && headers['name'] === own),
    );
  });

  test('a mandatory call to a device that has no queue comes back at once', async () => {
    returned.length = 0;
    gatewayChannel.publish('amq.topic', 'dabsent.get_gpio', Buffer.from('{}'), { mandatory: true });
    await gatewayChannel.waitForConfirms();
    expect(returned).toEqual(['dabsent.get_gpio']);
  });

  test("another device's queue is out of reach", async () => {
    expect(await asDevice((channel) => channel.consume(foreign, () => undefined))).toMatch(REFUSED);
    expect(await asDevice((channel) => channel.get(foreign))).toMatch(REFUSED);
    expect(await asDevice((channel) => channel.assertQueue(foreign, { durable: true }))).toMatch(REFUSED);
    expect(await asDevice((channel) => channel.bindQueue(foreign, 'amq.topic', `${a.id}.#`))).toMatch(
      REFUSED,
    );
    expect(await asDevice((channel) => channel.unbindQueue(foreign, 'amq.topic', `${victim.id}.#`))).toMatch(
      REFUSED,
    );
    expect(await asDevice((channel) => channel.purgeQueue(foreign))).toMatch(REFUSED);
    expect(await asDevice((channel) => channel.deleteQueue(foreign))).toMatch(REFUSED);
  });

  test('no other queue can be made', async () => {
    for (const name of ['', 'evil', 'amq.rabbitmq.reply-to.x', `mqtt-subscription-${a.id}qos2`, `x${own}`]) {
      expect(
        await asDevice((channel) => channel.assertQueue(name, { exclusive: true })),
        name,
      ).not.toBeNull();
    }
  });

  test('its queue hears its own requests alone', async () => {
    for (const key of [
      `${victim.id}.#`,
      `${victim.id}.set_gpio`,
      '#',
      '*.set_gpio',
      '*.#',
      `server.${a.id}.#`,
      'server.#',
    ]) {
      const outcome = await asDevice(async (channel) => {
        await declareOwn(channel);
        await channel.bindQueue(own, 'amq.topic', key);
      });
      expect(outcome, key).toMatch(REFUSED);
    }
    for (const exchange of ['amq.rabbitmq.event', 'amq.direct', 'amq.rabbitmq.trace', '']) {
      const outcome = await asDevice(async (channel) => {
        await declareOwn(channel);
        await channel.bindQueue(own, exchange, '#');
      });
      expect(outcome, exchange).toMatch(REFUSED);
    }
    expect(await asDevice((channel) => channel.deleteQueue(own))).toBeNull();
  });

  test('it writes below its own name on amq.topic alone', async () => {
    for (const [exchange, key] of [
      ['', foreign],
      ['', own],
      ['amq.direct', 'x'],
      ['amq.fanout', ''],
      ['amq.rabbitmq.event', 'connection.created'],
      ['amq.topic', `${victim.id}.set_gpio`],
      ['amq.topic', `${a.id}.set_gpio`],
      ['amq.topic', `server.${victim.id}.hello`],
      ['amq.topic', `server.${a.id}`],
    ] as const) {
      expect(await publishing(exchange, key), `${exchange} ${key}`).toMatch(REFUSED);
    }
    expect(await publishing('amq.topic', `server.${a.id}.reply.instance-1`)).toBeNull();
    expect(gatewayGot).toEqual([`server.${a.id}.reply.instance-1`]);
    expect(await victimSees()).toEqual([]);
  });

  test('exchanges cannot be made, changed, removed or joined', async () => {
    expect(
      await asDevice((channel) => channel.assertExchange('amq.topic', 'topic', { durable: true })),
    ).toBeNull();
    expect(
      await asDevice((channel) =>
        channel.assertExchange('amq.topic', 'topic', { durable: true, alternateExchange: 'amq.fanout' }),
      ),
    ).toMatch(/PRECONDITION_FAILED/);
    expect(await asDevice((channel) => channel.assertExchange('evil', 'topic'))).toMatch(REFUSED);
    expect(await asDevice((channel) => channel.deleteExchange('amq.topic'))).toMatch(REFUSED);
    expect(await asDevice((channel) => channel.bindExchange('amq.topic', 'amq.topic', '#'))).toMatch(REFUSED);
    expect(await asDevice((channel) => channel.bindExchange('amq.topic', 'amq.rabbitmq.event', '#'))).toMatch(
      REFUSED,
    );
    expect(await asDevice((channel) => channel.bindExchange('amq.direct', 'amq.topic', `${a.id}.#`))).toMatch(
      REFUSED,
    );
  });

  test('it cannot pose as another user', async () => {
    expect(await publishing('amq.topic', `server.${a.id}.x`, { userId: 'postern-gateway' })).toMatch(
      /PRECONDITION_FAILED/,
    );
    expect(await publishing('amq.topic', `server.${a.id}.x`, { userId: victim.id })).toMatch(
      /PRECONDITION_FAILED/,
    );
    expect(await publishing('amq.topic', `server.${a.id}.x`, { userId: a.id })).toBeNull();
  });

  test('a message above the limit is refused', async () => {
    const outcome = await asDevice(async (channel) =>
      channel.publish('amq.topic', `server.${a.id}.x`, Buffer.alloc(300_000)),
    );
    expect(outcome).toMatch(/PRECONDITION_FAILED/);
    expect(gatewayGot).toEqual([]);
  });

  describe.each(['CC', 'BCC'] as const)('sender-selected distribution by %s', (header) => {
    test('is refused from 4.0 on; before, the victim sees the topic of the sender, never one of its own', async () => {
      const outcome = await publishing('amq.topic', `server.${a.id}.set_gpio`, {
        [header]: [`${victim.id}.set_gpio`],
      });
      const seen = await victimSees();
      if (checksCarbonCopies()) {
        expect(outcome).toMatch(REFUSED);
        expect(seen).toEqual([]);
      } else {
        // What remains on 3.x. A device that only obeys topics below its own id is safe from it.
        expect(outcome).toBeNull();
        expect(seen).toEqual([`server/${a.id}/set_gpio evil`]);
      }
    });
  });

  describe('dead letters', () => {
    test('cannot be sent to an exchange that the device may not write to', async () => {
      for (const deadLetterExchange of ['', 'amq.fanout', 'amq.direct']) {
        const outcome = await asDevice((channel) =>
          declareOwn(channel, { deadLetterExchange, deadLetterRoutingKey: foreign }),
        );
        expect(outcome, deadLetterExchange).toMatch(REFUSED);
      }
    });

    test('reach another device by way of amq.topic, unless the gateway heeds queue.created: it names the arguments', async () => {
      const outcome = await asDevice(async (channel) => {
        await declareOwn(channel, {
          deadLetterExchange: 'amq.topic',
          deadLetterRoutingKey: `${victim.id}.set_gpio`,
        });
        await channel.bindQueue(own, 'amq.topic', `${a.id}.#`);
        const rejected = new Promise<void>((resolve) => {
          void channel.consume(own, (message) => {
            if (message) channel.nack(message, false, false);
            resolve();
          });
        });
        gatewayChannel.publish('amq.topic', `${a.id}.set_gpio`, Buffer.from('evil'));
        await rejected;
      });
      expect(outcome).toBeNull();
      // No release so far checks this; should one begin to, this test says so.
      await eventually('the dead letter', () => victimGot.includes(`${victim.id}/set_gpio evil`));
      const created = events.find(({ key, headers }) => key === 'queue.created' && headers['name'] === own);
      expect(created?.headers['user_who_performed_action']).toBe(a.id);
      const names = (created?.headers['arguments'] as string[]).map(
        (text) => /<<"([^"]+)">>/.exec(text)?.[1],
      );
      expect(names).toEqual(expect.arrayContaining(['x-dead-letter-exchange', 'x-dead-letter-routing-key']));
    });

    test('the arguments of a queue of the contract are none, or the type classic', async () => {
      expect(await asDevice((channel) => declareOwn(channel))).toBeNull();
      await eventually('queue.created', () =>
        events.some(({ key, headers }) => key === 'queue.created' && headers['name'] === own),
      );
      const created = events.find(({ key, headers }) => key === 'queue.created' && headers['name'] === own);
      const allowed = [[], ['{<<"x-queue-type">>,longstr,<<"classic">>}']];
      expect(allowed).toContainEqual(created?.headers['arguments']);
      expect(await asDevice((channel) => channel.deleteQueue(own))).toBeNull();
    });

    test('a queue that breaks the rule can be removed, and its device closed, by the management API', async () => {
      const connection = await amqpOpen(bed, a);
      const channel = await connection.createConfirmChannel();
      channel.on('error', () => undefined);
      await declareOwn(channel, { deadLetterExchange: 'amq.topic', deadLetterRoutingKey: 'x' });
      await gatewayChannel.deleteQueue(own);
      const gone = new Promise((resolve) => connection.once('close', resolve));
      expect((await management(bed, `/api/connections/username/${a.id}`, { method: 'DELETE' })).status).toBe(
        204,
      );
      await gone;
    });
  });
});
