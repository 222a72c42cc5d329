import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { endLeftoverNode } from '@postern/broker-config';
import type { DataFolder } from './data-folder.js';
import { isRunning, markedProcesses } from './process-table.js';

/** What lost its supervisor has this long to end by itself, in milliseconds. */
const END_TIMEOUT_MS = 5_000;

/**
 * Ends what a supervisor of this data folder, killed without a chance to clean up, left running. Only processes
 * that carry its mark are touched, and only by who holds the folder's lock, or knows that the run is over.
 *
 * @param runId only what this run started; default: of all runs
 * @returns how many processes were ended, the broker not counted
 */
export async function endLeftovers(folder: Pick<DataFolder, 'path' | 'at'>, runId?: string): Promise<number> {
  const left = markedProcesses(folder.path)
    .filter((process) => runId === undefined || process.runId === runId)
    .map(({ pid }) => pid);
  signalAll(left, 'SIGTERM');
  const deadline = Date.now() + END_TIMEOUT_MS;
  while (left.some(isRunning) && Date.now() < deadline) await delay(50);
  // Looked up again: a number that was set free meanwhile may be anybody's.
  const stubborn = new Set(left);
  signalAll(
    markedProcesses(folder.path)
      .map(({ pid }) => pid)
      .filter((pid) => stubborn.has(pid)),
    'SIGKILL',
  );
  if (existsSync(folder.at('broker'))) await endLeftoverNode(folder.at('broker'));
  return left.length;
}

function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch {
      // Ended meanwhile.
    }
  }
}
