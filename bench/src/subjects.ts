import { MAX_CALLS_PER_DEVICE } from '@postern/protocol';
import type { Bench } from './bench.js';
import type { Registered } from './account.js';
import type { LoadReport } from './load.js';
import type { Contestant } from './measure.js';
import type { Worker } from './worker.js';
import type { CallKind, HttpRun } from './workers/http.js';
import type { RawRun } from './workers/raw.js';

/**
 * Calls in flight over few devices: one that is slow for a moment gathers all of them, and Postern answers 429 to more
 * than a device may have.
 */
export const FEW_IN_FLIGHT = MAX_CALLS_PER_DEVICE;

/** What a run is made of, the same for raw and Postern. */
export interface Load {
  devices: readonly Registered[];
  deviceWorker: Worker;
  inFlight?: number;
  rate?: number;
  /** Between an answer and the next call of the same caller. */
  pauseMs?: number;
  durationMs: number;
  payloadBytes?: number;
}

const shape = (bench: Bench, load: Load) =>
  load.rate === undefined
    ? {
        closed: {
          inFlight: load.inFlight!,
          warmupMs: bench.plan.warmupMs,
          durationMs: load.durationMs,
          ...(load.pauseMs !== undefined && { pauseMs: load.pauseMs }),
        },
      }
    : { open: { rate: load.rate, warmupMs: bench.plan.warmupMs, durationMs: load.durationMs } };

const what = ({ devices, inFlight, rate, pauseMs }: Load): string =>
  `${devices.length} device${devices.length === 1 ? '' : 's'}, ${rate === undefined ? `${inFlight} in flight` : `${rate}/s`}` +
  (pauseMs === undefined ? '' : `, ${pauseMs} ms between calls`);

const common = (bench: Bench, load: Load) => ({
  devices: load.devices.length,
  payloadBytes: load.payloadBytes ?? bench.plan.payloadBytes,
  ...(load.inFlight !== undefined && { inFlight: load.inFlight }),
  ...(load.rate !== undefined && { rate: load.rate }),
});

export function raw(bench: Bench, load: Load): Contestant {
  return {
    ...common(bench, load),
    name: `raw, ${what(load)}`,
    subject: 'raw',
    groups: bench.groups(bench.raw, load.deviceWorker),
    run: () =>
      bench.raw.ask<LoadReport>('run', {
        devices: load.devices.map(({ id }) => id),
        payloadBytes: load.payloadBytes ?? bench.plan.payloadBytes,
        ...shape(bench, load),
      } satisfies RawRun),
  };
}

export interface PosternOptions {
  kind?: CallKind;
  /** Gateway processes to spread the calls over. */
  instances?: number;
  flat?: { username: string; secret: string };
  label?: string;
  newConnections?: 'full' | 'resumed';
}

export function postern(bench: Bench, load: Load, options: PosternOptions = {}): Contestant {
  const { kind = 'echo', instances = 1, label } = options;
  return {
    ...common(bench, load),
    name: `postern, ${label === undefined ? '' : `${label}, `}${what(load)}`,
    subject: 'postern',
    instances,
    groups: bench.groups(bench.http, load.deviceWorker),
    run: async () =>
      bench.http.ask<LoadReport>('run', {
        target: bench.target(instances),
        kind,
        devices: load.devices.map(({ name }) => name),
        payloadBytes: load.payloadBytes ?? bench.plan.payloadBytes,
        // Tokens count for 15 minutes, less than a benchmark takes.
        accessToken: bench.account.accessToken,
        ...(options.flat && { flat: options.flat }),
        ...(options.newConnections && { newConnections: options.newConnections }),
        ...shape(bench, load),
      } satisfies HttpRun),
  };
}
