import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './until.js';
import { TestPki } from './test-pki.js';

const DEFAULT_HOME = '/usr/lib/rabbitmq/lib/rabbitmq_server-3.10.8';

export interface BrokerKind {
  name: string;
  /** Folder with `sbin/rabbitmq-server`, as its process sees it. */
  home: string;
  /** Folder to chroot into; null to run on the host. */
  root: string | null;
  mqtt5: boolean;
}

/**
 * RabbitMQ 3.10 of the host, and 4.x where POSTERN_RABBITMQ_HOME_4 names a system tree that holds one
 * (`make broker-4` makes it).
 */
export function brokerKinds(): BrokerKind[] {
  const kinds: BrokerKind[] = [
    {
      name: 'RabbitMQ 3.10',
      home: process.env['POSTERN_RABBITMQ_HOME_3'] ?? DEFAULT_HOME,
      root: null,
      mqtt5: false,
    },
  ];
  const root = process.env['POSTERN_RABBITMQ_HOME_4'];
  if (root !== undefined && root !== '') {
    kinds.push({
      name: 'RabbitMQ 4',
      home: '/usr/lib/rabbitmq/lib/rabbitmq_server-4.0.5',
      root,
      mqtt5: true,
    });
  }
  return kinds;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject);
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/** User and group that a chrooted node runs as: nobody, as far as files go. */
const CHROOT_ID = 65_534;

/** A private node with TLS listeners on 127.0.0.1 alone, certificate login and internal users. */
export class PrivateBroker {
  readonly pki: TestPki;
  readonly mqttsPort: number;
  readonly amqpsPort: number;
  /** On the host. */
  readonly folder: string;
  readonly #kind: BrokerKind;
  readonly #epmdPort: number;
  readonly #distPort: number;
  readonly #users: readonly string[];
  #processes: ChildProcess[] = [];

  private constructor(kind: BrokerKind, folder: string, ports: number[], users: readonly string[]) {
    [this.mqttsPort, this.amqpsPort, this.#epmdPort, this.#distPort] = ports as [
      number,
      number,
      number,
      number,
    ];
    this.#kind = kind;
    this.folder = folder;
    this.#users = users;
    this.pki = new TestPki(join(folder, 'pki'));
  }

  /** Starts a node that knows the devices `users` and the gateway. */
  static async start(kind: BrokerKind, users: readonly string[]): Promise<PrivateBroker> {
    const base = kind.root === null ? tmpdir() : join(kind.root, 'tmp');
    const folder = mkdtempSync(join(base, 'postern-sim-'));
    chmodSync(folder, 0o755);
    const broker = new PrivateBroker(kind, folder, await freePorts(4), users);
    broker.#configure();
    try {
      await broker.up();
    } catch (error) {
      await broker.remove();
      throw error;
    }
    return broker;
  }

  /** Starts the node, again after {@link down}. */
  async up(): Promise<void> {
    this.#spawn(`exec "${this.#erlangBin('epmd')}" -address 127.0.0.1 -port ${this.#epmdPort}`);
    const node = this.#spawn(`exec "${this.#kind.home}/sbin/rabbitmq-server"`);
    await until(
      `the broker listens (${join(this.folder, 'stdout.log')})`,
      () => {
        if (node.exitCode !== null) {
          throw new Error(
            `the broker ended: ${readFileSync(join(this.folder, 'stdout.log'), 'utf8').slice(-2000)}`,
          );
        }
        return this.#log().includes('Server startup complete');
      },
      60_000,
    );
  }

