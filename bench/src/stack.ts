import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** What `stack.json` says of a running stack, as far as it is needed here. */
export interface Facts {
  url: string;
  caFile: string;
  ports: { https: number; mqtts: number; amqps: number };
  broker: { pid: number; version: string; managementUrl: string };
  gateways: { pid: number; url: string }[];
}

/** A first boot of the broker on a busy machine, in ms. */
const START_TIMEOUT_MS = 180_000;
const POLL_MS = 50;
const STOP_TIMEOUT_MS = 40_000;

/** One Postern as `make run` starts it, in a temporary folder of its own and on free ports. */
export class Stack {
  readonly dir = mkdtempSync(join(tmpdir(), 'postern-bench-'));
  #process: ChildProcess | null = null;

  private constructor(
    private readonly env: Readonly<Record<string, string>>,
    private readonly root: string,
  ) {}

  /** `env`: beside what the benchmark itself got. `root`: the checkout, built. @throws Error with what the stack said */
  static async start(env: Readonly<Record<string, string>> = {}, root = ROOT): Promise<Stack> {
    const settings = {
      POSTERN_HTTPS_PORT: '0',
      POSTERN_MQTTS_PORT: '0',
      POSTERN_AMQPS_PORT: '0',
      POSTERN_DEMO: '0',
      POSTERN_BIND_ADDRESS: '127.0.0.1',
      POSTERN_HOSTNAMES: '',
      POSTERN_MAX_DEVICES_PER_USER: '200000',
      POSTERN_LOGIN_RATE: '10000',
      ...env,
    };
    const stack = new Stack(settings, root);
    try {
      await stack.run();
    } catch (error) {
      await stack.stop();
      throw error;
    }
    return stack;
  }

  get dataDir(): string {
    return join(this.dir, 'data');
  }

  get facts(): Facts {
    return JSON.parse(readFileSync(join(this.dataDir, 'stack.json'), 'utf8')) as Facts;
  }

  /** Starts its processes; again after {@link halt}, with the same data. */
  async run(): Promise<void> {
    mkdirSync(this.dataDir, { recursive: true, mode: 0o700 });
    let output = '';
    const log = createWriteStream(join(this.dir, 'stack.log'), { flags: 'a' });
    const child = spawn(process.execPath, [join(this.root, 'stack/dist/main.js')], {
      cwd: this.dir,
      env: { ...process.env, ...this.env, POSTERN_DATA_DIR: this.dataDir },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Ctrl-C is for the benchmark to pass on, when its own processes are gone.
      detached: true,
    });
    this.#process = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => {
        log.write(chunk);
        output += chunk.toString('utf8');
      });
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!/^Postern is ready/m.test(output)) {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`Postern ended:\n${output}`);
      if (Date.now() > deadline) throw new Error(`Postern was not ready in time:\n${output}`);
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  /** Ends its processes; the data stays. */
  async halt(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const killer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), STOP_TIMEOUT_MS);
    await gone;
    clearTimeout(killer);
  }

  async stop(): Promise<void> {
    await this.halt();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
