import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client } from './http.js';
import { until } from './wait.js';

/** The checkout. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What `stack.json` says of a running stack. */
export interface Facts {
  readonly dataDir: string;
  readonly url: string;
  readonly caFile: string;
  readonly ports: { readonly https: number; readonly mqtts: number; readonly amqps: number };
  readonly broker: { readonly pid: number; readonly version: string; readonly managementUrl: string };
  readonly gateways: readonly {
    readonly pid: number;
    readonly url: string;
    readonly brokerAuthPort: number;
  }[];
  readonly lamp: { readonly pid: number; readonly folder: string } | null;
}

/** Longest start: a first boot of RabbitMQ on a busy machine, and then some. In ms. */
const START_TIMEOUT_MS = 150_000;

/** One Postern, started as `make run` starts it: real broker, gateway and store, on free ports, in a folder of its own. */
export class Stack {
  readonly dir: string;
  output = '';
  private process: ChildProcess | null = null;
  private readonly cleanups: (() => unknown)[] = [];

  private constructor(private readonly env: Readonly<Record<string, string>>) {
    this.dir = mkdtempSync(join(tmpdir(), 'postern-e2e-'));
  }

  static async start(env: Readonly<Record<string, string>> = {}): Promise<Stack> {
    const stack = new Stack({
      POSTERN_HTTPS_PORT: '0',
      POSTERN_MQTTS_PORT: '0',
      POSTERN_AMQPS_PORT: '0',
      POSTERN_DEMO: '0',
      POSTERN_BIND_ADDRESS: '127.0.0.1',
      // The suite logs in as many users from one address; the limits have tests of their own.
      POSTERN_LOGIN_RATE: '10000',
      POSTERN_SCRYPT_COST: '15',
      ...env,
    });
    try {
      await stack.run();
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return stack;
  }

  /** Starts the processes (again). */
  async run(): Promise<void> {
    this.output = '';
    const child = spawn(process.execPath, [join(ROOT, 'stack/dist/main.js')], {
      cwd: this.dir,
      env: { ...process.env, ...this.env, POSTERN_DATA_DIR: this.dataDir },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    this.process = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (this.output += chunk.toString('utf8')));
    await until(
      'the stack is ready',
      () => {
        if (child.exitCode !== null || child.signalCode !== null)
          throw new Error(`the stack ended:\n${this.output}`);
        return /^Postern is ready/m.test(this.output);
      },
      START_TIMEOUT_MS,
    );
  }

  get dataDir(): string {
    return join(this.dir, 'data');
  }

  get pid(): number {
    return this.process!.pid!;
  }

  get facts(): Facts {
    return JSON.parse(readFileSync(join(this.dataDir, 'stack.json'), 'utf8')) as Facts;
  }

  get ca(): string {
    return readFileSync(this.facts.caFile, 'utf8');
  }

  /** A client of the first gateway, or of another one. */
  client(gateway = 0): Client {
    return new Client({ url: this.facts.gateways[gateway]!.url, ca: this.ca });
  }

  onStop(cleanup: () => unknown): void {
    this.cleanups.push(cleanup);
  }

  /** Ends the processes and waits until they are gone; the data stays. */
  async halt(): Promise<void> {
    const child = this.process;
    this.process = null;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const killer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), 40_000);
    await gone;
    clearTimeout(killer);
  }

  async stop(): Promise<void> {
    for (const cleanup of this.cleanups.splice(0).reverse()) await cleanup();
    await this.halt();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
