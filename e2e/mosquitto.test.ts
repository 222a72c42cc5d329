import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveDevice, type DeviceFiles } from './support/device.js';
import { ApiUser, FlatUser, type Client } from './support/http.js';
import { LineProcess } from './support/line-process.js';
import { Stack } from './support/stack.js';
import { until } from './support/wait.js';

let stack: Stack;
let client: Client;
let user: FlatUser;
let apiUser: ApiUser;

beforeAll(async () => {
  for (const command of ['mosquitto_sub', 'mosquitto_pub']) {
    const { error } = spawnSync(command, ['--help']);
    if (error)
      throw new Error(`These tests need ${command}: apt-get install mosquitto-clients. ${error.message}`);
  }
  stack = await Stack.start();
  client = stack.client();
  user = await FlatUser.signUp(client);
  apiUser = new ApiUser(client, user.username, user.password);
  await apiUser.logIn();
});
afterAll(async () => {
  client?.close();
  await stack?.stop();
});

interface MosquittoOptions {
  readonly version?: 'mqttv31' | 'mqttv311' | 'mqttv5';
  /** With the pair that registration returned. */
  readonly withPassword?: boolean;
}

class MosquittoDevice {
  readonly files: DeviceFiles;

  private constructor(
    readonly name: string,
    files: DeviceFiles,
    private readonly options: MosquittoOptions,
  ) {
    this.files = files;
  }

  static async register(name: string, options: MosquittoOptions = {}): Promise<MosquittoDevice> {
    return new MosquittoDevice(name, saveDevice(stack, await user.register(name)), options);
  }

  private start(command: 'mosquitto_sub' | 'mosquitto_pub', args: readonly string[]): LineProcess {
    const { files, options } = this;
    const config = join(stack.dir, 'mosquitto', files.id);
    mkdirSync(config, { recursive: true, mode: 0o700 });
    // The tools take a password on the command line or here; only one of these is for nobody else to read.
    if (options.withPassword)
      writeFileSync(join(config, command), `-u ${files.id}\n-P ${files.password}\n`, { mode: 0o600 });
    return new LineProcess(
      stack,
      // Into a pipe the tools print by blocks; this makes it lines.
      'stdbuf',
      [
        ...['-oL', command],
        ...['-h', 'localhost', '-p', String(stack.facts.ports.mqtts), '-i', files.id],
        ...['--cafile', files.ca, '--cert', files.cert, '--key', files.key],
        ...['-V', options.version ?? 'mqttv311', '-q', '1'],
        ...args,
      ],
      { XDG_CONFIG_HOME: config },
    );
  }

  subscribe(...args: string[]): LineProcess {
    return this.start('mosquitto_sub', args);
  }

  publish(topic: string, message: string, ...args: string[]): LineProcess {
    return this.start('mosquitto_pub', ['-t', topic, '-m', message, ...args]);
  }

  /** Subscribed to its own topics, and known to the gateway. Ends by itself after `messages`. */
  async listen(messages: number): Promise<LineProcess> {
    const listener = this.subscribe('-t', `${this.files.id}/#`, '-v', '-d', '-C', String(messages));
    await listener.line(/^Subscribed \(mid: \d+\): 1$/);
    await this.presence(true);
    return listener;
  }

  async presence(connected: boolean): Promise<void> {
    await until(`${this.name} is ${connected ? 'there' : 'away'}`, async () => {
      const { json } = await apiUser.call('GET', `devices/${encodeURIComponent(this.name)}`);
      return json.presence.connected === connected;
    });
  }
}

const messages = (process: LineProcess, id: string): string[] =>
  process.lines.filter((line) => line.startsWith(`${id}/`) || line.startsWith('server/'));

/** The broker hangs up: the tool gives up, or connects again. */
const hungUp = (process: LineProcess): boolean =>
  process.ended || process.lines.filter((line) => / sending CONNECT/.test(line)).length > 1;

const speaksMqtt5 = (): boolean => !stack.facts.broker.version.startsWith('3.10');

const KINDS: Record<string, MosquittoOptions> = {
  'MQTT 3.1.1': {},
  'MQTT 3.1.1 with name and password': { withPassword: true },
  'MQTT 3.1 with name and password': { version: 'mqttv31', withPassword: true },
  'MQTT 5': { version: 'mqttv5' },
};

