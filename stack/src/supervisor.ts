import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { openDataFolder } from './data-folder.js';
import { StoppedError } from './errors.js';
import { FACTS_FILE } from './facts.js';
import { Guard } from './guard.js';
import { endLeftovers } from './leftovers.js';
import { takeLock } from './lock.js';
import { MARK_VARIABLE } from './process-table.js';
import type { Say } from './screen.js';
import type { Settings } from './settings.js';
import { Stack } from './stack.js';

export interface SupervisorOptions {
  readonly settings: Settings;
  readonly env: NodeJS.ProcessEnv;
  readonly say: Say;
  /** Ends everything, also in the middle of the start. */
  readonly stop: AbortSignal;
  /** Whoever asks to stop twice does not want to wait. */
  readonly hurry: AbortSignal;
}

/**
 * Starts broker, gateways and the simulated device, keeps them running until `stop`, and ends all of them.
 *
 * @throws StackError, CertsError or one of the broker's errors, with a sentence for people; nothing is left running
 */
export async function supervise(options: SupervisorOptions): Promise<void> {
  const { settings, say, stop, hurry } = options;
  const folder = openDataFolder(settings.dataDir);
  const lock = takeLock(folder.path);
  let guard: Guard | null = null;
  let stack: Stack | null = null;
  try {
    if ((await endLeftovers(folder)) > 0)
      say('Ended what an earlier run, which was killed, had left running.');
    rmSync(folder.at(FACTS_FILE), { force: true });
    if (stop.aborted) throw new StoppedError();
    const runId = randomBytes(8).toString('hex');
    const env = { ...options.env, [MARK_VARIABLE]: `${runId} ${folder.path}` };
    guard = new Guard({ dataDir: folder.path, runId, env });
    stack = new Stack({ settings, folder, env, say, stop });
    await stack.up();
    await untilAborted(stop);
    say('Stopping.');
  } catch (error) {
    if (!stop.aborted) throw error;
    say('Stopping before it was ready.');
  } finally {
    rmSync(folder.at(FACTS_FILE), { force: true });
    await stack?.down(hurry);
    await guard?.dismiss();
    lock.release();
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
