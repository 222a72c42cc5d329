import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';
import { faultsSchema } from '../device/faults.js';
import type { Fleet } from '../fleet/fleet.js';
import type { FleetStatistics } from '../fleet/fleet-statistics.js';
import type { RunningDevice } from '../transport/running-device.js';

/** Largest command line, in characters; a program that sends more is not speaking this language. */
const MAX_COMMAND_LENGTH = 65_536;

const id = z.union([z.string(), z.number()]).optional();
/** Fleet only: one device; without it the command is for all. */
const device = z.string().optional();

/** What a program may ask for, one JSON object a line. `id` comes back in the answer. */
const commandSchema = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('faults'), id, device, set: faultsSchema.partial() }),
  z.strictObject({ do: z.literal('state'), id, device }),
  z.strictObject({ do: z.literal('statistics'), id }),
  z.strictObject({
    do: z.literal('disconnect'),
    id,
    device,
    pauseMs: z.int().min(0).max(3_600_000).optional(),
  }),
  z.strictObject({ do: z.literal('stop'), id }),
]);

export interface Controlled {
  devices: ReadonlyMap<string, RunningDevice>;
  /** Null for a single device. */
  statistics: (() => FleetStatistics) | null;
}

export interface ControlOptions {
  input: Readable;
  output: Writable;
  controlled: Controlled;
  /** Called for `stop`, and when the input ends: the program that held it is gone. */
  onStop: () => void;
}

/** Reads commands and writes events, both as JSON lines. */
export class ControlChannel {
  readonly #options: ControlOptions;
  readonly #lines: ReturnType<typeof createInterface>;

  constructor(options: ControlOptions) {
    this.#options = options;
    for (const [deviceId, running] of options.controlled.devices) this.#report(deviceId, running);
    this.#lines = createInterface({ input: options.input });
    this.#lines.on('line', (line) => this.#take(line));
    this.#lines.on('close', () => options.onStop());
  }

  /** A fleet's own event. */
  reportFleet(fleet: Fleet): void {
    fleet.on('allConnected', () => this.#write({ event: 'allConnected', devices: fleet.size }));
  }

  close(): void {
    this.#lines.close();
  }

  #report(deviceId: string, running: RunningDevice): void {
    running.on('connected', ({ tookMs }) => this.#write({ event: 'connected', device: deviceId, tookMs }));
    running.on('disconnected', ({ reason }) =>
      this.#write({ event: 'disconnected', device: deviceId, reason }),
    );
    running.on('connectFailed', (failure) =>
      this.#write({ event: 'connectFailed', device: deviceId, ...failure }),
    );
    running.on('request', (request) => this.#write({ event: 'request', device: deviceId, ...request }));
    running.on('reply', (reply) => this.#write({ event: 'reply', device: deviceId, ...reply }));
    running.on('uart', (data) =>
      this.#write({ event: 'uart', device: deviceId, base64: data.toString('base64') }),
    );
    running.on('restart', () => this.#write({ event: 'restart', device: deviceId }));
  }

  #take(line: string): void {
    if (line.trim() === '') return;
    let value: unknown;
    try {
      if (line.length > MAX_COMMAND_LENGTH) throw new SyntaxError('too long');
      value = JSON.parse(line);
    } catch {
      this.#write({ event: 'answer', ok: false, error: 'a command is one line with one JSON object' });
      return;
    }
    const parsed = commandSchema.safeParse(value);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      const asked = (value as { id?: unknown } | null)?.id;
      this.#write({
        event: 'answer',
        id: asked,
        ok: false,
        error: `${issue.path.join('.') || 'command'}: ${issue.message}`,
      });
      return;
    }
    const command = parsed.data;
    try {
      this.#write({ event: 'answer', id: command.id, ok: true, ...this.#carryOut(command) });
    } catch (error) {
      this.#write({ event: 'answer', id: command.id, ok: false, error: (error as Error).message });
    }
  }

  #carryOut(command: z.infer<typeof commandSchema>): object {
    switch (command.do) {
      case 'faults':
        for (const running of this.#chosen(command.device)) running.setFaults(definedOnly(command.set));
        return {};
      case 'state':
        return {
          devices: this.#chosen(command.device).map((running) => ({
            connected: running.connected,
            ...running.device.snapshot(),
          })),
        };
      case 'statistics':
        return { statistics: this.#options.controlled.statistics?.() ?? null };
      case 'disconnect':
        for (const running of this.#chosen(command.device)) {
          running.disconnect({ pauseMs: command.pauseMs ?? 0 });
        }
        return {};
      case 'stop':
        this.#options.onStop();
        return {};
    }
  }

  #chosen(deviceId: string | undefined): RunningDevice[] {
    const { devices } = this.#options.controlled;
    if (deviceId === undefined) return [...devices.values()];
    const running = devices.get(deviceId);
    if (!running) throw new Error(`there is no device ${deviceId} here`);
    return [running];
  }

  #write(event: object): void {
    this.#options.output.write(`${JSON.stringify(event)}\n`);
  }
}

/** The object without the fields that are undefined. */
function definedOnly<T extends object>(value: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, entry]) => entry !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
