import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import amqplib from 'amqplib';
import { isAtLeast } from '@postern/broker-config';
import { openBed, testBrokers, type Bed } from './support/bed.js';
import { amqpOpen, management, mqttConnect, type MqttVersion } from './support/clients.js';

const brokers = await testBrokers();

type Device = ReturnType<Bed['device']>;

describe.each(brokers)('logins on $label', ({ home }) => {
  let bed: Bed;
  let a: Device;
  let b: Device;

  beforeAll(async () => {
    bed = await openBed({ home });
    a = bed.device('password-of-a');
    b = bed.device('password-of-b');
  }, 120_000);
  afterAll(async () => bed?.close(), 60_000);
  beforeEach(() => {
    bed.auth.questions.length = 0;
  });

  const since = (release: string): boolean => isAtLeast(bed.installation.version, release);
  const versions = (): MqttVersion[] => (since('3.13') ? [3, 4, 5] : [3, 4]);

  /** With the certificate of A. */
  const login = async (
    version: MqttVersion,
    options: { clientId?: string; username?: string; password?: string },
  ): Promise<void> => {
    const client = await mqttConnect(bed, a, { clientId: a.id, version, ...options });
    await client.endAsync();
  };

  test('the certificate alone is enough, in each version of MQTT', async () => {
    for (const version of versions()) await login(version, {});
  });

  test('MQTT 3.1 with its own name and password, QoS 0 reply included', async () => {
    const client = await mqttConnect(bed, a, {
      clientId: a.id,
      version: 3,
      username: a.id,
      password: 'password-of-a',
      maxVersion: 'TLSv1.2',
    });
    await client.subscribeAsync(`${a.id}/#`, { qos: 1 });
    const gateway = await amqpOpen(bed, bed.gateway);
    const channel = await gateway.createChannel();
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, 'amq.topic', `server.${a.id}.#`);
    const reply = new Promise<string>(
      (resolve) => void channel.consume(queue, (message) => resolve(message?.fields.routingKey ?? '')),
    );
    client.on('message', () => client.publish(`server/${a.id}/get_rtc`, '{}', { qos: 0 }));
    channel.publish('amq.topic', `${a.id}.get_rtc`, Buffer.from('{}'), { mandatory: true });
    expect(await reply).toBe(`server.${a.id}.get_rtc`);
    await gateway.close();
    await client.endAsync();
  });

  test('MQTT 5 is served from 3.13 on', async () => {
    if (since('3.13')) await login(5, {});
    else await expect(login(5, {})).rejects.toThrow();
  });

  /** All at once: RabbitMQ 4 takes 3 s over each refusal. */
  const allRefused = async (attempts: { name: string; attempt: Promise<void> }[]): Promise<void> => {
    const outcomes = await Promise.allSettled(attempts.map(({ attempt }) => attempt));
    const entered = attempts.filter((_, index) => outcomes[index]?.status === 'fulfilled');
    expect(entered.map(({ name }) => name)).toEqual([]);
  };

  test("with A's certificate nobody becomes B by a name, whatever the password, in each version of MQTT", async () => {
    for (const version of versions()) {
      const attempts = ['made-up', '', undefined, 'none', 'password-of-a'].flatMap((password) =>
        [a.id, b.id].map((clientId) => {
          const options = { clientId, username: b.id, ...(password !== undefined && { password }) };
          return { name: JSON.stringify({ version, ...options }), attempt: login(version, options) };
        }),
      );
      await allRefused(attempts);
    }
  });

  test("B's client id is not for A", async () => {
    for (const version of versions()) {
      await expect(login(version, { clientId: b.id })).rejects.toThrow();
      await expect(login(version, { clientId: '' })).rejects.toThrow();
      await expect(
        login(version, { clientId: b.id, username: a.id, password: 'password-of-a' }),
      ).rejects.toThrow();
    }
  });

  test("B's real password with A's certificate: refused from 4.0 on, 3.10 cannot tell", async () => {
    const stolen = login(4, { clientId: b.id, username: b.id, password: 'password-of-b' });
    if (since('4.0')) await expect(stolen).rejects.toThrow(/identifier/i);
    else await stolen;
  });

  test('a wrong password spoils the right certificate', async () => {
    for (const password of ['wrong', '']) {
      await expect(login(4, { username: a.id, password })).rejects.toThrow();
    }
    // A name without a password is no certificate login.
    await expect(login(4, { username: a.id })).rejects.toThrow();
  });

  test('guest, the gateway and the management user cannot log in with a device certificate', async () => {
    const passwords = {
      guest: 'guest',
      'postern-gateway': 'none',
      'postern-management': bed.policy.managementPassword,
    };
    await allRefused(
      Object.entries(passwords).flatMap(([user, password]) =>
        [a.id, user].flatMap((clientId) =>
          [user, `/:${user}`].map((username) => ({
            name: JSON.stringify({ clientId, username }),
            attempt: login(4, { clientId, username, password }),
          })),
        ),
      ),
    );
  });

  test("the gateway's certificate opens no MQTT session", async () => {
    await expect(mqttConnect(bed, bed.gateway, { clientId: 'postern-gateway' })).rejects.toThrow();
  });

  test('AMQP takes EXTERNAL alone', async () => {
    await (await amqpOpen(bed, a)).close();
    for (const credentials of [
      amqplib.credentials.plain('guest', 'guest'),
      amqplib.credentials.plain(b.id, 'password-of-b'),
      amqplib.credentials.plain('postern-management', bed.policy.managementPassword),
      amqplib.credentials.amqplain('guest', 'guest'),
    ]) {
      await expect(amqpOpen(bed, a, { credentials: credentials as never })).rejects.toThrow();
    }
    expect(
      bed.auth.questions
        .filter(({ path, answer }) => path === 'user' && answer === 'allow')
        .map(({ fields }) => fields['username']),
    ).toEqual(expect.arrayContaining([a.id]));
  });

  test('AMQP knows no other vhost', async () => {
    await expect(amqpOpen(bed, a, { vhost: 'other' })).rejects.toThrow();
  });

  test('a certificate that names no registered device is refused', async () => {
    const ghost = bed.device();
    bed.policy.devices.delete(ghost.id);
    await expect(mqttConnect(bed, ghost, { clientId: ghost.id })).rejects.toThrow();
    await expect(amqpOpen(bed, ghost)).rejects.toThrow();
    const posing = bed.pki.leaf({ commonName: 'postern-management', san: 'DNS:x' });
    await expect(amqpOpen(bed, posing)).rejects.toThrow();
  });

  test('what a logged in device may do is cached, its login never: a revocation bites at the next one', async () => {
    const device = bed.device();
    const session = async (): Promise<void> => {
      const client = await mqttConnect(bed, device, { clientId: device.id });
      await client.subscribeAsync(`${device.id}/#`, { qos: 1 });
      await client.endAsync();
    };
    const asked = (path: string): number =>
      bed.auth.questions.filter((question) => question.path === path).length;
    await session();
    bed.auth.questions.length = 0;
    await session();
    expect({
      user: asked('user'),
      vhost: asked('vhost'),
      resource: asked('resource'),
      topic: asked('topic'),
    }).toEqual({
      user: 1,
      vhost: 0,
      resource: 0,
      topic: 0,
    });
    bed.policy.devices.set(device.id, { revoked: true });
    await expect(session()).rejects.toThrow();
    await expect(amqpOpen(bed, device)).rejects.toThrow();
    bed.policy.devices.set(device.id, {});
    await session();
  });

  test('many logins at once ask over connections that are kept: the next ones need no new ones', async () => {
    const crowd = Array.from({ length: 60 }, () => bed.device());
    const enter = async (count: number): Promise<void> => {
      const clients = await Promise.all(
        crowd.slice(0, count).map((one) => mqttConnect(bed, one, { clientId: one.id })),
      );
      await Promise.all(clients.map((client) => client.endAsync()));
    };
    // From few connections on: as long as there is none, each question makes one.
    bed.auth.closeIdle();
    await enter(1);
    bed.auth.thinkMs = 200;
    try {
      await enter(8);
      await enter(crowd.length);
      const made = bed.auth.connections();
      bed.auth.questions.length = 0;
      await enter(crowd.length);
      expect(bed.auth.questions.length).toBeGreaterThanOrEqual(crowd.length);
      expect(bed.auth.connections()).toBe(made);
    } finally {
      bed.auth.thinkMs = 0;
    }
  });

  test('the broker shows the policy server its certificate, and the password never leaves in a URL', async () => {
    await login(4, { username: a.id, password: 'password-of-a' });
    expect([...bed.auth.callers]).toEqual(['postern-broker']);
    expect(bed.auth.questions.length).toBeGreaterThan(0);
    expect(
      bed.auth.questions.every(({ path }) => ['user', 'vhost', 'resource', 'topic'].includes(path)),
    ).toBe(true);
  });

  describe('management', () => {
    test('serves the management user alone: no user is stored, guest included', async () => {
      const users = await management(bed, '/api/users');
      expect(users.status).toBe(200);
      expect(await users.json()).toEqual([]);
      for (const [user, password] of [
        ['guest', 'guest'],
        ['postern-management', 'wrong'],
        ['postern-management', ''],
        [a.id, 'password-of-a'],
        ['postern-gateway', 'none'],
        ['postern-gateway', ''],
      ] as const) {
        const response = await management(bed, '/api/connections', { user, password });
        expect(response.status, user).toBe(401);
      }
      expect((await fetch(`${bed.node.managementUrl}/api/overview`)).status).toBe(401);
    });

    test('lists connections with user, protocol and peer, and closes all of one user', async () => {
      const device = bed.device();
      const [mqtt, amqp, other] = [
        await mqttConnect(bed, device, { clientId: device.id }),
        await amqpOpen(bed, device),
        await mqttConnect(bed, b, { clientId: b.id }),
      ];
      type Row = {
        user: string;
        name: string;
        protocol: string;
        peer_host: string;
        client_properties?: object;
      };
      const rows = async (): Promise<Row[]> => {
        const all = (await (await management(bed, '/api/connections')).json()) as Row[];
        return all.filter(({ user }) => user === device.id);
      };
      await expect.poll(async () => (await rows()).length, { timeout: 10_000 }).toBe(2);
      const found = await rows();
      expect(found.map(({ peer_host }) => peer_host)).toEqual(['127.0.0.1', '127.0.0.1']);
      expect(found.map(({ protocol }) => protocol).sort()).toEqual([
        'AMQP 0-9-1',
        since('3.13') ? 'MQTT 3-1-1' : 'MQTT 3.1.1',
      ]);
      expect(found.find(({ protocol }) => protocol.startsWith('MQTT'))?.client_properties).toMatchObject({
        client_id: device.id,
      });
      const closed = Promise.all([
        new Promise<void>((resolve) => mqtt.once('close', () => resolve())),
        new Promise<void>((resolve) => amqp.once('close', () => resolve())),
      ]);
      const response = await management(bed, `/api/connections/username/${device.id}`, { method: 'DELETE' });
      expect(response.status).toBe(204);
      await closed;
      expect(other.connected).toBe(true);
      await other.endAsync();
    });

    test('shows the arguments of a queue, but neither publishes nor reads messages', async () => {
      const device = bed.device();
      const queue = `mqtt-subscription-${device.id}qos1`;
      const amqp = await amqpOpen(bed, device);
      const channel = await amqp.createChannel();
      await channel.assertQueue(queue, { autoDelete: true, durable: false, messageTtl: 60_000 });
      const listed = await management(bed, '/api/queues/%2F?columns=name,arguments');
      expect(listed.status).toBe(200);
      expect(await listed.json()).toContainEqual({
        name: queue,
        arguments: expect.objectContaining({ 'x-message-ttl': 60_000 }) as unknown,
      });
      const message = {
        properties: {},
        routing_key: `${device.id}.x`,
        payload: 'x',
        payload_encoding: 'string',
      };
      const get = { count: 1, ackmode: 'ack_requeue_true', encoding: 'auto' };
      for (const [path, body] of [
        ['/api/exchanges/%2F/amq.topic/publish', message],
        [`/api/queues/%2F/${queue}/get`, get],
      ] as const) {
        const response = await management(bed, path, { method: 'POST', body: JSON.stringify(body) });
        expect(response.status, path).toBeGreaterThanOrEqual(400);
        expect(await response.text()).toMatch(/refused|not_authorized|ACCESS_REFUSED/i);
      }
      await amqp.close();
    });
  });
});
