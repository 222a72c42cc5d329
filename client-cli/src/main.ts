import { processIo } from './io.js';
import { run } from './program.js';
import { releaseHeldLocks } from './profiles/lock.js';

/** What a shell reports for a process that ended by SIGTERM or SIGHUP. */
const SIGNAL_EXITS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
type Signal = keyof typeof SIGNAL_EXITS;

/** The process: streams, signals, exit code. */
export async function main(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
  let busy = 0;
  let pending: Signal | null = null;
  const uninterrupted = async <T>(work: () => Promise<T>): Promise<T> => {
    busy += 1;
    try {
      return await work();
    } finally {
      busy -= 1;
      if (busy === 0 && pending !== null) process.exit(SIGNAL_EXITS[pending]);
    }
  };
  process.on('exit', () => {
    releaseHeldLocks();
    // A prompt that is cut short leaves the terminal as it found it.
    if (process.stdin.isTTY) process.stdin.setRawMode(false);
  });
  for (const signal of Object.keys(SIGNAL_EXITS) as Signal[])
    process.on(signal, () => {
      if (busy === 0 || pending !== null) process.exit(SIGNAL_EXITS[signal]);
      pending = signal;
      process.stderr.write(
        'postern: ends once the login is renewed; Ctrl-C again ends it now, and may lose the login\n',
      );
    });
  // `postern device list | head -1`: who stops reading has what he wanted.
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(0);
    });
  process.exitCode = await run(argv, processIo(uninterrupted));
}
