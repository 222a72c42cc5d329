import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const LAUNCHER = fileURLToPath(new URL('../../bin/postern.js', import.meta.url));

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}
export interface RunOptions {
  stdin?: string | Buffer;
  env?: Record<string, string>;
  cwd?: string;
}

/** A user's machine: an own home, an own current folder, and the real command. */
export class Shell {
  readonly home = mkdtempSync(join(tmpdir(), 'postern-cli-'));
  readonly config = join(this.home, 'config');
  private readonly running = new Set<ChildProcess>();

  env(more: Record<string, string> = {}): Record<string, string> {
    return {
      PATH: process.env['PATH'] ?? '',
      HOME: this.home,
      POSTERN_CONFIG_DIR: this.config,
      LANG: 'C.UTF-8',
      ...more,
    };
  }

  start(args: readonly string[], options: RunOptions = {}): ChildProcess {
    return this.track(
      spawn(process.execPath, [LAUNCHER, ...args], {
        cwd: options.cwd ?? this.home,
        env: this.env(options.env),
        stdio: ['pipe', 'pipe', 'pipe'],
      }),
    );
  }

  track<T extends ChildProcess>(child: T): T {
    this.running.add(child);
    child.once('exit', () => this.running.delete(child));
    return child;
  }

  async run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    const child = this.start(args, options);
    // A command that does not read its stdin may be gone before it is written.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.stdin ?? '');
    return ended(child);
  }

  /** Logs in; throws with the command's own words where that fails. */
  async login(
    gateway: string,
    ca: string,
    username = 'demo',
    env: Record<string, string> = {},
  ): Promise<void> {
    const { code, stderr } = await this.run(
      ['login', '--gateway', gateway, '--ca', ca, '--username', username, '--password-stdin'],
      { stdin: `${PASSWORD}\n`, env },
    );
    if (code !== 0) throw new Error(`login failed: ${stderr}`);
  }

  dispose(): void {
    for (const child of this.running) child.kill('SIGKILL');
    rmSync(this.home, { recursive: true, force: true });
  }
}

export const PASSWORD = 'correct horse';

export function ended(child: ChildProcess): Promise<Ended> {
  let stdout = '';
  let stderr = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Polls until it holds; throws with `what` after the deadline. */
export async function until(what: string, holds: () => boolean, deadlineMs = 10_000): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`Not within ${deadlineMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
