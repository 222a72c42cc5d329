import { prepareDataFolder, readRunRecord, type DataFolder, type RunRecord } from './data-folder.js';
import { BrokerStartError } from './errors.js';
import { stopEpmd } from './loopback-ports.js';
import { identify, signalGroup, waitUntil } from './processes.js';

/** A node that lost its launcher has this long to end by itself, milliseconds; then it is killed. */
const STALE_STOP_TIMEOUT_MS = 15_000;

/** Whether the recorded process still is that process: same start time, and the arguments that we gave it. */
async function stillThere(
  recorded: { pid: number; started: string } | null,
  argument: string,
): Promise<boolean> {
  if (!recorded) return false;
  const found = await identify(recorded.pid);
  return found !== null && found.started === recorded.started && found.command.includes(argument);
}

async function end(recorded: { pid: number; started: string } | null, argument: string): Promise<void> {
  if (!recorded || !(await stillThere(recorded, argument))) return;
  signalGroup(recorded.pid, 'SIGTERM');
  const gone = await waitUntil(async () => !(await stillThere(recorded, argument)), {
    timeoutMs: STALE_STOP_TIMEOUT_MS,
  });
  if (!gone) signalGroup(recorded.pid, 'SIGKILL');
}

/** True when the launcher that wrote the record still lives, and is not this process. */
async function launcherLives(record: RunRecord): Promise<boolean> {
  const found = await identify(record.launcher.pid);
  return found !== null && found.started === record.launcher.started;
}

/**
 * Ends what an earlier launcher, killed without a chance to clean up, left running in this data folder. Only
 * processes that are proven to be ours are signalled.
 *
 * @throws BrokerStartError `ALREADY_RUNNING` when that launcher still lives
 */
export async function clearStaleNode(folder: DataFolder): Promise<void> {
  const record = readRunRecord(folder.runRecord);
  if (!record) return;
  const nodeLives = await stillThere(record.node, record.token);
  if (nodeLives && (await launcherLives(record))) {
    throw new BrokerStartError(
      `A broker of process ${record.launcher.pid} already runs in ${folder.root}. Stop that one first, or choose another data folder.`,
      { failure: 'ALREADY_RUNNING' },
    );
  }
  const epmdArgument = `-port ${record.epmdPort}`;
  const epmdLives = await stillThere(record.epmd, epmdArgument);
  await end(record.node, record.token);
  await end(record.epmd, epmdArgument);
  // The node's own monitor starts an epmd of its own when ours is killed; it listens on the same port.
  if (nodeLives || epmdLives) await stopEpmd(record.epmdPort);
}

/**
 * For who supervises a node: ends the one that a killed launcher left in `dataDir`, without starting another.
 *
 * @throws BrokerStartError `ALREADY_RUNNING` when its launcher still lives
 */
export async function endLeftoverNode(dataDir: string): Promise<void> {
  await clearStaleNode(prepareDataFolder(dataDir));
}
