import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { LogFile } from './log-file.js';

/** A part that was told to end has this long, in milliseconds, before it is killed. */
export const STOP_TIMEOUT_MS = 15_000;

export interface ChildOptions {
  /** Arguments for this Node.js: the script first. */
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly log: LogFile;
  /** Its standard output goes here line by line, and not into the log. */
  readonly onLine?: (line: string) => void;
}

/** A Node.js process that this one started. */
export class Child {
  readonly #process: ChildProcess;
  /** Resolves with how it ended, in words. Never rejects. */
  readonly ended: Promise<string>;
  #isEnded = false;

  constructor(options: ChildOptions) {
    this.#process = spawn(process.execPath, [...options.args], {
      env: options.env,
      stdio: ['ignore', options.onLine ? 'pipe' : options.log.fd, options.log.fd],
      // A session of its own: Ctrl-C at the terminal reaches the supervisor alone, which stops things in order.
      detached: true,
    });
    const { stdout } = this.#process;
    if (stdout && options.onLine) createInterface({ input: stdout }).on('line', options.onLine);
    this.ended = new Promise<string>((resolve) => {
      this.#process.once('error', (error) => resolve(error.message));
      this.#process.once('exit', (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
    }).then((how) => {
      this.#isEnded = true;
      return how;
    });
  }

  get pid(): number | null {
    return this.#process.pid ?? null;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** SIGTERM; after `timeoutMs`, or once `hurry` says so, SIGKILL to it and what it started. */
  async stop(hurry: AbortSignal, timeoutMs: number = STOP_TIMEOUT_MS): Promise<void> {
    if (this.#isEnded) return;
    const kill = (): void => this.#signal('SIGKILL');
    const timer = setTimeout(kill, timeoutMs);
    hurry.addEventListener('abort', kill, { once: true });
    if (hurry.aborted) kill();
    else this.#signal('SIGTERM');
    await this.ended;
    clearTimeout(timer);
    hurry.removeEventListener('abort', kill);
  }

  /** Only to a process that was not waited for yet, so that its number cannot be another's by now. */
  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#process;
    if (pid === undefined || this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    try {
      process.kill(signal === 'SIGKILL' ? -pid : pid, signal);
    } catch {
      // It ended in this very moment.
    }
  }
}
