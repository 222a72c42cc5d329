import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, rmSync, statSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { diagnoseLog, readLog, saysReady, type LogDiagnosis } from './broker-log.js';
import { brokerCommand, type Command } from './command.js';
import type { BrokerConfigOptions, ResolvedBrokerConfig } from './config-options.js';
import {
  prepareDataFolder,
  writeDurably,
  writeRunRecord,
  type DataFolder,
  type RunRecord,
} from './data-folder.js';
import type { BrokerInstallation } from './detect.js';
import { BrokerConfigError, BrokerStartError, type BrokerStartFailure } from './errors.js';
import { accepts, freeLoopbackPort, portProblem, stopEpmd } from './loopback-ports.js';
import { nodeEnvironment } from './node-environment.js';
import { identify, signalGroup, waitUntil } from './processes.js';
import { BROKER_CONFIG_FILES, renderBrokerConfig } from './render.js';
import { clearStaleNode } from './stale-node.js';
import { checkTlsFiles } from './tls-files.js';

/** A node is ready after 4 to 10 s on a laptop; a Raspberry Pi takes several times that. Milliseconds. */
const DEFAULT_START_TIMEOUT_MS = 90_000;

/** SIGTERM ends a node in 1 to 6 s; a slow disk takes longer. After this it is killed. Milliseconds. */
const DEFAULT_STOP_TIMEOUT_MS = 20_000;

/** How long SIGKILL may take to show, milliseconds. */
const KILL_TIMEOUT_MS = 5_000;

export interface BrokerNodeOptions {
  installation: BrokerInstallation;
  /** Everything of the node lives here (0700): configuration, cookie, database, logs. Absolute. */
  dataDir: string;
  /** What it serves; the version comes from the installation, the management port is chosen freely. */
  config: Omit<BrokerConfigOptions, 'version' | 'management'>;
  /** A fixed management port on 127.0.0.1; by default a free one, kept for the life of this object. */
  managementPort?: number;
  startTimeoutMs?: number;
  stopTimeoutMs?: number;
}

export type BrokerNodeState = 'idle' | 'starting' | 'ready' | 'stopping';

export interface BrokerExit {
  /** True when `stop()` asked for it. */
  readonly expected: boolean;
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What the log of the last start says; `failure` is null when it says nothing of a failure. */
export interface BrokerDiagnosis extends LogDiagnosis {
  readonly logFile: string;
}

/**
 * A private RabbitMQ node: started, watched and stopped; nothing outside `dataDir` is read or written, and
 * nothing but its two TLS ports leaves loopback. It does not restart itself: call `start()` again after `onExit`.
 */
export class BrokerNode {
  readonly #options: BrokerNodeOptions;
  readonly #exitListeners = new Set<(exit: BrokerExit) => void>();
  #state: BrokerNodeState = 'idle';
  #folder: DataFolder | null = null;
  #managementPort: number | null;
  #epmdPort = 0;
  #node: ChildProcess | null = null;
  #epmd: ChildProcess | null = null;
  #spawnError: Error | null = null;
  #stopRequested = false;
  #stopping: Promise<void> | null = null;
  #logStart = 0;

  constructor(options: BrokerNodeOptions) {
    if (!isAbsolute(options.dataDir)) {
      throw new BrokerConfigError(`dataDir: "${options.dataDir}" must be an absolute path`);
    }
    this.#options = options;
    this.#managementPort = options.managementPort ?? null;
  }

  get state(): BrokerNodeState {
    return this.#state;
  }

  /** Of the node's process, which also leads its process group; null when none runs. */
  get pid(): number | null {
    return this.#node?.pid ?? null;
  }

