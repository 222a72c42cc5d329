import { mkdtempSync, rmSync, existsSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createServer } from 'node:net';
import { newDeviceId, GATEWAY_COMMON_NAME } from '@postern/protocol';
import {
  BrokerNode,
  detectBroker,
  isAtLeast,
  type BrokerInstallation,
  type BrokerNodeOptions,
} from '@postern/broker-config';
import { TestPki, type Leaf } from './pki.js';
import { ReferencePolicy, startPolicyServer, type PolicyServer } from './policy-server.js';

export interface TestBroker {
  label: string;
  home: string;
}

/**
 * The brokers that this machine has: the one of POSTERN_RABBITMQ_HOME or the system's, and RabbitMQ 4 from
 * POSTERN_RABBITMQ_HOME_4 or `.broker-4`. Says so when there is only one.
 */
export async function testBrokers(): Promise<TestBroker[]> {
  const first = await detectBroker();
  const root = first.runner.kind === 'rooted' ? first.runner.root : '';
  const brokers = [{ label: `RabbitMQ ${first.version.text}`, home: root + first.home }];
  const folder = process.env['POSTERN_RABBITMQ_HOME_4'] ?? resolve(import.meta.dirname, '../../../.broker-4');
  if (existsSync(folder)) {
    const second = await detectBroker(folder);
    if (second.version.text !== first.version.text) {
      brokers.push({ label: `RabbitMQ ${second.version.text}`, home: folder });
    }
  } else if (!isAtLeast(first.version, '4.0')) {
    process.stderr.write(
      `Only ${brokers[0]?.label} is tested: there is no RabbitMQ 4 in ${folder} (make broker-4 brings it).\n`,
    );
  }
  return brokers;
}

export function freePort(): Promise<number> {
  return new Promise((done) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => done(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

export interface Bed {
  home: string | undefined;
  installation: BrokerInstallation;
  node: BrokerNode;
  options: BrokerNodeOptions;
  pki: TestPki;
  policy: ReferencePolicy;
  auth: PolicyServer;
  gateway: Leaf;
  mqttsPort: number;
  amqpsPort: number;
  dir: string;
  /** Registers a device and gives it a certificate. */
  device(password?: string): { id: string } & Leaf;
  close(): Promise<void>;
}

/** A node with its certificates and the policy server, in a folder of its own. */
export async function openBed(options: {
  home?: string;
  crl?: boolean;
  cacheTtlMs?: number;
  start?: boolean;
  dataDirName?: string;
}): Promise<Bed> {
  const installation = await detectBroker(options.home);
  const dir = mkdtempSync(join(tmpdir(), 'broker-config-'));
  mkdirSync(join(dir, 'pki'));
  const pki = new TestPki(join(dir, 'pki'));
  const policy = new ReferencePolicy();
  if (isAtLeast(installation.version, '3.13')) policy.certificatePassword = 'none';
  policy.managementPassword = 'a-long-random-password';
  const authLeaf = pki.leaf({
    commonName: 'localhost',
    profile: 'server',
    san: 'DNS:localhost,IP:127.0.0.1',
  });
  const brokerAsClient = pki.leaf({ commonName: 'postern-broker' });
  const auth = await startPolicyServer(policy, { leaf: authLeaf, caFile: pki.caFile });
  const brokerLeaf = pki.leaf({
    commonName: 'localhost',
    profile: 'server',
    san: 'DNS:localhost,IP:127.0.0.1',
  });
  const [mqttsPort, amqpsPort] = [await freePort(), await freePort()];
  const nodeOptions: BrokerNodeOptions = {
    installation,
    dataDir: join(dir, options.dataDirName ?? 'broker'),
    config: {
      tls: {
        caFile: pki.caFile,
        certFile: brokerLeaf.certFile,
        keyFile: brokerLeaf.keyFile,
        ...(options.crl === false ? {} : { crlDir: pki.crlDir }),
      },
      mqtts: { address: '127.0.0.1', port: mqttsPort },
      amqps: { address: '127.0.0.1', port: amqpsPort },
      authBackend: {
        url: auth.url,
        tls: { caFile: pki.caFile, certFile: brokerAsClient.certFile, keyFile: brokerAsClient.keyFile },
        ...(options.cacheTtlMs === undefined ? {} : { cacheTtlMs: options.cacheTtlMs }),
      },
    },
  };
  const node = new BrokerNode(nodeOptions);
  const close = async (): Promise<void> => {
    await node.stop();
    await auth.close();
    rmSync(dir, { recursive: true, force: true });
  };
  if (options.start !== false) {
    try {
      await node.start();
    } catch (error) {
      await close();
      throw error;
    }
  }
  return {
    home: options.home,
    installation,
    node,
    options: nodeOptions,
    pki,
    policy,
    auth,
    gateway: pki.leaf({ commonName: GATEWAY_COMMON_NAME }),
    mqttsPort,
    amqpsPort,
    dir,
    device(password) {
      const id = newDeviceId();
      policy.devices.set(id, password === undefined ? {} : { password });
      return { id, ...pki.leaf({ commonName: id }) };
    },
    close,
  };
}
