import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { METHODS, METHOD_NAME_PATTERN, helloSchema, newDeviceId, type JsonObject } from '@postern/protocol';
import {
  startAmqpDevice,
  startMqttDevice,
  type Faults,
  type MqttDeviceOptions,
  type RunningDevice,
  type SimulatedDeviceOptions,
} from '@postern/simulators';
import { GatewayClient } from './support/gateway-client.js';
import { PrivateBroker, brokerKinds, type BrokerKind } from './support/private-broker.js';
import { until } from './support/until.js';
import { METHOD_VECTORS } from './support/vectors.js';

interface Wire {
  name: string;
  style: 'old' | 'protocol2';
  transport: 'mqtt' | 'amqp';
  mqtt?: Pick<MqttDeviceOptions, 'version' | 'tls12Only'>;
  /** Where the correlation travels. */
  correlation: 'none' | 'payload' | 'amqp' | 'mqtt5';
}

const WIRES: readonly Wire[] = [
  {
    name: 'old, MQTT 3.1 and TLS 1.2',
    style: 'old',
    transport: 'mqtt',
    mqtt: { version: '3.1', tls12Only: true },
    correlation: 'none',
  },
  { name: 'old, MQTT 3.1.1', style: 'old', transport: 'mqtt', correlation: 'none' },
  { name: 'old, AMQP', style: 'old', transport: 'amqp', correlation: 'none' },
  { name: 'protocol 2, MQTT 3.1.1', style: 'protocol2', transport: 'mqtt', correlation: 'payload' },
  { name: 'protocol 2, AMQP', style: 'protocol2', transport: 'amqp', correlation: 'amqp' },
  {
    name: 'protocol 2, MQTT 5',
    style: 'protocol2',
    transport: 'mqtt',
    mqtt: { version: '5' },
    correlation: 'mqtt5',
  },
];

const wiresOf = (kind: BrokerKind): Wire[] =>
  WIRES.filter((wire) => kind.mqtt5 || wire.mqtt?.version !== '5');