  /** `http://127.0.0.1:<port>`, without `/api`. @throws before the first start */
  get managementUrl(): string {
    if (this.#managementPort === null) throw new Error('managementUrl is known once start() was called');
    return `http://127.0.0.1:${this.#managementPort}`;
  }

  get logFile(): string {
    return join(this.#options.dataDir, 'log', 'broker.log');
  }

  /** Told of each end of the node, wanted or not. Returns the way to stop listening. */
  onExit(listener: (exit: BrokerExit) => void): () => void {
    this.#exitListeners.add(listener);
    return () => this.#exitListeners.delete(listener);
  }

  /**
   * Starts the node and resolves when it serves both TLS ports and the management API.
   *
   * @throws BrokerStartError when it does not come up; nothing is left running then
   * @throws BrokerConfigError when the options are wrong or a TLS file cannot be used
   */
  async start(): Promise<void> {
    if (this.#state !== 'idle') throw new Error(`start() was called while the node is ${this.#state}`);
    this.#state = 'starting';
    this.#stopRequested = false;
    this.#spawnError = null;
    try {
      const config = await this.#prepare();
      await this.#launch();
      await this.#waitReady(config);
      this.#state = 'ready';
    } catch (error) {
      await this.#tearDown();
      this.#state = 'idle';
      throw error;
    }
  }

  /** Ends the node (SIGTERM, then SIGKILL to its group) and its epmd; also in the middle of a start. */
  async stop(): Promise<void> {
    this.#stopRequested = true;
    if (this.#state === 'starting') {
      // start() notices, tears down and leaves the state idle.
      const timeoutMs = this.#stopTimeoutMs + 2 * KILL_TIMEOUT_MS;
      await waitUntil(() => this.#state !== 'starting', { timeoutMs });
    }
    if (this.#state === 'idle') return;
    this.#state = 'stopping';
    await this.#tearDown();
    this.#state = 'idle';
  }

  /** What the log of the last start says about a failure, and its most telling lines. */
  diagnose(): BrokerDiagnosis {
    const output = this.#folder ? readLog(this.#folder.outputLog) : '';
    return { ...diagnoseLog(readLog(this.logFile, this.#logStart), output), logFile: this.logFile };
  }

  get #stopTimeoutMs(): number {
    return this.#options.stopTimeoutMs ?? DEFAULT_STOP_TIMEOUT_MS;
  }

  async #prepare(): Promise<ResolvedBrokerConfig> {
    const { dataDir, installation } = this.#options;
    this.#managementPort ??= await freeLoopbackPort();
    const options = {
      ...this.#options.config,
      version: installation.version.text,
      management: { port: this.#managementPort },
    };
    const rendered = renderBrokerConfig(options, join(dataDir, 'config'));
    const config = rendered.resolved;
    checkTlsFiles('tls', config.tls);
    checkTlsFiles('authBackend.tls', config.authBackend.tls);
    try {
      this.#folder = prepareDataFolder(dataDir);
      for (const name of BROKER_CONFIG_FILES)
        writeDurably(join(this.#folder.config, name), rendered.files[name]);
    } catch (error) {
      throw new BrokerStartError(
        `The broker's data folder ${dataDir} cannot be written: ${(error as Error).message}. It must belong to the user who starts it.`,
        { failure: 'STORAGE', cause: error },
      );
    }
    await clearStaleNode(this.#folder);
    await this.#checkPorts(config);
    this.#logStart = statSync(this.#folder.brokerLog, { throwIfNoEntry: false })?.size ?? 0;
    return config;
  }

  async #checkPorts(config: ResolvedBrokerConfig): Promise<void> {
    const wanted = [
      { name: 'MQTT over TLS', port: config.mqtts.port, address: config.mqtts.address },
      { name: 'AMQP over TLS', port: config.amqps.port, address: config.amqps.address },
      { name: "the broker's management", port: config.management.port, address: '127.0.0.1' },
    ];
    for (const { name, port, address } of wanted) {
      const problem = await portProblem(port, address);
      if (problem === null) continue;
      const reason =
        problem === 'EADDRINUSE'
          ? 'is in use by another program'
          : problem === 'EACCES'
            ? 'may not be used by this user (choose one above 1023)'
            : `cannot be listened on (${problem})`;
      throw new BrokerStartError(`Port ${port} for ${name} on ${address} ${reason}.`, {
        failure: 'PORT_IN_USE',
      });
    }
  }

  async #launch(): Promise<void> {
    const folder = this.#requireFolder();
    const { installation } = this.#options;
    const token = `postern-${randomBytes(12).toString('hex')}`;
    this.#epmdPort = await freeLoopbackPort();
    const environment = nodeEnvironment({
      installation,
      folder,
      epmdPort: this.#epmdPort,
      distributionPort: await freeLoopbackPort(),
    });
    const self = await identify(process.pid);
    const record: RunRecord = {
      launcher: { pid: process.pid, started: self?.started ?? '' },
      token,
      epmdPort: this.#epmdPort,
      node: null,
      epmd: null,
    };
    const launch = async (program: Command, append: boolean): Promise<ChildProcess> => {
      this.#throwIfStopped();
      const child = this.#spawn(brokerCommand(installation, program, folder.mount), environment, append);
      const started = child.pid === undefined ? null : await identify(child.pid);
      const identity =
        child.pid !== undefined && started ? { pid: child.pid, started: started.started } : null;
      if (append) record.node = identity;
      else record.epmd = identity;
      writeRunRecord(folder.runRecord, record);
      return child;
    };

    this.#epmd = await launch(
      { file: 'epmd', args: ['-port', String(this.#epmdPort), '-address', '127.0.0.1'] },
      false,
    );
    await waitUntil(() => this.#stopRequested || this.#failed() || accepts(this.#epmdPort, '127.0.0.1'), {
      timeoutMs: 10_000,
      intervalMs: 20,
    });
    const server = join(installation.sbin, 'rabbitmq-server');
    this.#node = await launch({ file: server, args: ['-postern', token] }, true);
    const node = this.#node;
    node.once('exit', (exitCode, signal) => this.#onNodeExit(node, { exitCode, signal }));
    if (node.exitCode !== null || node.signalCode !== null) {
      this.#onNodeExit(node, { exitCode: node.exitCode, signal: node.signalCode });
    }
  }

  #spawn(command: Command, env: NodeJS.ProcessEnv, append: boolean): ChildProcess {
    const folder = this.#requireFolder();
    const output = openSync(folder.outputLog, append ? 'a' : 'w', 0o600);
    try {
      const child = spawn(command.file, command.args, {
        cwd: folder.root,
        env,
        // A session of its own: Ctrl-C at the terminal reaches the launcher alone, which stops things in order.
        detached: true,
        stdio: ['ignore', output, output],
      });
      child.once('error', (error) => (this.#spawnError = error));
      return child;
    } finally {
      closeSync(output);
    }
  }

  async #waitReady(config: ResolvedBrokerConfig): Promise<void> {
    const timeoutMs = this.#options.startTimeoutMs ?? DEFAULT_START_TIMEOUT_MS;
    const reachable = (address: string): string =>
      address === '0.0.0.0' ? '127.0.0.1' : address === '::' ? '::1' : address;
    const ready = async (): Promise<boolean> =>
      saysReady(readLog(this.logFile, this.#logStart)) &&
      (await accepts(config.mqtts.port, reachable(config.mqtts.address))) &&
      (await accepts(config.amqps.port, reachable(config.amqps.address))) &&
      (await accepts(config.management.port, '127.0.0.1'));
    const done = await waitUntil(() => this.#stopRequested || this.#failed() || ready(), { timeoutMs });
    this.#throwIfStopped();
    if (this.#failed()) throw this.#startError('EXITED', 'The broker ended while it started.');
    if (!done) {
      throw this.#startError(
        'TIMED_OUT',
        `The broker was not ready within ${Math.round(timeoutMs / 1000)} s.`,
      );
    }
  }

  #throwIfStopped(): void {
    if (this.#stopRequested) {
      throw new BrokerStartError('The broker was stopped before it was ready.', { failure: 'STOPPED' });
    }
  }

  #failed(): boolean {
    const ended = (child: ChildProcess | null): boolean =>
      child !== null && (child.exitCode !== null || child.signalCode !== null);
    return this.#spawnError !== null || ended(this.#node) || ended(this.#epmd);
  }

  #startError(fallback: BrokerStartFailure, sentence: string): BrokerStartError {
    const diagnosis = this.diagnose();
    const cause = this.#spawnError ?? undefined;
    const why = this.#spawnError
      ? ` ${this.#spawnError.message}.`
      : diagnosis.sentence && ` ${diagnosis.sentence}`;
    return new BrokerStartError(`${sentence}${why} Its log is ${diagnosis.logFile}.`, {
      failure: diagnosis.failure ?? fallback,
      logLines: diagnosis.lines,
      logFile: diagnosis.logFile,
      cause,
    });
  }

  #onNodeExit(node: ChildProcess, end: { exitCode: number | null; signal: NodeJS.Signals | null }): void {
    if (this.#node !== node || this.#state === 'starting') return;
    const expected = this.#stopRequested;
    const tell = (): void => {
      for (const listener of this.#exitListeners) listener({ expected, ...end });
    };
    if (this.#state !== 'ready') return tell();
    // It went away by itself: its epmd goes too, so that the next start finds nothing of this one.
    this.#state = 'stopping';
    void this.#tearDown().then(() => {
      this.#state = 'idle';
      tell();
    });
  }

  #tearDown(): Promise<void> {
    this.#stopping ??= this.#endAll().finally(() => (this.#stopping = null));
    return this.#stopping;
  }

  async #endAll(): Promise<void> {
    const [node, epmd] = [this.#node, this.#epmd];
    await endProcess(node, this.#stopTimeoutMs);
    await endProcess(epmd, KILL_TIMEOUT_MS);
    // The node starts an epmd of its own when it misses ours.
    if (this.#epmdPort !== 0) await stopEpmd(this.#epmdPort);
    this.#node = null;
    this.#epmd = null;
    this.#epmdPort = 0;
    if (this.#folder && (node || epmd)) rmSync(this.#folder.runRecord, { force: true });
  }

  #requireFolder(): DataFolder {
    if (!this.#folder) throw new Error('the data folder is made before anything runs in it');
    return this.#folder;
  }
}

/** Ends a child and what it started: SIGTERM, and SIGKILL to the whole group once `timeoutMs` are over. */
async function endProcess(child: ChildProcess | null, timeoutMs: number): Promise<void> {
  const pid = child?.pid;
  if (!child || pid === undefined) return;
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  if (!ended()) {
    signalGroup(pid, 'SIGTERM');
    if (!(await waitUntil(ended, { timeoutMs }))) {
      signalGroup(pid, 'SIGKILL');
      await waitUntil(ended, { timeoutMs: KILL_TIMEOUT_MS });
    }
  }
  // Helpers that Erlang forks stay in its group and see their pipe close; whoever did not is ended here.
  signalGroup(pid, 'SIGKILL');
}
