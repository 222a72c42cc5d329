import { EventEmitter } from 'node:events';
import type { Faults } from '../device/faults.js';
import type { DeviceEvents, SimulatedDevice } from '../device/simulated-device.js';
import { STABLE_SESSION_MS, backoffMs, DEFAULT_BACKOFF, type BackoffLimits } from './backoff.js';
import { explainConnectError, type ConnectFailure } from './connect-failure.js';
import type { OpenSession, Session } from './session.js';

/** How long a restart takes, in milliseconds: what an FT900 needs from reset to network. */
export const RESTART_MS = 500;

export interface ConnectionEvents {
  /** Subscribed, and the hello (if any) is out. `tookMs`: from the begin of this attempt. */
  connected: [{ tookMs: number }];
  disconnected: [{ reason: string }];
  connectFailed: [ConnectFailure & { retryInMs: number | null }];
}

export type RunningDeviceEvents = DeviceEvents & ConnectionEvents;

export interface RunningDeviceOptions {
  device: SimulatedDevice;
  open: OpenSession;
  /** `host:port`, for messages. */
  where: string;
  backoff?: BackoffLimits;
  restartMs?: number;
  /** Held before each attempt; paces the connects of a fleet. */
  gate?: () => Promise<void>;
  /** True: the first failed attempt ends it. */
  once?: boolean;
}

/** A device and its connection: connects, says hello, answers, and connects again until it is stopped. */
export class RunningDevice extends EventEmitter<RunningDeviceEvents> {
  readonly device: SimulatedDevice;
  readonly #options: RunningDeviceOptions;
  readonly #stopping = new AbortController();
  #session: Session | null = null;
  /** Set while the device itself ends the connection, so that no backoff grows from it. */
  #ownDisconnect: { reason: string; pauseMs: number } | null = null;
  #wake: (() => void) | null = null;
  #loop: Promise<void> | null = null;

  constructor(options: RunningDeviceOptions) {
    super();
    this.#options = options;
    this.device = options.device;
    this.device.onSend = (message) => this.#session?.send(message) ?? Promise.resolve(false);
    this.device.on('request', (event) => this.emit('request', event));
    this.device.on('reply', (event) => this.emit('reply', event));
    this.device.on('uart', (data) => this.emit('uart', data));
    this.device.on('restart', () => {
      this.emit('restart');
      this.#ownDisconnect = { reason: 'restart', pauseMs: options.restartMs ?? RESTART_MS };
      // Politely, so that a QoS 0 reply that is still on its way gets out first.
      void this.#session?.close();
    });
  }

  /** `host:port` of its broker. */
  get where(): string {
    return this.#options.where;
  }

  get connected(): boolean {
    return this.#session !== null;
  }

  /** Resolves when the device has stopped, whatever the cause. */
  get done(): Promise<void> {
    return this.#loop ?? Promise.resolve();
  }

  start(): this {
    this.#loop ??= this.#run();
    return this;
  }

  /** Cuts the connection, as a fault does; the device comes back after `pauseMs`. */
  disconnect({ pauseMs = 0 }: { pauseMs?: number } = {}): void {
    if (!this.#session) return;
    this.#ownDisconnect = { reason: 'cut on demand', pauseMs };
    this.#session.drop();
  }

  /** Changes the faults that are named, at once. @throws ZodError for a value out of range */
  setFaults(change: Partial<Faults>): void {
    this.device.setFaults(change);
    // Only a live session waits for the next cut; a backoff is not to be cut short.
    if (this.#session) this.#wake?.();
  }

  /** Ends the session politely and starts no other. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.device.abandonWork();
    this.#wake?.();
    await this.#session?.close();
    await this.#loop;
  }

  async #run(): Promise<void> {
    let failures = 0;
    while (!this.#stopped) {
      await this.#options.gate?.();
      if (this.#stopped) return;
      const outcome = await this.#oneSession();
      if (this.#stopped) return;
      if (outcome.kind === 'failed' && this.#options.once) {
        this.emit('connectFailed', { ...outcome.failure, retryInMs: null });
        return;
      }
      failures = outcome.kind === 'ended' && outcome.stable ? 0 : failures + 1;
      if (outcome.kind === 'ended' && outcome.pauseMs !== null) {
        failures = 0;
        await this.#pause(outcome.pauseMs);
        continue;
      }
      const retryInMs = backoffMs(failures - 1, this.#options.backoff ?? DEFAULT_BACKOFF, Math.random);
      if (outcome.kind === 'failed') this.emit('connectFailed', { ...outcome.failure, retryInMs });
      await this.#pause(retryInMs);
    }
  }

  async #oneSession(): Promise<SessionOutcome> {
    const startedAt = performance.now();
    this.#ownDisconnect = null;
    let session: Session;
    // A session that outlived its connection brings messages ahead of the SUBACK; they wait until there is a
    // way to answer.
    let opened!: () => void;
    const open = new Promise<void>((resolve) => (opened = resolve));
    try {
      session = await this.#options.open((message) => open.then(() => this.device.handle(message)));
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(String(error));
      return { kind: 'failed', failure: explainConnectError(cause, this.#options.where) };
    }
    this.#session = session;
    opened();
    if (this.#stopped) await session.close();
    const hello = this.device.hello();
    const greeted = hello === null || (await session.send(hello, { qos: 1 }));
    if (greeted && !this.#stopped) {
      this.emit('connected', { tookMs: performance.now() - startedAt });
      void this.#cutNowAndThen(session);
    }
    const reason = await session.closed;
    this.#session = null;
    this.#wake?.();
    const own = this.#ownDisconnect as { reason: string; pauseMs: number } | null;
    if (!greeted) {
      const cause = reason ?? new Error('the broker closed the connection after the hello');
      return { kind: 'failed', failure: explainConnectError(cause, this.#options.where) };
    }
    this.emit('disconnected', {
      reason: this.#stopped ? 'stopped' : (own?.reason ?? reason?.message ?? 'closed by the broker'),
    });
    return {
      kind: 'ended',
      stable: performance.now() - startedAt >= STABLE_SESSION_MS,
      pauseMs: own?.pauseMs ?? null,
    };
  }

  /** The fault `disconnectMeanMs`: cuts this session at exponentially distributed times. */
  async #cutNowAndThen(session: Session): Promise<void> {
    while (this.#session === session && !this.#stopped) {
      const mean = this.device.faults.disconnectMeanMs;
      if (mean === 0) return this.#onceFaultsChange(session);
      const due = await this.#pause(Math.min(-Math.log(1 - this.device.random()) * mean, 2 ** 31 - 1));
      if (due && this.#session === session && this.device.faults.disconnectMeanMs > 0) this.disconnect();
    }
  }

  #onceFaultsChange(session: Session): void {
    this.#wake = () => {
      this.#wake = null;
      void this.#cutNowAndThen(session);
    };
  }

  /** True where the time has run out, false where the pause was cut short. */
  #pause(ms: number): Promise<boolean> {
    if (this.#stopped) return Promise.resolve(false);
    return new Promise((resolve) => {
      const finish = (due: boolean) => (): void => {
        clearTimeout(timer);
        if (this.#wake === cancel) this.#wake = null;
        resolve(due);
      };
      const cancel = finish(false);
      const timer = setTimeout(finish(true), ms);
      this.#wake = cancel;
    });
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }
}

type SessionOutcome =
  | { kind: 'failed'; failure: ConnectFailure }
  /** `pauseMs`: the device ended it itself and comes back after this; null where it was ended. */
  | { kind: 'ended'; stable: boolean; pauseMs: number | null };
