import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { Child } from './child.js';
import { StackError, StoppedError } from './errors.js';
import type { Running } from './keeper.js';
import type { LogFile } from './log-file.js';
import type { Say } from './screen.js';

const SIMULATOR = fileURLToPath(new URL('../../simulators/bin/postern-simulator.js', import.meta.url));

/** A device that has not connected after this, in milliseconds, is left to try further, and that is said. */
const CONNECT_TIMEOUT_MS = 15_000;

export interface LampOptions {
  readonly folder: string;
  /** Where the broker is now: the ports may have changed since the registration. */
  readonly host: string;
  readonly port: number;
  readonly env: NodeJS.ProcessEnv;
  readonly log: LogFile;
  readonly say: Say;
}

/** The simulated device with what registration returned. Resolves when it is connected. */
export async function startLamp(
  options: LampOptions,
  stop: AbortSignal,
  hurry: AbortSignal,
): Promise<Running> {
  const { folder, host, port, env, log, say } = options;
  if (stop.aborted) throw new StoppedError();
  log.mark();
  let connected: () => void = () => undefined;
  const isConnected = new Promise<void>((resolve) => (connected = resolve));
  const child = new Child({
    args: [SIMULATOR, '--dir', folder, '--host', host, '--port', String(port)],
    env,
    log,
    onLine: (line) => {
      if (line.startsWith('Connected')) connected();
      say(`lamp: ${line}`);
    },
  });
  const giveUp = new AbortController();
  const timeout = delay(CONNECT_TIMEOUT_MS, 'late' as const, {
    signal: AbortSignal.any([stop, giveUp.signal]),
  });
  const outcome = await Promise.race([
    isConnected.then(() => 'connected' as const),
    child.ended,
    timeout.catch(() => 'late' as const),
  ]);
  giveUp.abort();
  if (stop.aborted) {
    await child.stop(hurry);
    throw new StoppedError();
  }
  if (child.isEnded)
    throw new StackError('LAMP_FAILED', `The simulated lamp ended (${outcome}).`, {
      details: log.lastLines(4),
    });
  if (outcome === 'late')
    say(['The lamp has not connected yet and goes on trying. It said:', ...log.lastLines(2)].join('\n  '));
  return { pid: child.pid, ended: child.ended, stop: (hurryStop) => child.stop(hurryStop) };
}
