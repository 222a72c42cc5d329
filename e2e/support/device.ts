import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import type { FlatDevice } from './http.js';
import { ROOT, type Stack } from './stack.js';
import { until } from './wait.js';

/** The files of a registered device, as a user would save what registration returned. */
export interface DeviceFiles {
  readonly id: string;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  readonly password: string;
  readonly passwordFile: string;
}

export function saveDevice(
  stack: Stack,
  device: Pick<FlatDevice, 'deviceid' | 'rootca' | 'devicecert' | 'devicepkey' | 'password'>,
): DeviceFiles {
  const folder = join(stack.dir, 'devices', device.deviceid);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const write = (name: string, text: string): string => {
    const file = join(folder, name);
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };
  return {
    id: device.deviceid,
    ca: write('rootca.pem', device.rootca),
    cert: write('cert.pem', device.devicecert),
    key: write('key.pem', device.devicepkey),
    password: device.password,
    passwordFile: write('password', device.password),
  };
}

type Event = { event?: string; [field: string]: unknown };

/** A simulated device as a process, driven over its control channel. */
export class DeviceProcess {
  readonly events: Event[] = [];
  private readonly child: ChildProcess;
  private commands = 0;
  stderr = '';

  constructor(stack: Stack, files: DeviceFiles, options: readonly string[] = []) {
    const amqp = options.includes('amqp');
    const { ports } = stack.facts;
    this.child = spawn(
      process.execPath,
      [
        join(ROOT, 'simulators/bin/postern-simulator.js'),
        ...[
          'run',
          '--control',
          'stdio',
          '--host',
          'localhost',
          '--port',
          String(amqp ? ports.amqps : ports.mqtts),
        ],
        ...['--id', files.id, '--ca', files.ca, '--cert', files.cert, '--key', files.key],
        ...['--backoff-min', '100', '--restart-ms', '50'],
        ...options,
      ],
      { stdio: ['pipe', 'pipe', 'pipe'] },
    );
    this.child.stdin!.on('error', () => {});
    this.child.stderr!.on('data', (chunk: Buffer) => (this.stderr += chunk.toString('utf8')));
    createInterface({ input: this.child.stdout! }).on('line', (line) => {
      try {
        this.events.push(JSON.parse(line) as Event);
      } catch {
        // A line for people.
      }
    });
    stack.onStop(() => this.stop());
  }

  count(event: string): number {
    return this.events.filter((entry) => entry.event === event).length;
  }

  /** Resolves when the device has subscribed for the `times`th time. */
  async connected(times = 1): Promise<this> {
    await until('the device is connected', () => {
      if (this.child.exitCode !== null) throw new Error(`the device ended: ${this.stderr}`);
      return this.count('connected') >= times;
    });
    return this;
  }

  async command(command: Record<string, unknown>): Promise<Event> {
    const id = ++this.commands;
    this.child.stdin!.write(`${JSON.stringify({ ...command, id })}\n`);
    return until(`the device answers ${String(command['do'])}`, () =>
      this.events.find((entry) => entry['id'] === id),
    );
  }

  /** Stops its clock (SIGSTOP) and lets it go on (SIGCONT), or whatever else a process can be sent. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill(signal);
    await gone;
  }
}
