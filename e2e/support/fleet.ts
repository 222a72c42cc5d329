import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DeviceFiles } from './device.js';
import { LineProcess } from './line-process.js';
import { ROOT, type Stack } from './stack.js';

export interface FleetDeviceState {
  readonly deviceId: string;
  readonly connected: boolean;
  /** Requests that the device carried out, by method. */
  readonly executed: Readonly<Record<string, number>>;
  /** Replies that it sent a second time, among others. */
  readonly counters: { readonly duplicated: number };
  /** By correlation id; empty for devices without. */
  readonly executions: readonly { readonly method: string; readonly times: number }[];
}

let fleets = 0;

/** Simulated devices of one kind in one process. */
export class FleetProcess {
  private readonly process: LineProcess;
  private commands = 0;

  constructor(stack: Stack, devices: readonly DeviceFiles[], options: readonly string[]) {
    const manifest = join(stack.dir, `fleet-${++fleets}.json`);
    writeFileSync(manifest, JSON.stringify(devices.map(({ id, ca, cert, key }) => ({ id, ca, cert, key }))));
    const { ports } = stack.facts;
    this.process = new LineProcess(stack, process.execPath, [
      join(ROOT, 'simulators/bin/postern-simulator.js'),
      ...['fleet', '--control', 'stdio', '--manifest', manifest, '--host', 'localhost'],
      ...['--port', String(options.includes('amqp') ? ports.amqps : ports.mqtts)],
      ...options,
    ]);
  }

  async connected(): Promise<void> {
    await this.process.line(/"event":"allConnected"/, { timeoutMs: 30_000 });
  }

  /** What the devices wrote to their UARTs, in order. */
  uart(): string[] {
    return this.process.lines
      .filter((line) => line.includes('"event":"uart"'))
      .map((line) => Buffer.from((JSON.parse(line) as { base64: string }).base64, 'base64').toString('utf8'));
  }

  private async command(command: object): Promise<Record<string, unknown>> {
    const id = `c${++this.commands}`;
    this.process.write(JSON.stringify({ ...command, id }));
    const answer = JSON.parse(await this.process.line(new RegExp(`"event":"answer","id":"${id}"`))) as {
      ok: boolean;
    };
    if (!answer.ok) throw new Error(`the fleet: ${JSON.stringify(answer)}`);
    return answer as Record<string, unknown>;
  }

  async faults(set: object): Promise<void> {
    await this.command({ do: 'faults', set });
  }

  async state(): Promise<FleetDeviceState[]> {
    return (await this.command({ do: 'state' }))['devices'] as FleetDeviceState[];
  }

  stop(): Promise<void> {
    return this.process.stop();
  }
}
