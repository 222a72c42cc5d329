import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Stack } from './stack.js';
import { until } from './wait.js';

/** A program that we did not write, or a script in another language: started, read by lines, ended with the stack. */
export class LineProcess {
  readonly lines: string[] = [];
  stderr = '';
  private readonly child: ChildProcessWithoutNullStreams;
  private failure: Error | null = null;

  constructor(
    stack: Pick<Stack, 'onStop'>,
    readonly command: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ) {
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    // `error` is for a program that is not there; without a listener the whole test run would end.
    this.child.on('error', (error) => (this.failure = error));
    this.child.stdin.on('error', () => {});
    this.child.stderr.on('data', (chunk: Buffer) => (this.stderr += chunk.toString('utf8')));
    createInterface({ input: this.child.stdout }).on('line', (line) => this.lines.push(line));
    stack.onStop(() => this.stop());
  }

  get pid(): number {
    return this.child.pid!;
  }

  get ended(): boolean {
    return this.failure !== null || this.child.exitCode !== null || this.child.signalCode !== null;
  }

  /** Null while it runs, and where a signal ended it. */
  get exitCode(): number | null {
    return this.child.exitCode;
  }

  write(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  /** Waits for the `count`th line that fits. Fails as soon as the process ends without it. */
  async line(pattern: RegExp, { count = 1, timeoutMs = 20_000 } = {}): Promise<string> {
    return until(
      `${this.command} prints ${pattern} (${count})`,
      () => {
        const found = this.lines.filter((line) => pattern.test(line));
        if (found.length >= count) return found[count - 1];
        if (this.ended)
          throw new Error(
            `${this.command} ended (${this.failure?.message ?? this.exitCode}): ${this.stderr}\n${this.lines.join('\n')}`,
          );
        return false;
      },
      timeoutMs,
    );
  }

  /** Resolves with its exit code when it ends by itself; null where a signal did it. */
  async exit(timeoutMs = 20_000): Promise<number | null> {
    await until(`${this.command} ends`, () => this.ended, timeoutMs);
    if (this.failure) throw this.failure;
    return this.exitCode;
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.ended) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    const killer = setTimeout(() => this.child.kill('SIGKILL'), 5_000);
    await gone;
    clearTimeout(killer);
  }
}
