import type { DeviceCounters } from '../device/simulated-device.js';
import type { ConnectFailureCode } from '../transport/connect-failure.js';

/** Connect times that are kept for the percentiles; later ones replace earlier ones. */
const KEPT_CONNECT_TIMES = 10_000;

export interface FleetStatistics {
  devices: number;
  connected: number;
  connects: number;
  disconnects: number;
  connectFailures: Partial<Record<ConnectFailureCode, number>>;
  /** Of TLS handshake, login, subscribe and hello together, in milliseconds; null before the first connect. */
  connectMs: { p50: number; p90: number; p99: number; max: number } | null;
  counters: DeviceCounters;
  executed: Record<string, number>;
  rssBytes: number;
}

/** Gathers the connect times and failures of a fleet. */
export class ConnectRecord {
  #times: number[] = [];
  connects = 0;
  disconnects = 0;
  readonly failures: Partial<Record<ConnectFailureCode, number>> = {};

  connected(tookMs: number): void {
    this.#times[this.connects % KEPT_CONNECT_TIMES] = tookMs;
    this.connects += 1;
  }

  failed(code: ConnectFailureCode): void {
    this.failures[code] = (this.failures[code] ?? 0) + 1;
  }

  percentiles(): FleetStatistics['connectMs'] {
    if (this.#times.length === 0) return null;
    const sorted = [...this.#times].sort((a, b) => a - b);
    const at = (share: number): number =>
      Math.round(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))]! * 10) / 10;
    return { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) };
  }
}