describe.each(Object.entries(KINDS))(
  'a device made of mosquitto_sub and mosquitto_pub, %s',
  (kind, options) => {
    it('gets what is asked of it, and its answer comes back to the caller', async () => {
      const device = await MosquittoDevice.register(kind, options);
      const { id } = device.files;
      if (options.version === 'mqttv5' && !speaksMqtt5()) {
        // RabbitMQ before 3.13 does not know it: no session.
        const refused = device.subscribe('-t', `${id}/#`, '-d');
        await until('it is refused', () => hungUp(refused));
        expect(refused.lines.join('\n')).not.toMatch(/Subscribed/);
        await refused.stop('SIGKILL');
        return;
      }
      for (const [method, path, fields, request, reply] of [
        ['GET', '/get_mac', {}, 'get_mac {}', { value: '02:00:00:00:00:03' }],
        [
          'POST',
          '/set_gpio',
          { number: 5, value: 1 },
          'set_gpio {"number":5,"value":1}',
          { number: 5, value: 1 },
        ],
        ['POST', '/write_uart', { data: 'häh?' }, 'write_uart {"data":"häh?"}', { data: 'häh?' }],
      ] as const) {
        // A client id is connected once at a time, so that the device listens, hangs up and answers.
        const listener = await device.listen(1);
        const call = user.call(method, path, { devicename: device.name, ...fields });
        expect(await listener.exit()).toBe(0);
        expect(messages(listener, id)).toEqual([`${id}/${request}`]);
        const [name] = request.split(' ');
        expect(await device.publish(`server/${id}/${name}`, JSON.stringify(reply)).exit()).toBe(0);
        const answer = await call;
        expect([answer.status, answer.json]).toEqual([200, reply]);
      }
      await device.presence(false);
    });
  },
);

describe('a device made of mosquitto_sub and mosquitto_pub', () => {
  it('may publish nowhere else', async () => {
    const device = await MosquittoDevice.register('publisher');
    const victim = await MosquittoDevice.register('victim');
    const topics = [
      `${victim.files.id}/set_gpio`,
      `server/${victim.files.id}/get_mac`,
      `server/${victim.files.id}/hello`,
      `${device.files.id}/set_gpio`,
      'server/x',
      'anything',
      '$SYS/broker',
    ];
    const listener = await victim.listen(1);
    for (const topic of topics) {
      const publisher = device.publish(topic, '{"number":1,"value":1}', '-d');
      // It is neither acknowledged nor told why: the broker hangs up (MQTT-3.3.5-2), and the tool gives up or tries again.
      await until(`${topic} is refused`, () => hungUp(publisher));
      expect(publisher.lines.join('\n'), topic).not.toMatch(/received PUBACK/);
      if (publisher.ended) expect(publisher.exitCode, topic).not.toBe(0);
      await publisher.stop('SIGKILL');
    }
    // What was sent before would have come before: the first that the victim hears of is the gateway's call.
    const call = await apiUser.call('GET', 'devices/victim/mac?timeoutMs=500');
    expect(call.status).toBe(504);
    expect(await listener.exit()).toBe(0);
    expect(messages(listener, victim.files.id)).toEqual([`${victim.files.id}/get_mac {}`]);
  });

  it('may subscribe to nothing else', async () => {
    const device = await MosquittoDevice.register('subscriber');
    const victim = await MosquittoDevice.register('overheard');
    const filters = [
      '#',
      '+/#',
      '+/get_gpio',
      `${victim.files.id}/#`,
      'server/#',
      `server/${device.files.id}/#`,
      '$SYS/#',
    ];
    const listener = await victim.listen(1);
    const eavesdroppers = [];
    for (const filter of filters) {
      const eavesdropper = device.subscribe('-t', filter, '-v', '-d');
      await until(
        `${filter} is refused`,
        () => hungUp(eavesdropper) || eavesdropper.lines.some((line) => /^Subscribed .*: 128$/.test(line)),
      );
      expect(eavesdropper.lines.join('\n'), filter).not.toMatch(/^Subscribed .*: [012]$/m);
      await eavesdropper.stop('SIGKILL');
      eavesdroppers.push(eavesdropper);
    }
    await apiUser.call('GET', 'devices/overheard/mac?timeoutMs=500');
    expect(await listener.exit()).toBe(0);
    for (const { lines } of eavesdroppers)
      expect(lines.filter((line) => line.includes('get_mac'))).toEqual([]);
  });
});
