import { existsSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Child } from './child.js';
import { StackError, StoppedError } from './errors.js';
import type { GatewayClient } from './gateway-client.js';
import type { Running } from './keeper.js';
import type { LogFile } from './log-file.js';

const MAIN = fileURLToPath(new URL('../../webserver/dist/main.js', import.meta.url));

/**
 * Of the young generation, in MiB, where Node takes 16: a gateway under load then holds 80 MB less, and no call takes
 * longer (docs/performance.md).
 */
const SEMI_SPACE_MIB = 8;

/** A gateway serves within a second or two; a Raspberry Pi takes several times that. Milliseconds. */
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 50;
/** Readiness is asked for less often: each question is a line in the gateway's log. */
const READY_POLL_MS = 200;
/** Lines of its log that are shown when it does not come up. */
const LOG_LINES = 8;

export interface GatewayOptions {
  readonly env: NodeJS.ProcessEnv;
  readonly log: LogFile;
  readonly client: GatewayClient;
}

/** One gateway process; resolves when it answers over HTTPS, which it does also while the broker is away. */
export async function startGateway(
  options: GatewayOptions,
  stop: AbortSignal,
  hurry: AbortSignal,
): Promise<Running> {
  if (!existsSync(MAIN))
    throw new StackError('NOT_BUILT', 'The gateway is not built: type `make run`, or npx tsc -b.');
  if (stop.aborted) throw new StoppedError();
  const { client, log, env } = options;
  log.mark();
  const child = new Child({ args: [`--max-semi-space-size=${SEMI_SPACE_MIB}`, MAIN], env, log });
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await client.isOk('/healthz'))) {
    const problem = child.isEnded
      ? `The gateway ended while it started (${await child.ended}).`
      : Date.now() > deadline
        ? `The gateway did not answer within ${START_TIMEOUT_MS / 1000} s.`
        : null;
    if (stop.aborted || problem !== null) {
      await child.stop(hurry);
      if (stop.aborted) throw new StoppedError();
      throw new StackError('GATEWAY_START_FAILED', `${problem} Its log: ${log.path}`, {
        details: log.lastLines(LOG_LINES).map(readable),
      });
    }
    await delay(POLL_MS);
  }
  return { pid: child.pid, ended: child.ended, stop: (hurryStop) => child.stop(hurryStop) };
}

/** A line of the gateway's log is JSON; people get its message, and the error's. */
export function readable(line: string): string {
  try {
    const { msg, err } = JSON.parse(line) as { msg?: unknown; err?: { message?: unknown } };
    const words = [msg, err?.message].filter((part) => typeof part === 'string');
    return words.length > 0 ? words.join(': ') : line;
  } catch {
    return line;
  }
}

/** Waits until every gateway says that it can serve: store and broker are there. */
export async function untilReady(clients: readonly GatewayClient[], stop: AbortSignal): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (const client of clients) {
    for (;;) {
      if (stop.aborted) throw new StoppedError();
      const answer = await client.call('GET', '/readyz').catch(() => null);
      if (answer?.status === 200) break;
      if (Date.now() > deadline)
        throw new StackError(
          'GATEWAY_NOT_READY',
          `The gateway runs, but is not ready after ${START_TIMEOUT_MS / 1000} s: ${answer?.body ?? 'no answer'}`,
        );
      await delay(READY_POLL_MS);
    }
  }
}
