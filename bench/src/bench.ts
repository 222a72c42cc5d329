import { join } from 'node:path';
import { Account, targetOf, type Registered } from './account.js';
import type { Groups } from './measure.js';
import type { Plan } from './options.js';
import type { Measurement, Results } from './results.js';
import { Stack, type Facts } from './stack.js';
import { Worker } from './worker.js';
import type { ConnectOptions, ConnectReport } from './workers/devices.js';
import type { HttpTarget } from './workers/http.js';

export const say = (line: string): void => void process.stdout.write(`${line}\n`);

type DeviceOptions = Partial<Pick<ConnectOptions, 'style' | 'mqttVersion' | 'replyQos' | 'atOnce'>>;

/** A running Postern with a user, and the processes that load it. */
export class Bench {
  private constructor(
    readonly plan: Plan,
    readonly stack: Stack,
    readonly account: Account,
    /** Load generator for HTTPS. */
    readonly http: Worker,
    /** Raw AMQP caller. */
    readonly raw: Worker,
  ) {}

  readonly #devices: Worker[] = [];

  /** Those that run: a signal ends them. */
  static readonly running = new Set<Bench>();
  /** What the measurements ran on. */
  static readonly brokers = new Set<string>();

  static async start(plan: Plan, env: Record<string, string> = {}, root?: string): Promise<Bench> {
    const stack = await Stack.start(env, root);
    const http = Worker.start('http');
    const raw = Worker.start('raw');
    try {
      const { facts } = stack;
      await raw.ask('connect', {
        host: 'localhost',
        port: facts.ports.amqps,
        caFile: facts.caFile,
        certFile: join(stack.dataDir, 'tls', 'gateway.pem'),
        keyFile: join(stack.dataDir, 'tls', 'gateway.key.pem'),
      });
      const account = await Account.signUp(() => stack.facts, join(stack.dir, 'devices'));
      const bench = new Bench(plan, stack, account, http, raw);
      Bench.running.add(bench);
      Bench.brokers.add(`RabbitMQ ${facts.broker.version}`);
      return bench;
    } catch (error) {
      await Promise.all([http.stop(), raw.stop()]);
      await stack.stop();
      throw error;
    }
  }

  get facts(): Facts {
    return this.stack.facts;
  }

  /** Brokers from 3.13 on know MQTT 5. */
  get brokerKnowsMqtt5(): boolean {
    const [major = 0, minor = 0] = this.facts.broker.version.split('.').map(Number);
    return major > 3 || (major === 3 && minor >= 13);
  }

  target(instances = 1): HttpTarget {
    return targetOf(this.facts, instances);
  }

  /** Registers devices, and connects them from a process of their own. */
  async devices(
    prefix: string,
    count: number,
    options: DeviceOptions = {},
  ): Promise<{ devices: Registered[]; worker: Worker; connects: ConnectReport }> {
    const { devices } = await this.account.register(this.http, prefix, count);
    const { worker, connects } = await this.connect(devices, options);
    return { devices, worker, connects };
  }

  async connect(
    devices: readonly Registered[],
    options: DeviceOptions = {},
  ): Promise<{ worker: Worker; connects: ConnectReport }> {
    const worker = Worker.start('devices');
    this.#devices.push(worker);
    const connects = await worker.ask<ConnectReport>('connect', {
      host: 'localhost',
      port: this.facts.ports.mqtts,
      caFile: this.facts.caFile,
      devices,
      style: 'protocol2',
      mqttVersion: 4,
      replyQos: 0,
      atOnce: 8,
      ...options,
    } satisfies ConnectOptions);
    return { worker, connects };
  }

  async drop(worker: Worker): Promise<void> {
    this.#devices.splice(this.#devices.indexOf(worker), 1);
    await worker.stop();
  }

  /** Whose CPU seconds count in a run of `generator` against `devices`. */
  groups(generator: Worker, devices: Worker | null): Groups {
    const { gateways, broker } = this.facts;
    return () => ({
      gateway: gateways.map(({ pid }) => pid),
      broker: [broker.pid],
      devices: devices ? [devices.pid] : [],
      generator: [generator.pid],
    });
  }

  async stop(): Promise<void> {
    Bench.running.delete(this);
    await Promise.all([...this.#devices, this.http, this.raw].map((worker) => worker.stop()));
    await this.stack.stop();
  }
}

/** Where parts put what they found. */
export type Found = Pick<
  Results,
  | 'raw'
  | 'postern'
  | 'peers'
  | 'generator'
  | 'growth'
  | 'registration'
  | 'connects'
  | 'fleet'
  | 'skipped'
  | 'ratios'
>;

export const nothingFound = (): Found => ({
  raw: [],
  postern: [],
  peers: [],
  generator: [],
  growth: {},
  registration: [],
  connects: [],
  fleet: [],
  skipped: [],
  ratios: [],
});

/** All measurements, of whatever part. */
export const allMeasurements = (found: Found): Measurement[] => [
  ...found.raw,
  ...found.postern,
  ...found.generator,
  ...found.peers.flatMap(({ measurements }) => measurements),
  ...Object.values(found.growth).flat(),
];
