import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDeviceId } from '@postern/protocol';
import { startMqttDevice } from '@postern/simulators';
import { PrivateBroker, brokerKinds } from './support/private-broker.js';

describe.each(brokerKinds())('an MQTT device on $name', (kind) => {
  const id = newDeviceId();
  let broker: PrivateBroker;
  beforeAll(async () => {
    broker = await PrivateBroker.start(kind, [id]);
  });
  afterAll(async () => broker?.remove());
  it('connects', async () => {
    const device = startMqttDevice({
      endpoint: { host: 'localhost', port: broker.mqttsPort },
      credentials: { ca: broker.pki.rootPath, ...broker.pki.issueDevice(id) },
      device: { deviceId: id },
    });
    device.on('connectFailed', (e) => console.log(e));
    const { tookMs } = await new Promise<{ tookMs: number }>((resolve) => device.once('connected', resolve));
    expect(tookMs).toBeGreaterThan(0);
    await device.stop();
  });
});
