import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer as createTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { BrokerNode, detectBroker } from '@postern/broker-config';
import { createKeyFile, openOrCreateAuthority, type Authority } from '@postern/certs';
import { BROKER_CLIENT_COMMON_NAME, newDeviceId, type JsonObject } from '@postern/protocol';
import { startAmqpDevice, startMqttDevice, type SimulatedDeviceOptions } from '@postern/simulators';
import { BrokerLink, ManagementClient } from '../../dist/broker/index.js';
import {
  DeviceAccess,
  MANAGEMENT_USERNAME,
  hashDevicePassword,
  type TopicQuestion,
} from '../../dist/domain/device-access.js';
import { DirectMethodEngine, type DirectMethodLimits } from '../../dist/domain/direct-methods/index.js';
import { PresenceDirectory } from '../../dist/domain/presence.js';
import { createBrokerAuthServer } from '../../dist/http/broker-auth.js';
import { openSqliteStore } from '../../dist/store/sqlite/index.js';

const MANAGEMENT_PASSWORD = 'only-for-this-test-run';

async function freePort(): Promise<number> {
  const server = createTcp().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export async function until<T>(
  what: string,
  probe: () => T | Promise<T>,
  timeoutMs = 20_000,
): Promise<NonNullable<T>> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value as NonNullable<T>;
    if (Date.now() > deadline) throw new Error(`timed out waiting until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

export interface Instance {
  readonly link: BrokerLink;
  readonly engine: DirectMethodEngine;
  readonly presence: PresenceDirectory;
  call(deviceId: string, method: string, payload?: JsonObject, timeoutMs?: number): Promise<JsonObject>;
  close(): Promise<void>;
}

export interface Registered {
  readonly id: string;
  readonly password: string;
  readonly credentials: { ca: string; cert: string; key: string };
}

class WatchedAccess extends DeviceAccess {
  readonly topicQuestions: TopicQuestion[] = [];

  override topic(question: TopicQuestion): boolean {
    this.topicQuestions.push(question);
    return super.topic(question);
  }
}

/** A real broker that asks a real registry, with gateway instances and devices on it. */
export class BrokerHarness {
  readonly dir = mkdtempSync(join(tmpdir(), 'postern-broker-'));
  readonly cleanups: (() => unknown)[] = [];
  node!: BrokerNode;
  authority!: Authority;
  store!: Awaited<ReturnType<typeof openSqliteStore>>;
  ports!: { amqps: number; mqtts: number };
  /** What the broker has asked about routing keys. */
  topicQuestions!: readonly TopicQuestion[];
  private instances = 0;

  async start(): Promise<this> {
    const keyFile = join(this.dir, 'ca.key');
    await createKeyFile(keyFile);
    this.authority = await openOrCreateAuthority({
      dir: join(this.dir, 'ca'),
      keyFile,
      crlUrl: 'https://localhost/ca/issuing.crl',
    });
    this.store = await openSqliteStore({ file: join(this.dir, 'registry.db') });
    this.cleanups.push(() => this.store.close());
    const access = new WatchedAccess({ devices: this.store, managementPassword: MANAGEMENT_PASSWORD });
    this.topicQuestions = access.topicQuestions;
    const listener = await this.authority.issueHttpsServer({ dnsNames: ['localhost'] });
    const asker = await this.authority.issueGatewayClient({ commonName: BROKER_CLIENT_COMMON_NAME });
    const auth = createBrokerAuthServer({
      access,
      logger: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
      tls: { cert: listener.chainPem, key: listener.privateKeyPem!, ca: this.authority.trustBundlePem },
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => auth.once('listening', resolve));
    this.cleanups.push(() => {
      auth.closeAllConnections();
      auth.close();
    });
    const installation = await detectBroker();
    const server = await this.authority.issueBrokerServer({
      dnsNames: ['localhost'],
      ipAddresses: ['127.0.0.1'],
    });
    const bundle = this.write('bundle.pem', this.authority.trustBundlePem);
    this.ports = { amqps: await freePort(), mqtts: await freePort() };
    const dialect = installation.version.major >= 4 ? 'v4' : 'v3';
    this.node = new BrokerNode({
      installation,
      dataDir: join(this.dir, 'broker'),
      config: {
        tls: {
          caFile: bundle,
          certFile: this.write('broker.pem', server.chainPem),
          keyFile: this.write('broker.key', server.privateKeyPem!),
        },
        mqtts: { address: '127.0.0.1', port: this.ports.mqtts },
        amqps: { address: '127.0.0.1', port: this.ports.amqps },
        authBackend: {
          url: `https://127.0.0.1:${(auth.address() as AddressInfo).port}/${dialect}`,
          tls: {
            caFile: bundle,
            certFile: this.write('asker.pem', asker.chainPem),
            keyFile: this.write('asker.key', asker.privateKeyPem!),
          },
        },
      },
    });
    this.cleanups.push(() => this.node.stop());
    await this.node.start();
    return this;
  }

  async instance(limits: Partial<DirectMethodLimits> = {}): Promise<Instance> {
    const instanceId = `i${++this.instances}`;
    const issued = await this.authority.issueGatewayClient();
    let engine: DirectMethodEngine | null = null;
    const presence = new PresenceDirectory({
      store: this.store,
      onConnected: (id) => engine?.onDeviceConnected(id),
    });
    const link = new BrokerLink({
      url: `amqps://localhost:${this.ports.amqps}`,
      tls: {
        caFile: this.write('rootca.pem', this.authority.rootCaPem),
        certFile: this.write(`${instanceId}.pem`, issued.chainPem),
        keyFile: this.write(`${instanceId}.key`, issued.privateKeyPem!),
      },
      instanceId,
      management: new ManagementClient({
        url: this.node.managementUrl,
        username: MANAGEMENT_USERNAME,
        password: MANAGEMENT_PASSWORD,
      }),
      presence,
      logger: pino({ level: process.env['TEST_LOG'] ?? 'silent' }),
      onChange: () => {},
    });
    engine = new DirectMethodEngine({
      transport: link,
      presence,
      limits,
      onBug: (error) => {
        throw error;
      },
    });
    await link.start(engine);
    await until('the instance is connected', () => link.ready);
    const close = async (): Promise<void> => {
      engine.close();
      await link.close();
    };
    this.cleanups.push(close);
    return {
      link,
      engine,
      presence,
      call: (deviceId, method, payload = {}, timeoutMs = 5_000) =>
        engine.call({ deviceId, method, payload, timeoutMs, requestId: 'test' }),
      close,
    };
  }

  async register(): Promise<Registered> {
    const id = newDeviceId();
    const issued = await this.authority.issueDevice({ deviceId: id });
    const password = `pw-${id}`;
    const outcome = await this.store.insertDevice(
      {
        id,
        ownerId: 'owner',
        name: id,
        createdAt: Date.now(),
        origin: 'flat',
        keyType: 'ec-p256',
        passwordHash: hashDevicePassword(password),
        sealedKey: null,
        removedAt: null,
      },
      {
        serial: issued.serial,
        deviceId: id,
        fingerprintSha256: issued.fingerprintSha256,
        notBefore: issued.notBefore,
        notAfter: issued.notAfter,
        issuedAt: Date.now(),
        chainPem: issued.chainPem,
        revokedAt: null,
        revocationReason: null,
      },
      1000,
    );
    if (outcome !== 'ok') throw new Error(outcome);
    mkdirSync(join(this.dir, id));
    return {
      id,
      password,
      credentials: {
        ca: this.write('rootca.pem', this.authority.rootCaPem),
        cert: this.write(`${id}/chain.pem`, issued.chainPem),
        key: this.write(`${id}/key.pem`, issued.privateKeyPem!),
      },
    };
  }

  device(
    registered: Registered,
    kind: 'mqtt' | 'amqp',
    device: Partial<SimulatedDeviceOptions> = {},
    more: { version?: '3.1' | '3.1.1' | '5'; persistentSession?: boolean } = {},
  ): ReturnType<typeof startMqttDevice> {
    const common = { credentials: registered.credentials, device: { deviceId: registered.id, ...device } };
    const running =
      kind === 'mqtt'
        ? startMqttDevice({ ...common, ...more, endpoint: { host: 'localhost', port: this.ports.mqtts } })
        : startAmqpDevice({ ...common, endpoint: { host: 'localhost', port: this.ports.amqps } });
    this.cleanups.push(() => running.stop());
    return running;
  }

  async stop(): Promise<void> {
    for (const cleanup of this.cleanups.reverse()) await cleanup();
    if (!process.env['TEST_KEEP']) rmSync(this.dir, { recursive: true, force: true });
  }

  private write(name: string, text: string): string {
    const file = join(this.dir, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  }
}
