import { spawn, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const SWEEP = fileURLToPath(new URL('./sweep.js', import.meta.url));

/**
 * Ends the parts when the supervisor is killed without a chance to (SIGKILL, the kernel short of memory). A shell
 * that waits for the end of a pipe which only the supervisor holds: that comes however the supervisor ends, and
 * a waiting shell costs nothing.
 */
export class Guard {
  readonly #shell: ChildProcess;

  constructor(options: { dataDir: string; runId: string; env: NodeJS.ProcessEnv }) {
    this.#shell = spawn(
      'sh',
      ['-c', 'cat >/dev/null; exec "$0" "$@"', process.execPath, SWEEP, options.dataDir, options.runId],
      { env: options.env, stdio: ['pipe', 'ignore', 'ignore'], detached: true },
    );
    // Without a shell there is no guard, and the next start cleans up.
    this.#shell.once('error', () => undefined);
    this.#shell.stdin?.once('error', () => undefined);
    this.#shell.unref();
  }

  /** The parts are ended: nothing is left to guard. */
  async dismiss(): Promise<void> {
    const { pid, exitCode, signalCode } = this.#shell;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    this.#shell.ref();
    const gone = new Promise((resolve) => this.#shell.once('exit', resolve));
    process.kill(-pid, 'SIGKILL');
    await gone;
  }
}
