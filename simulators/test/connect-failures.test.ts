import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newDeviceId } from '@postern/protocol';
import {
  startAmqpDevice,
  startMqttDevice,
  type ConnectFailure,
  type CredentialFiles,
  type RunningDevice,
} from '@postern/simulators';
import { PrivateBroker, brokerKinds } from './support/private-broker.js';
import { TestPki } from './support/test-pki.js';

describe.each(brokerKinds())('what keeps a device out of $name is said with what to check', (kind) => {
  const id = newDeviceId();
  const stranger = newDeviceId();
  let broker: PrivateBroker;
  let foreign: TestPki;
  beforeAll(async () => {
    broker = await PrivateBroker.start(kind, [id]);
    broker.pki.issueDevice(id);
    broker.pki.issueDevice(stranger);
    foreign = new TestPki(join(broker.folder, 'foreign'));
    foreign.issueDevice(id);
  }, 120_000);
  afterAll(async () => broker?.remove());

  /** Waits for two failures: it says what is wrong and keeps trying. */
  async function failureOf(start: () => RunningDevice): Promise<ConnectFailure> {
    const running = start();
    const failures: ConnectFailure[] = [];
    try {
      return await new Promise((resolve, reject) => {
        running.on('connected', () => reject(new Error('it connected')));
        running.on('connectFailed', (failure) => {
          failures.push(failure);
          if (failures.length === 2) resolve(failures[0]!);
        });
      });
    } finally {
      running.removeAllListeners('connected');
      await running.stop();
    }
  }

  const own = (): CredentialFiles => ({ ca: broker.pki.rootPath, ...broker.pki.pathsOf(id) });

  describe.each(['mqtt', 'amqp'] as const)('over %s', (transport) => {
    const attempt = (more: {
      deviceId?: string;
      host?: string;
      port?: number;
      credentials?: CredentialFiles;
      username?: string;
      password?: string;
    }): Promise<ConnectFailure> =>
      failureOf(() => {
        const { deviceId = id, host = 'localhost', credentials = own(), ...login } = more;
        const port = more.port ?? (transport === 'mqtt' ? broker.mqttsPort : broker.amqpsPort);
        const options = {
          endpoint: { host, port },
          credentials,
          device: { deviceId },
          backoff: { baseMs: 10, capMs: 50 },
        };
        return transport === 'mqtt'
          ? startMqttDevice({ ...options, username: login.username, password: login.password })
          : startAmqpDevice(options);
      });

    it('nobody listens', async () => {
      expect(await attempt({ port: 1 })).toMatchObject({
        code: 'BROKER_UNREACHABLE',
        message: expect.stringContaining('host and port') as string,
      });
    });

    it('the broker is not of our CA', async () => {
      const credentials = { ...own(), ca: foreign.rootPath };
      expect(await attempt({ credentials })).toMatchObject({
        code: 'BROKER_UNTRUSTED',
        message: expect.stringContaining('rootca.pem') as string,
      });
    });

    it("the broker's certificate is for another name", async () => {
      expect(await attempt({ host: '127.0.0.1' })).toMatchObject({ code: 'BROKER_UNTRUSTED' });
    });

    it("the device's certificate is of another CA", async () => {
      const credentials = { ca: broker.pki.rootPath, ...foreign.pathsOf(id) };
      expect(await attempt({ credentials })).toMatchObject({ code: 'CERTIFICATE_REFUSED' });
    });

    it('the device shows no certificate', async () => {
      const credentials = { ca: broker.pki.rootPath };
      expect(await attempt({ credentials })).toMatchObject({ code: 'CERTIFICATE_REFUSED' });
    });

    it('the broker does not know the device', async () => {
      const credentials = { ca: broker.pki.rootPath, ...broker.pki.pathsOf(stranger) };
      expect(await attempt({ deviceId: stranger, credentials })).toMatchObject({
        code: 'LOGIN_REFUSED',
        message: expect.stringContaining('registered and not revoked') as string,
      });
    });

    it("the id is another device's", async () => {
      expect((await attempt({ deviceId: stranger })).code).toMatch(
        /^(LOGIN_REFUSED|NOT_ALLOWED|CONNECTION_LOST)$/,
      );
    });

    if (transport === 'mqtt') {
      it('the password is wrong', async () => {
        const password = 'not-it-7f3a';
        const failure = await attempt({ username: id, password });
        expect(failure.code).toBe('LOGIN_REFUSED');
        expect(failure.message).not.toContain(password);
      });
    }
  });

  it('a folder of rubbish is refused before anything is sent', () => {
    const path = join(broker.folder, 'rubbish.pem');
    writeFileSync(path, 'rubbish');
    const start = (files: Partial<CredentialFiles>) => () =>
      startMqttDevice({
        endpoint: { host: 'localhost', port: broker.mqttsPort },
        credentials: { ...own(), ...files },
        device: { deviceId: id },
      });
    expect(start({ ca: path })).toThrow(/holds no PEM certificate/);
    expect(start({ cert: path })).toThrow(/holds no PEM certificate/);
    expect(start({ key: path })).toThrow(/holds no PEM key/);
    expect(start({ key: join(broker.folder, 'absent.pem') })).toThrow(/there is no such file/);
    expect(start({ key: broker.pki.pathsOf(stranger).key })).toThrow(/does not belong to/);
    writeFileSync(path, '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
    expect(start({ cert: path })).toThrow(/damaged certificate/);
  });
});
