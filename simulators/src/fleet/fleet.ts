import { EventEmitter } from 'node:events';
import type { Faults } from '../device/faults.js';
import type { DeviceCounters, SimulatedDeviceOptions } from '../device/simulated-device.js';
import { loadTlsIdentity, readPasswordFile, type TlsIdentity } from '../files/credential-files.js';
import type { Endpoint } from '../files/device-folder.js';
import { startAmqpDevice, startMqttDevice, type MqttDeviceOptions } from '../start-device.js';
import { DEFAULT_CONNECT_RATE, connectGate } from '../transport/connect-gate.js';
import type { ConnectFailure } from '../transport/connect-failure.js';
import type { RunningDevice } from '../transport/running-device.js';
import { ConnectRecord, type FleetStatistics } from './fleet-statistics.js';
import type { FleetMember } from './manifest.js';

export interface FleetOptions {
  members: readonly FleetMember[];
  transport: 'mqtt' | 'amqp';
  /** Outranks what the members name; needed where they name none. */
  endpoint?: { host?: string | undefined; port?: number | undefined };
  /** Behaviour and faults of each. With a seed, each device draws from its own sequence. */
  device?: Omit<SimulatedDeviceOptions, 'deviceId'>;
  mqtt?: Pick<MqttDeviceOptions, 'version' | 'replyQos' | 'persistentSession'>;
  connectRatePerSecond?: number;
  tls12Only?: boolean;
  keepAliveSeconds?: number;
  backoff?: MqttDeviceOptions['backoff'];
  restartMs?: number;
}

export interface FleetEvents {
  /** All are connected, for the first time or again. */
  allConnected: [];
  connected: [{ deviceId: string; tookMs: number }];
  disconnected: [{ deviceId: string; reason: string }];
  connectFailed: [ConnectFailure & { deviceId: string; retryInMs: number | null }];
}

/** Thrown where a fleet cannot be started as it was described. */
export class FleetError extends Error {
  readonly code = 'FLEET';
  constructor(message: string) {
    super(message);
    this.name = 'FleetError';
  }
}

const DEFAULT_PORTS = { mqtt: 8883, amqp: 5671 } as const;

/** Many devices in one process. They share what can be shared: TLS contexts of equal files, the pace of connects. */
export class Fleet extends EventEmitter<FleetEvents> {
  readonly #devices = new Map<string, RunningDevice>();
  readonly #record = new ConnectRecord();
  #connected = 0;

  /** @throws FleetError, CredentialFileError */
  constructor(options: FleetOptions) {
    super();
    const gate = connectGate(options.connectRatePerSecond ?? DEFAULT_CONNECT_RATE);
    const identities = new Map<string, TlsIdentity>();
    const seen = new Set<string>();
    const prepared = options.members.map((member) => {
      if (seen.has(member.deviceId)) {
        throw new FleetError(`${member.deviceId} is listed twice; the two would throw each other out`);
      }
      seen.add(member.deviceId);
      const cacheKey = JSON.stringify(member.files);
      const identity =
        identities.get(cacheKey) ?? loadTlsIdentity(member.files, { tls12Only: options.tls12Only ?? false });
      identities.set(cacheKey, identity);
      const password = member.passwordFile === undefined ? undefined : readPasswordFile(member.passwordFile);
      return { member, identity, password, endpoint: endpointOf(member, options) };
    });
    for (const { member, identity, password, endpoint } of prepared) {
      const common = {
        endpoint,
        credentials: identity,
        device: { ...options.device, deviceId: member.deviceId },
        gate,
        ...(options.keepAliveSeconds === undefined ? {} : { keepAliveSeconds: options.keepAliveSeconds }),
        ...(options.backoff ? { backoff: options.backoff } : {}),
        ...(options.restartMs === undefined ? {} : { restartMs: options.restartMs }),
      };
      const running =
        options.transport === 'amqp'
          ? startAmqpDevice(common)
          : startMqttDevice({ ...common, ...options.mqtt, username: member.username, password });
      this.#watch(member.deviceId, running);
    }
  }

  get size(): number {
    return this.#devices.size;
  }

  get connected(): number {
    return this.#connected;
  }

  get devices(): ReadonlyMap<string, RunningDevice> {
    return this.#devices;
  }

  /** Changes the faults of all. @throws ZodError for a value out of range */
  setFaults(change: Partial<Faults>): void {
    for (const running of this.#devices.values()) running.setFaults(change);
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#devices.values()].map((running) => running.stop()));
  }

  statistics(): FleetStatistics {
    const counters: DeviceCounters = {
      requests: 0,
      replies: 0,
      refused: 0,
      repeated: 0,
      silenced: 0,
      duplicated: 0,
      garbled: 0,
      lost: 0,
    };
    const executed: Record<string, number> = {};
    for (const { device } of this.#devices.values()) {
      for (const name of Object.keys(counters) as (keyof DeviceCounters)[]) {
        counters[name] += device.counters[name];
      }
      for (const [method, times] of Object.entries(device.executed)) {
        executed[method] = (executed[method] ?? 0) + times;
      }
    }
    return {
      devices: this.size,
      connected: this.#connected,
      connects: this.#record.connects,
      disconnects: this.#record.disconnects,
      connectFailures: { ...this.#record.failures },
      connectMs: this.#record.percentiles(),
      counters,
      executed,
      rssBytes: process.memoryUsage.rss(),
    };
  }

  #watch(deviceId: string, running: RunningDevice): void {
    this.#devices.set(deviceId, running);
    running.on('connected', ({ tookMs }) => {
      this.#connected += 1;
      this.#record.connected(tookMs);
      this.emit('connected', { deviceId, tookMs });
      if (this.#connected === this.size) this.emit('allConnected');
    });
    running.on('disconnected', ({ reason }) => {
      this.#connected -= 1;
      this.#record.disconnects += 1;
      this.emit('disconnected', { deviceId, reason });
    });
    running.on('connectFailed', (failure) => {
      this.#record.failed(failure.code);
      this.emit('connectFailed', { deviceId, ...failure });
    });
  }
}

function endpointOf(member: FleetMember, { endpoint, transport }: FleetOptions): Endpoint {
  const described = transport === 'amqp' ? member.amqps : member.mqtts;
  const host = endpoint?.host ?? described?.host;
  if (host === undefined) throw new FleetError(`no broker is known for ${member.deviceId}: give --host`);
  return { host, port: endpoint?.port ?? described?.port ?? DEFAULT_PORTS[transport] };
}

/** Starts all members. Returns at once; listen for `allConnected`. @throws FleetError, CredentialFileError */
export const startFleet = (options: FleetOptions): Fleet => new Fleet(options);
