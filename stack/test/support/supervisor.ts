import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { stackFactsSchema, type StackFacts } from '@postern/stack';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const POSTERN = fileURLToPath(new URL('../../../client-cli/bin/postern.js', import.meta.url));

/** A folder of the test's own, without symbolic links in its name. */
export const temporaryFolder = (): string => realpathSync(mkdtempSync(join(tmpdir(), 'postern-stack-')));

export async function until(condition: () => boolean, what: string, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain for: ${what}`);
    await delay(50);
  }
}

/** `node stack/dist/main.js` on free ports of 127.0.0.1, with a config folder of its own for `postern`. */
export class SupervisorProcess {
  readonly process: ChildProcess;
  output = '';
  readonly ended: Promise<number | NodeJS.Signals>;

  constructor(
    readonly home: string,
    env: NodeJS.ProcessEnv = {},
  ) {
    this.process = spawn(process.execPath, [MAIN], {
      cwd: home,
      env: { ...environment(home), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    for (const stream of [this.process.stdout, this.process.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    this.ended = new Promise((resolve) =>
      this.process.once('close', (code, signal) => resolve(signal ?? code ?? -1)),
    );
  }

  get dataDir(): string {
    return join(this.home, 'data');
  }

  get isRunning(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  get facts(): StackFacts {
    return stackFactsSchema.parse(JSON.parse(readFileSync(join(this.dataDir, 'stack.json'), 'utf8')));
  }

  lines(pattern: RegExp): string[] {
    return this.output.split('\n').filter((line) => pattern.test(line));
  }

  /** @throws with what was printed, where it ends instead */
  async ready(): Promise<StackFacts> {
    await until(() => !this.isRunning || /^Postern is ready/m.test(this.output), 'the ready line', 150_000);
    if (!this.isRunning) throw new Error(`It ended:\n${this.output}`);
    return this.facts;
  }

  signal(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGINT'): Promise<number | NodeJS.Signals> {
    if (this.isRunning) this.signal(signal);
    return this.ended;
  }
}

/** No setting of whoever runs the tests counts, but which broker to run. */
export function environment(home: string): NodeJS.ProcessEnv {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !name.startsWith('POSTERN_') || name === 'POSTERN_RABBITMQ_HOME',
    ),
  );
  return {
    ...env,
    POSTERN_DATA_DIR: join(home, 'data'),
    POSTERN_CONFIG_DIR: join(home, 'config'),
    POSTERN_BIND_ADDRESS: '127.0.0.1',
    POSTERN_HTTPS_PORT: '0',
    POSTERN_MQTTS_PORT: '0',
    POSTERN_AMQPS_PORT: '0',
  };
}

export interface Ran {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The `postern` command as a user of this stack types it. */
export function postern(home: string, ...args: string[]): Promise<Ran> {
  const { POSTERN_HTTPS_PORT: _port, ...env } = environment(home);
  const child = spawn(process.execPath, [POSTERN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ran = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (ran.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (ran.stderr += text));
  return new Promise((resolve) => child.once('close', (exitCode) => resolve({ ...ran, exitCode })));
}

/** Everything that a stack of this folder started and that still lives: by its mark, or by the broker's HOME. */
export function leftBehind(home: string): string[] {
  const dataDir = join(home, 'data');
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const env = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
        const isOurs = env.some(
          (entry) =>
            (entry.startsWith('POSTERN_STACK_MARK=') && entry.endsWith(` ${dataDir}`)) ||
            entry === `HOME=${dataDir}/broker/home`,
        );
        if (!isOurs || /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))) return [];
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return [`${pid}: ${command.slice(0, 200)}`];
      } catch {
        // It ended while it was looked at.
        return [];
      }
    });
}

/** Ports of this list that something listens on. */
export function listening(ports: readonly number[]): number[] {
  const open = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    readFileSync(table, 'utf8')
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => fields[3] === '0A')
      .map((fields) => Number.parseInt(fields[1]?.split(':')[1] ?? '', 16)),
  );
  return ports.filter((port) => open.includes(port));
}

/** For afterEach: whatever a failed test left is ended, and the folder goes. */
export async function clean(home: string, supervisors: readonly SupervisorProcess[]): Promise<void> {
  for (const supervisor of supervisors) {
    if (supervisor.isRunning) supervisor.signal('SIGKILL');
    await supervisor.ended;
  }
  for (const line of leftBehind(home)) {
    try {
      process.kill(Number.parseInt(line, 10), 'SIGKILL');
    } catch {
      // Ended meanwhile.
    }
  }
  await until(() => leftBehind(home).length === 0, 'the end of what a test left');
  if (existsSync(home)) rmSync(home, { recursive: true, force: true, maxRetries: 3 });
}
