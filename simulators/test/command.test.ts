import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { newDeviceId, type JsonObject } from '@postern/protocol';
import { GatewayClient } from './support/gateway-client.js';
import { PrivateBroker, brokerKinds } from './support/private-broker.js';
import { until } from './support/until.js';

const BIN = new URL('../bin/postern-simulator.js', import.meta.url).pathname;

/** The command as a process of its own. */
class Simulator {
  readonly out: string[] = [];
  readonly err: string[] = [];
  readonly #child: ChildProcess;
  readonly exited: Promise<number | null>;

  constructor(args: readonly string[]) {
    this.#child = spawn(process.execPath, [BIN, ...args], { stdio: 'pipe' });
    createInterface({ input: this.#child.stdout! }).on('line', (line) => this.out.push(line));
    createInterface({ input: this.#child.stderr! }).on('line', (line) => this.err.push(line));
    this.exited = new Promise((resolve) => this.#child.once('close', resolve));
  }

  line(start: string): Promise<string> {
    return until(`a line "${start}..."; got ${[...this.out, ...this.err].join('\n')}`, () =>
      this.out.find((line) => line.startsWith(start)),
    );
  }

  /** A control channel's event that holds these fields. */
  event(fields: JsonObject): Promise<JsonObject> {
    const matches = (line: string): boolean => {
      const event = JSON.parse(line) as JsonObject;
      return Object.entries(fields).every(([name, value]) => event[name] === value);
    };
    return until(`an event ${JSON.stringify(fields)}; got ${this.out.join('\n')}`, () =>
      this.out.find(matches),
    ).then((line) => JSON.parse(line) as JsonObject);
  }

  tell(command: JsonObject | string): void {
    this.#child.stdin!.write(`${typeof command === 'string' ? command : JSON.stringify(command)}\n`);
  }

  endInput(): void {
    this.#child.stdin!.end();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async stop(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }
}

let simulator: Simulator | null = null;
const simulate = (...args: string[]): Simulator => (simulator = new Simulator(args));
afterEach(async () => {
  await simulator?.stop();
  simulator = null;
});

describe('postern-simulator', () => {
  let broker: PrivateBroker;
  let gateway: GatewayClient;
  let folder: string;
  const ids = Array.from({ length: 12 }, () => newDeviceId());
  const lamp = ids[0]!;
  let lampFolder: string;
  let fleetFolder: string;

  beforeAll(async () => {
    broker = await PrivateBroker.start(brokerKinds()[0]!, ids);
    gateway = await GatewayClient.connect(broker);
    folder = mkdtempSync(join(tmpdir(), 'postern-sim-cli-'));
    fleetFolder = join(folder, 'fleet');
    const ports = { mqtts: broker.mqttsPort, amqps: broker.amqpsPort };
    mkdirSync(fleetFolder);
    for (const [index, id] of ids.entries()) {
      broker.pki.writeDeviceFolder(join(fleetFolder, `device-${String(index).padStart(2, '0')}`), id, ports);
    }
    lampFolder = join(fleetFolder, 'device-00');
  }, 120_000);
  afterAll(async () => {
    await gateway?.close();
    await broker?.remove();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'runs the device of a folder and ends at %s with 0',
    async (signal) => {
      const device = simulate('--dir', lampFolder);
      await device.line('Connected');
      const before = gateway.count(`server.${lamp}.set_gpio`);
      gateway.publish(lamp, 'set_gpio', { number: 12, value: 1 });
      expect((await gateway.next(`server.${lamp}.set_gpio`, { after: before })).json).toEqual({
        number: 12,
        value: 1,
      });
      gateway.publish(lamp, 'write_uart', { data: 'Hello\u001b[2J\n\u202e' });
      expect(await device.line('UART')).toBe('UART: Hello\\u{1b}[2J\\n\\u{202e}');
      device.signal(signal);
      expect(await device.exited).toBe(0);
      gateway.returned.length = 0;
      await until('the broker knows that it left', () => {
        gateway.publish(lamp, 'get_status', {});
        return gateway.returned.length > 0;
      });
    },
  );

  it('takes single files, a user name and its password from a file', async () => {
    const passwordFile = join(folder, 'password');
    writeFileSync(passwordFile, `pw-${lamp}\n`, { mode: 0o600 });
    const args = [
      '--host',
      'localhost',
      '--port',
      String(broker.mqttsPort),
      '--id',
      lamp,
      '--ca',
      broker.pki.rootPath,
    ];
    const { cert, key } = broker.pki.pathsOf(lamp);
    args.push('--cert', cert, '--key', key, '--username', lamp, '--password-file', passwordFile);
    const device = simulate(...args, '--style', 'old', '--mqtt-version', '3.1', '--tls12');
    await device.line('Connected');
  });

  it('speaks AMQP', async () => {
    const device = simulate('--dir', lampFolder, '--transport', 'amqp');
    expect(await device.line('Connected')).toContain('AMQPS localhost');
  });

  it('tells a program what happens, and does what it asks, on the control channel', async () => {
    const device = simulate('--dir', lampFolder, '--control', 'stdio', '--seed', '1');
    await device.event({ event: 'connected', device: lamp });
    const replyTopic = `server/${lamp}/reply/t1`;
    for (let times = 0; times < 2; times += 1) {
      gateway.publish(lamp, 'set_gpio', {
        number: 7,
        value: 1,
        responseTopic: replyTopic,
        correlationId: 'c-9',
      });
    }
    await gateway.next(`server.${lamp}.reply.t1`, { after: 1 });
    device.tell({ do: 'state', id: 1 });
    const state = await device.event({ event: 'answer', id: 1, ok: true });
    expect(state['devices']).toMatchObject([
      {
        deviceId: lamp,
        connected: true,
        highPins: [7],
        executions: [{ method: 'set_gpio', correlationId: 'c-9', times: 1 }],
        counters: { requests: 2, repeated: 1 },
      },
    ]);

    device.tell({ do: 'faults', id: 2, set: { silence: 1 } });
    await device.event({ event: 'answer', id: 2, ok: true });
    gateway.publish(lamp, 'set_gpio', {
      number: 8,
      value: 1,
      responseTopic: replyTopic,
      correlationId: 'c-10',
    });
    await device.event({ event: 'request', correlationId: 'c-10' });
    device.tell({ do: 'state', id: 3 });
    expect((await device.event({ event: 'answer', id: 3 }))['devices']).toMatchObject([
      { highPins: [7, 8], counters: { silenced: 1 } },
    ]);

    device.tell('rubbish');
    device.tell({ do: 'faults', id: 4, set: { silence: 2 } });
    device.tell({ do: 'dance', id: 5 });
    device.tell({ do: 'state', id: 6, device: 'nobody' });
    for (const id of [4, 5, 6]) await device.event({ event: 'answer', id, ok: false });
    await device.event({ event: 'answer', ok: false, error: 'a command is one line with one JSON object' });

    device.tell({ do: 'disconnect', id: 7, pauseMs: 10 });
    await device.event({ event: 'disconnected', reason: 'cut on demand' });
    await until(
      'it is back',
      () => device.out.filter((line) => line.includes('"event":"connected"')).length === 2,
    );
    device.tell({ do: 'stop', id: 8 });
    expect(await device.exited).toBe(0);
  });

  it('ends when the program that holds the control channel is gone', async () => {
    const device = simulate('--dir', lampFolder, '--control', 'stdio');
    await device.event({ event: 'connected' });
    device.endInput();
    expect(await device.exited).toBe(0);
  });

  it.each(['mqtt', 'amqp'])('runs a fleet over %s and prints its statistics', async (transport) => {
    const fleet = simulate('fleet', '--dir', fleetFolder, '--transport', transport, '--connect-rate', '200');
    expect(await fleet.line('Connected')).toContain('all 12 devices');
    for (const id of ids) gateway.publish(id, 'get_status', {});
    await until('all have answered', () => ids.every((id) => gateway.count(`server.${id}.get_status`) > 0));
    fleet.signal('SIGUSR1');
    const statistics = JSON.parse(await fleet.line('{')) as JsonObject;
    expect(statistics).toMatchObject({
      devices: 12,
      connected: 12,
      connects: 12,
      disconnects: 0,
      counters: { requests: 12 },
      executed: { get_status: 12 },
      connectMs: { p50: expect.any(Number) as number },
    });
    fleet.signal('SIGTERM');
    expect(await fleet.exited).toBe(0);
    expect(fleet.out.filter((line) => line.startsWith('{'))).toHaveLength(2);
    gateway.received.length = 0;
  });

  it('takes a manifest, and the first so many of it', async () => {
    const manifest = join(folder, 'manifest.json');
    writeFileSync(
      manifest,
      JSON.stringify(
        ids.map((id, index) => {
          const at = `fleet/device-${String(index).padStart(2, '0')}`;
          return { id, cert: `${at}/chain.pem`, key: `${at}/key.pem`, ca: `${at}/rootca.pem` };
        }),
      ),
    );
    const where = ['--host', 'localhost', '--port', String(broker.mqttsPort)];
    const fleet = simulate('fleet', '--manifest', manifest, '--count', '3', ...where);
    expect(await fleet.line('Connected')).toContain('all 3 devices');
  });

  it('with --once says why it cannot connect and ends with 4', async () => {
    const device = simulate('--dir', lampFolder, '--port', '1', '--once');
    expect(await device.exited).toBe(4);
    expect(device.err.join()).toMatch(/Cannot connect \(BROKER_UNREACHABLE\): localhost:1: .* host and port/);
  });

  it.each<[string, string[], number, RegExp]>([
    ['nothing', [], 2, /missing --id, --host, --ca: give --dir/],
    ['an unknown option', ['--insecure'], 2, /unknown option '--insecure'/],
    ['a port that is none', ['--port', '70000'], 2, /whole number from 1 to 65535/],
    ['a probability that is none', ['--silence', '2'], 2, /probability from 0 to 1/],
    ['a range that is none', ['--delay', '9-3'], 2, /range such as 50-200/],
    ['garbage of no kind', ['--garbage-kinds', 'x'], 2, /"x" is none of not-json/],
    ['MQTT 3.1 for protocol 2', ['--mqtt-version', '3.1'], 2, /for --style old/],
    ['a password without a name', ['--dir', 'LAMP', '--password-file', 'x'], 2, /needs --username/],
    ['an MQTT option for AMQP', ['--transport', 'amqp', '--persistent'], 2, /cannot be used with/],
    ['a folder that is not there', ['--dir', '/nonexistent'], 3, /device\.json: there is no such file/],
    ['a key that is none', ['--dir', 'LAMP', '--key', BIN], 3, /holds no PEM key/],
    ['a fleet of nothing', ['fleet'], 2, /either --dir .* or --manifest/],
    ['more devices than there are', ['fleet', '--dir', 'FLEET', '--count', '99'], 2, /there are 12 devices/],
  ])('given %s, says what would be right', async (_, args, code, text) => {
    const paths: Record<string, string> = { LAMP: lampFolder, FLEET: fleetFolder };
    const command = simulate(...args.map((arg) => paths[arg] ?? arg));
    expect(await command.exited).toBe(code);
    expect(command.err.join('\n')).toMatch(text);
  });

  it('helps, and lists its exit codes', async () => {
    for (const args of [['--help'], ['run', '--help'], ['fleet', '--help']]) {
      const command = simulate(...args);
      expect(await command.exited).toBe(0);
      expect(command.out.join('\n')).toMatch(/Exit codes: 0 .* 4 --once/);
    }
  });
});
