import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BrokerHarness, until, type Instance } from './harness.js';

let harness: BrokerHarness;
let gateway: Instance;

beforeAll(async () => {
  harness = await new BrokerHarness().start();
  gateway = await harness.instance();
}, 120_000);
afterAll(() => harness.stop());

const kinds = [
  ['an old MQTT 3.1 device', 'mqtt', { style: 'old' }, { version: '3.1' }],
  ['an old MQTT 3.1.1 device', 'mqtt', { style: 'old' }, {}],
  ['an old AMQP device', 'amqp', { style: 'old' }, {}],
  ['a protocol 2 device over MQTT 3.1.1', 'mqtt', { style: 'protocol2' }, {}],
  ['a protocol 2 device over AMQP', 'amqp', { style: 'protocol2' }, {}],
] as const;

describe.each(kinds)('%s', (_name, kind, options, more) => {
  it('answers calls, many at once, each its own', async () => {
    const registered = await harness.register();
    const device = harness.device(registered, kind, options, more);
    await until('the device is connected', () => gateway.presence.peek(registered.id)?.connected);
    if (options.style === 'protocol2')
      await until('hello', () => gateway.presence.peek(registered.id)?.protocol === 2);
    expect(await gateway.call(registered.id, 'set_gpio', { number: 12, value: 1 })).toEqual({
      number: 12,
      value: 1,
    });
    const replies = await Promise.all(
      Array.from({ length: 30 }, (_, number) =>
        gateway.call(registered.id, 'set_gpio', { number, value: number % 2 }),
      ),
    );
    expect(replies).toEqual(Array.from({ length: 30 }, (_, number) => ({ number, value: number % 2 })));
    expect(await gateway.call(registered.id, 'get_gpio', { number: 13 })).toEqual({ number: 13, value: 1 });
    const started = performance.now();
    for (let i = 0; i < 200; i++) await gateway.call(registered.id, 'get_gpio', { number: 12 });
    console.log(_name, ((performance.now() - started) / 200).toFixed(3), 'ms per call');
    await device.stop();
    await until('the device is away', () => gateway.presence.peek(registered.id)?.connected === false);
    await expect(gateway.call(registered.id, 'get_gpio', { number: 12 })).rejects.toMatchObject({
      code: 'DEVICE_OFFLINE',
    });
  });
});