describe.each(brokerKinds())('devices on $name', (kind) => {
  const wires = wiresOf(kind).map((wire) => ({ ...wire, id: newDeviceId() }));
  let broker: PrivateBroker;
  let gateway: GatewayClient;
  let running: RunningDevice;

  beforeAll(async () => {
    broker = await PrivateBroker.start(
      kind,
      wires.map(({ id }) => id),
    );
    for (const { id } of wires) broker.pki.issueDevice(id);
  }, 120_000);
  afterAll(async () => broker?.remove());
  beforeEach(async () => {
    gateway = await GatewayClient.connect(broker);
  });
  afterEach(async () => {
    await running?.stop();
    await gateway.close();
  });

  function start(
    wire: Wire & { id: string },
    more: {
      device?: Partial<SimulatedDeviceOptions>;
      faults?: Partial<Faults>;
    } & Partial<Omit<MqttDeviceOptions, 'device'>> = {},
  ): RunningDevice {
    const { device, faults, ...options } = more;
    const common = {
      credentials: { ca: broker.pki.rootPath, ...broker.pki.pathsOf(wire.id) },
      restartMs: 10,
      backoff: { baseMs: 50, capMs: 400 },
      ...options,
      device: { deviceId: wire.id, style: wire.style, listExecutions: true, ...device, faults: faults ?? {} },
    };
    running =
      wire.transport === 'amqp'
        ? startAmqpDevice({ ...common, endpoint: { host: 'localhost', port: broker.amqpsPort } })
        : startMqttDevice({
            ...common,
            ...wire.mqtt,
            endpoint: { host: 'localhost', port: broker.mqttsPort },
          });
    return running;
  }

  async function connected(device: RunningDevice): Promise<void> {
    await until('the device is connected', () => device.connected);
    if (device.device.style === 'protocol2') await gateway.next(`server.${device.device.deviceId}.hello`);
    else
      await new Promise<void>((resolve) =>
        device.connected ? resolve() : device.once('connected', () => resolve()),
      );
  }

  /** Publishes as the wire has it; gives the key that the reply comes under. */
  function send(wire: Wire & { id: string }, method: string, request: JsonObject, id: string): string {
    const replyKey =
      wire.correlation === 'none' ? `server.${wire.id}.${method}` : `server.${wire.id}.reply.${id}`;
    const topic = replyKey.replaceAll('.', '/');
    switch (wire.correlation) {
      case 'none':
        gateway.publish(wire.id, method, request);
        break;
      case 'payload':
        gateway.publish(wire.id, method, { ...request, responseTopic: topic, correlationId: id });
        break;
      case 'amqp':
        gateway.publish(wire.id, method, request, { replyTo: replyKey, correlationId: id });
        break;
      case 'mqtt5':
        gateway.publish(wire.id, method, request, {
          correlationId: id,
          headers: { 'x-reply-to-topic': topic },
        });
    }
    return replyKey;
  }

  /** Sends, and gives the reply's body, freed of the correlation, which is checked. */
  async function call(wire: Wire & { id: string }, method: string, request: JsonObject, id: string) {
    const replyKey = send(wire, method, request, id);
    // In the same turn of the event loop: none of the replies counted is the one to come.
    const before = gateway.count(replyKey);
    const reply = await gateway.next(replyKey, { after: before });
    const { correlationId, ...body } = reply.json;
    if (wire.correlation === 'payload') expect(correlationId).toBe(id);
    else if (wire.correlation !== 'none') expect(reply.correlationId).toBe(id);
    if (wire.correlation !== 'payload') expect(correlationId).toBeUndefined();
    return body;
  }

  describe.each(wires)('$name', (wire) => {
    it('answers every method of the wire contract', async () => {
      await connected(start(wire));
      const vectors = METHOD_VECTORS.filter((vector) => wire.style === 'protocol2' || !vector.protocol2Only);
      const order = [...vectors].sort(
        // A restart in the middle would lose the calls after it.
        (a, b) => Number(a.method === 'set_status') - Number(b.method === 'set_status'),
      );
      const asked = new Set<string>();
      for (const [index, { method, request, reply, replyVaries }] of order.entries()) {
        const answer = await call(wire, method, request, `c-${index}`);
        asked.add(method);
        if (replyVaries) expect(METHODS.get(method)!.reply.safeParse(answer).success, method).toBe(true);
        else expect(answer, method).toEqual(reply);
      }
      expect(asked).toEqual(new Set(METHODS.keys()));
    });

    it(wire.style === 'old' ? 'says no hello' : 'says hello after each connect', async () => {
      const device = start(wire);
      await connected(device);
      const helloKey = `server.${wire.id}.hello`;
      if (wire.style === 'old') {
        await call(wire, 'get_status', {}, 'c-1');
        expect(gateway.count(helloKey)).toBe(0);
        return;
      }
      const hello = helloSchema.parse((await gateway.next(helloKey)).json);
      expect(hello.methods).toEqual([...METHODS.keys()]);
      expect(hello.methods.every((method) => METHOD_NAME_PATTERN.test(method))).toBe(true);
      device.disconnect();
      await gateway.next(helloKey, { after: 1 });
    });

    it('restarts after its reply and comes back with pins at 0', async () => {
      const device = start(wire);
      await connected(device);
      await call(wire, 'set_gpio', { number: 5, value: 1 }, 'c-1');
      const back = new Promise<void>((resolve) =>
        device.once('restart', () => device.once('connected', () => resolve())),
      );
      expect(await call(wire, 'set_status', { status: 'restart' }, 'c-2')).toEqual({ status: 'restarting' });
      await back;
      expect(await call(wire, 'get_gpio', { number: 5 }, 'c-3')).toEqual({ number: 5, value: 0 });
    });

    it('comes back after a cut connection, again and again', async () => {
      const device = start(wire, { faults: { disconnectMeanMs: 30 } });
      let cuts = 0;
      device.on('disconnected', ({ reason }) => {
        expect(reason).toBe('cut on demand');
        cuts += 1;
      });
      await until('three cuts', () => cuts >= 3, 20_000);
      device.setFaults({ disconnectMeanMs: 0 });
      await until('it is connected', () => device.connected);
      device.removeAllListeners('disconnected');
      // The broker may still count the cut connection as a consumer, and give it the first of these.
      const keys = new Set<string>();
      let polls = 0;
      const reply = await until('it answers again', () => {
        if (polls++ % 25 === 0) keys.add(send(wire, 'get_status', {}, `again-${polls}`));
        return gateway.received.find(({ key }) => keys.has(key));
      });
      expect(JSON.parse(reply.text)).toMatchObject({ status: 'running' });
    });

    it('is known to be away once it has stopped', async () => {
      const device = start(wire);
      await connected(device);
      await device.stop();
      await until('the queue is gone', () => {
        gateway.publish(wire.id, 'get_status', {});
        return gateway.returned.includes(`${wire.id}.get_status`);
      });
      expect(device.connected).toBe(false);
    });

    if (wire.style === 'protocol2') {
      it('answers many calls in the order they get done, each once, and executes a repeated id once', async () => {
        const device = start(wire, { faults: { delayMs: { min: 0, max: 80 } }, device: { seed: '1' } });
        await connected(device);
        const numbers = Array.from({ length: 30 }, (_, index) => index);
        const answers = await Promise.all(
          numbers.map((number) => call(wire, 'get_gpio', { number }, `c-${number}`)),
        );
        expect(answers).toEqual(numbers.map((number) => ({ number, value: 0 })));
        const order = gateway.received.filter(({ key }) => key.includes('.reply.')).map(({ key }) => key);
        expect(order).toHaveLength(30);
        expect(order).not.toEqual([...numbers].map((number) => `server.${wire.id}.reply.c-${number}`));

        await call(wire, 'get_gpio', { number: 0 }, 'c-0');
        expect(device.device.snapshot().executions.every(({ times }) => times === 1)).toBe(true);
        expect(device.device.counters.repeated).toBe(1);
      });

      it('refuses a response topic that is not its own, and stays', async () => {
        const device = start(wire);
        await connected(device);
        const foreign = `server/${newDeviceId()}/reply/i1`;
        const key = `server.${wire.id}.get_status`;
        if (wire.correlation === 'payload') {
          gateway.publish(wire.id, 'get_status', { responseTopic: foreign, correlationId: 'c-1' });
        } else if (wire.correlation === 'amqp') {
          gateway.publish(
            wire.id,
            'get_status',
            {},
            { replyTo: foreign.replaceAll('/', '.'), correlationId: 'c-1' },
          );
        } else {
          gateway.publish(
            wire.id,
            'get_status',
            {},
            { correlationId: 'c-1', headers: { 'x-reply-to-topic': foreign } },
          );
        }
        expect((await gateway.next(key)).json).toMatchObject({ error: { code: 'BAD_REQUEST' } });
        expect(await call(wire, 'get_status', {}, 'c-2')).toEqual({ status: 'running' });
      });
    }
  });

  it.each([
    { said: 'nothing', options: {}, deliveryMode: 1 },
    { said: 'QoS 0', options: { replyQos: 0 as const }, deliveryMode: 1 },
    { said: 'QoS 1', options: { replyQos: 1 as const }, deliveryMode: 2 },
  ])(
    'an MQTT device that was told $said replies at that, or else at QoS 0',
    async ({ options, deliveryMode }) => {
      for (const wire of wires.filter(({ name }) => / MQTT 3\.1\.1$/.test(name))) {
        const device = start(wire, options);
        await connected(device);
        const reply = await gateway.next(send(wire, 'get_mac', {}, 'qos'));
        expect([wire.name, reply.deliveryMode]).toEqual([wire.name, deliveryMode]);
        await device.stop();
      }
    },
  );

  it('an old MQTT device logs in by name and password too', async () => {
    const wire = wires.find(({ style, transport }) => style === 'old' && transport === 'mqtt')!;
    await connected(start(wire, { username: wire.id, password: `pw-${wire.id}` }));
    expect(await call(wire, 'get_status', {}, 'c-1')).toEqual({ status: 'running' });
  });

  it('a session that outlives its connection gets what came meanwhile', async () => {
    const wire = wires.find(({ name }) => name === 'protocol 2, MQTT 3.1.1')!;
    const device = start(wire, { persistentSession: true });
    await connected(device);
    device.disconnect({ pauseMs: 200 });
    await until('it is away', () => !device.connected);
    expect(await call(wire, 'set_gpio', { number: 1, value: 1 }, 'c-1')).toEqual({ number: 1, value: 1 });
    expect(gateway.returned).toEqual([]);
    await device.stop();
    // Leave no queue behind for the tests after this one.
    await connected(start(wire));
  });

  it('the broker goes and comes back: every kind of device is there again', async () => {
    const devices = wires.map((wire) => start(wire));
    try {
      for (const device of devices) await until('it is connected', () => device.connected);
      await gateway.close().catch(() => undefined);
      await broker.down();
      for (const device of devices) await until('it has noticed', () => !device.connected);
      await broker.up();
      gateway = await GatewayClient.connect(broker);
      for (const device of devices) await until('it is back', () => device.connected, 20_000);
      for (const wire of wires)
        expect(await call(wire, 'get_status', {}, 'c-1')).toEqual({ status: 'running' });
    } finally {
      await Promise.all(devices.map((device) => device.stop()));
    }
  }, 120_000);
});
