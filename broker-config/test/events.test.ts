import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ChannelModel } from 'amqplib';
import { isAtLeast } from '@postern/broker-config';
import { openBed, testBrokers, type Bed } from './support/bed.js';
import { amqpOpen, eventually, mqttConnect } from './support/clients.js';

const brokers = await testBrokers();

type Headers = Record<string, unknown>;

/** The tables of README.md, "Events", as a test: the gateway's presence is built on them. */
describe.each(brokers)('events on $label', ({ home }) => {
  let bed: Bed;
  let gateway: ChannelModel;
  const events: { key: string; headers: Headers; bytes: number }[] = [];

  beforeAll(async () => {
    bed = await openBed({ home });
    gateway = await amqpOpen(bed, bed.gateway);
    const channel = await gateway.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, 'amq.rabbitmq.event', '#');
    await channel.consume(
      queue,
      (message) => {
        if (!message) return;
        events.push({
          key: message.fields.routingKey,
          headers: { ...message.properties.headers },
          bytes: message.content.length,
        });
      },
      { noAck: true },
    );
  }, 120_000);
  afterAll(async () => {
    await gateway?.close().catch(() => undefined);
    await bed?.close();
  }, 60_000);

  const event = async (key: string, match: (headers: Headers) => boolean): Promise<Headers> => {
    const find = () => events.find((entry) => entry.key === key && match(entry.headers));
    await eventually(key, () => find() !== undefined);
    const found = find();
    expect(found?.bytes).toBe(0);
    return found?.headers ?? {};
  };
  const isNew = (): boolean => isAtLeast(bed.installation.version, '3.13');
  const CONNECTION_NAME = /^127\.0\.0\.1:\d+ -> 127\.0\.0\.1:\d+$/;

  test('an MQTT connection comes with user, client id, protocol and name, and goes with its name', async () => {
    const versions = isNew()
      ? ([
          [3, "{'MQTT',{3,1,0}}"],
          [4, "{'MQTT',{3,1,1}}"],
          [5, "{'MQTT',{5,0}}"],
        ] as const)
      : ([
          [3, `{'MQTT',"3.1.0"}`],
          [4, `{'MQTT',"3.1.1"}`],
        ] as const);
    for (const [version, protocol] of versions) {
      const device = bed.device();
      const client = await mqttConnect(bed, device, { clientId: device.id, version });
      const created = await event('connection.created', ({ user }) => user === device.id);
      expect(created).toMatchObject({
        user: device.id,
        protocol,
        vhost: '/',
        ssl: true,
        peer_host: '{127,0,0,1}',
        peer_cert_subject: `CN=${device.id}`,
        name: expect.stringMatching(CONNECTION_NAME),
        pid: expect.stringMatching(/^<.+>$/),
      });
      if (isNew()) expect(created['client_properties']).toEqual([`{client_id,longstr,<<"${device.id}">>}`]);
      else expect(created['variable_map']).toBe(`#{<<"client_id">> => <<"${device.id}">>}`);
      await client.endAsync();
      const gone = await event('connection.closed', ({ name }) => name === created['name']);
      expect(gone['pid']).toBe(created['pid']);
      expect(gone['user']).toBe(isNew() ? device.id : undefined);
    }
  });

  test('an AMQP connection comes with user and name, and goes with its name alone', async () => {
    const device = bed.device();
    const connection = await amqpOpen(bed, device);
    const created = await event('connection.created', ({ user }) => user === device.id);
    expect(created).toMatchObject({
      protocol: '{0,9,1}',
      type: 'network',
      auth_mechanism: 'EXTERNAL',
      peer_cert_subject: `CN=${device.id}`,
      name: expect.stringMatching(CONNECTION_NAME),
    });
    await connection.close();
    const gone = await event('connection.closed', ({ name }) => name === created['name']);
    expect(gone['user']).toBeUndefined();
  });

  test("a device's queue comes and goes with its name", async () => {
    const device = bed.device();
    const name = `mqtt-subscription-${device.id}qos1`;
    const client = await mqttConnect(bed, device, { clientId: device.id });
    await client.subscribeAsync(`${device.id}/#`, { qos: 1 });
    const created = await event('queue.created', (headers) => headers['name'] === name);
    expect(created).toMatchObject({ user_who_performed_action: device.id, vhost: '/', arguments: [] });
    await client.endAsync();
    const gone = await event('queue.deleted', (headers) => headers['name'] === name);
    expect(gone['vhost']).toBe('/');
  });
});
