import { Fleet, FleetError, type FleetOptions } from '../fleet/fleet.js';
import { readFleetFolder, readManifest, type FleetMember } from '../fleet/manifest.js';
import { EXIT, UsageError } from './exit-codes.js';
import {
  backoffFrom,
  behaviourFrom,
  checkShared,
  mqttOptionsFrom,
  type SharedOptionValues,
} from './shared-options.js';
import { ControlChannel } from './control.js';
import type { Terminal } from './terminal.js';

export interface FleetOptionValues extends SharedOptionValues {
  dir?: string;
  manifest?: string;
  ca?: string;
  count?: number;
  connectRate: number;
}

function membersFrom(values: FleetOptionValues): FleetMember[] {
  if ((values.dir === undefined) === (values.manifest === undefined)) {
    throw new UsageError('give either --dir <folder of device folders> or --manifest <file>');
  }
  const all =
    values.dir === undefined ? readManifest(values.manifest!, values.ca) : readFleetFolder(values.dir);
  if (values.count !== undefined && values.count > all.length) {
    throw new UsageError(`--count ${values.count}, but there are ${all.length} devices`);
  }
  return all.slice(0, values.count);
}

function startFleetFromOptions(values: FleetOptionValues): Fleet {
  checkShared(values);
  const options: FleetOptions = {
    members: membersFrom(values),
    transport: values.transport,
    endpoint: { host: values.host, port: values.port },
    device: behaviourFrom(values),
    mqtt: mqttOptionsFrom(values),
    connectRatePerSecond: values.connectRate,
    tls12Only: values.tls12 ?? false,
    keepAliveSeconds: values.keepAlive,
    backoff: backoffFrom(values),
    restartMs: values.restartMs,
  };
  try {
    return new Fleet(options);
  } catch (error) {
    if (error instanceof FleetError) throw new UsageError(error.message);
    throw error;
  }
}

/** At most one line a second for failed connects: thousands fail alike when a broker is away. */
const FAILURE_LINE_INTERVAL_MS = 1000;

/** Runs the fleet until it is told to stop; prints its statistics on SIGUSR1 and at the end. */
export async function runFleet(
  values: FleetOptionValues,
  { terminal, stopped, stop }: { terminal: Terminal; stopped: Promise<void>; stop: () => void },
): Promise<number> {
  const startedAt = performance.now();
  const fleet = startFleetFromOptions(values);
  const printStatistics = (): void => terminal.line(JSON.stringify(fleet.statistics()));
  process.on('SIGUSR1', printStatistics);
  fleet.on('allConnected', () => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    terminal.line(`Connected: all ${fleet.size} devices, ${seconds} s after the start`);
  });
  let lastFailureLine = -Infinity;
  fleet.on('connectFailed', ({ deviceId, code, message }) => {
    if (performance.now() - lastFailureLine < FAILURE_LINE_INTERVAL_MS) return;
    lastFailureLine = performance.now();
    terminal.problem(
      `Cannot connect (${code}): ${deviceId}: ${message}; ${fleet.connected} of ${fleet.size} are connected`,
    );
  });
  const control =
    values.control === undefined
      ? null
      : new ControlChannel({
          input: process.stdin,
          output: process.stdout,
          controlled: { devices: fleet.devices, statistics: () => fleet.statistics() },
          onStop: stop,
        });
  control?.reportFleet(fleet);
  await stopped;
  printStatistics();
  await fleet.stop();
  control?.close();
  process.off('SIGUSR1', printStatistics);
  return EXIT.OK;
}