  /** Kills node and epmd, with all that they started. */
  async down(): Promise<void> {
    const processes = this.#processes;
    this.#processes = [];
    for (const child of processes.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('close', resolve));
      process.kill(-child.pid!, 'SIGKILL');
      await gone;
    }
    rmSync(join(this.folder, 'log'), { recursive: true, force: true });
    this.#makeOwned('log');
  }

  async remove(): Promise<void> {
    await this.down();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #configure(): void {
    const inside = (path: string): string => this.#inside(path);
    const server = this.pki.issue('localhost', 'DNS:localhost');
    if (this.#kind.root !== null) chownSync(server.key, CHROOT_ID, CHROOT_ID);
    for (const name of ['home', 'mnesia', 'log']) this.#makeOwned(name);
    writeFileSync(join(this.folder, 'enabled_plugins'), '[rabbitmq_mqtt,rabbitmq_auth_mechanism_ssl].\n');
    writeFileSync(join(this.folder, 'definitions.json'), JSON.stringify(this.#definitions()));
    writeFileSync(
      join(this.folder, 'rabbitmq.conf'),
      [
        'listeners.tcp = none',
        `listeners.ssl.1 = 127.0.0.1:${this.amqpsPort}`,
        `ssl_options.cacertfile = ${inside(this.pki.rootPath)}`,
        `ssl_options.certfile = ${inside(server.cert)}`,
        `ssl_options.keyfile = ${inside(server.key)}`,
        'ssl_options.verify = verify_peer',
        'ssl_options.fail_if_no_peer_cert = true',
        'ssl_options.versions.1 = tlsv1.3',
        'ssl_options.versions.2 = tlsv1.2',
        'auth_mechanisms.1 = EXTERNAL',
        'ssl_cert_login_from = common_name',
        'mqtt.listeners.tcp = none',
        `mqtt.listeners.ssl.1 = 127.0.0.1:${this.mqttsPort}`,
        'mqtt.ssl_cert_login = true',
        'mqtt.allow_anonymous = false',
        `load_definitions = ${inside(join(this.folder, 'definitions.json'))}`,
        'log.file = rabbit.log',
        'log.file.level = info',
        '',
      ].join('\n'),
    );
  }

  #definitions(): object {
    return {
      vhosts: [{ name: '/' }],
      users: [
        ...this.#users.map((name) => ({ name, password: `pw-${name}`, tags: '' })),
        { name: 'postern-gateway', password_hash: '', tags: '' },
      ],
      permissions: [
        ...this.#users.map((user) => ({
          user,
          vhost: '/',
          configure: `^(mqtt-subscription-${user}qos[01]|amq\\.topic)$`,
          write: `^(mqtt-subscription-${user}qos[01]|amq\\.topic)$`,
          read: `^(mqtt-subscription-${user}qos[01]|amq\\.topic)$`,
        })),
        { user: 'postern-gateway', vhost: '/', configure: '.*', write: '.*', read: '.*' },
      ],
      topic_permissions: this.#users.map((user) => ({
        user,
        vhost: '/',
        exchange: 'amq.topic',
        write: `^server\\.${user}\\.`,
        read: `^${user}\\.`,
      })),
    };
  }

  #makeOwned(name: string): void {
    const path = join(this.folder, name);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (this.#kind.root !== null) chownSync(path, CHROOT_ID, CHROOT_ID);
  }

  #inside(path: string): string {
    return this.#kind.root === null ? path : path.slice(this.#kind.root.length);
  }

  #erlangBin(name: string): string {
    if (this.#kind.root !== null) return `/usr/bin/${name}`;
    return execFileSync('sh', ['-c', `command -v ${name}`])
      .toString()
      .trim();
  }

  #log(): string {
    const path = join(this.folder, 'log', 'rabbit.log');
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  }

  #spawn(script: string): ChildProcess {
    const at = (name: string): string => this.#inside(join(this.folder, name));
    const env = {
      PATH: process.env['PATH'] ?? '/usr/bin:/bin',
      LANG: 'C.UTF-8',
      HOME: at('home'),
      RABBITMQ_NODENAME: `sim${this.mqttsPort}@localhost`,
      RABBITMQ_MNESIA_BASE: at('mnesia'),
      RABBITMQ_LOG_BASE: at('log'),
      RABBITMQ_CONFIG_FILE: at('rabbitmq.conf'),
      RABBITMQ_ADVANCED_CONFIG_FILE: at('advanced.config'),
      RABBITMQ_ENABLED_PLUGINS_FILE: at('enabled_plugins'),
      RABBITMQ_PID_FILE: at('home') + '/node.pid',
      RABBITMQ_CONF_ENV_FILE: at('none'),
      RABBITMQ_DIST_PORT: String(this.#distPort),
      ERL_EPMD_PORT: String(this.#epmdPort),
      ERL_EPMD_ADDRESS: '127.0.0.1',
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    };
    const [command, args]: [string, string[]] =
      this.#kind.root === null
        ? ['sh', ['-c', script]]
        : ['chroot', [`--userspec=${CHROOT_ID}:${CHROOT_ID}`, this.#kind.root, '/bin/sh', '-c', script]];
    const child = spawn(command, args, {
      env,
      // A session of its own, so that one signal ends it with all that it started.
      detached: true,
      stdio: 'pipe',
    });
    const record = (data: Buffer): void =>
      writeFileSync(join(this.folder, 'stdout.log'), data, { flag: 'a' });
    child.stdout.on('data', record);
    child.stderr.on('data', record);
    this.#processes.push(child);
    return child;
  }
}
