import { StackError } from './errors.js';
import { readSettings } from './settings.js';
import { sayTo } from './screen.js';

/** A second signal this much later, in milliseconds, is a person's; sooner it is the same one, sent on by `make`. */
const AGAIN_AFTER_MS = 1_500;

const stop = new AbortController();
const hurry = new AbortController();
let stoppedAt = 0;

// Before anything is loaded or started: a Ctrl-C in the first moment must not leave half a stack behind.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!stop.signal.aborted) {
      stoppedAt = Date.now();
      stop.abort();
    } else if (Date.now() - stoppedAt > AGAIN_AFTER_MS) {
      hurry.abort();
    }
  });
}
// A terminal that was closed takes no more lines; what runs is ended all the same, by its SIGHUP.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);

const say = sayTo(process.stdout);

async function main(): Promise<number> {
  const settings = readSettings(process.env, process.cwd());
  const { supervise } = await import('./supervisor.js');
  await supervise({ settings, env: process.env, say, stop: stop.signal, hurry: hurry.signal });
  say('Stopped.');
  return 0;
}

/** Errors for people have a code (of this room, or of certs and broker-config); anything else is a bug. */
function report(error: unknown): void {
  const complain = sayTo(process.stderr);
  if (error instanceof Error && 'code' in error && typeof error.code === 'string' && !isSystemError(error)) {
    complain(`Postern could not start. ${error.message}`);
    if (error instanceof StackError) for (const line of error.details) complain(`  ${line}`);
  } else {
    complain(
      `Postern could not start, and that is a bug: ${error instanceof Error ? error.stack : String(error)}`,
    );
  }
}

const isSystemError = (error: Error): boolean => 'syscall' in error;

try {
  process.exitCode = await main();
} catch (error) {
  report(error);
  process.exitCode = 1;
}
// Nothing is left running by now; a handle that was forgotten must not keep the terminal.
process.exit();
