import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveDevice } from './support/device.js';
import { FleetProcess, type FleetDeviceState } from './support/fleet.js';
import { ApiUser, Client, FlatUser, type Answer } from './support/http.js';
import { Stack } from './support/stack.js';
import { until } from './support/wait.js';

const CALLS = 10_000;
const CALLERS = 50;
const DEVICES = 20;
/** Calls that each caller has in flight. 15 for each device: below the 32 that a device may have, so that all must be answered. */
const SLOTS_PER_CALLER = 6;
const SLOTS = CALLERS * SLOTS_PER_CALLER;

const KINDS: Record<string, string[]> = {
  'old MQTT 3.1': ['--style', 'old', '--mqtt-version', '3.1', '--tls12'],
  'old MQTT 3.1.1': ['--style', 'old'],
  'old AMQP': ['--style', 'old', '--transport', 'amqp'],
  'protocol 2 MQTT 3.1.1': ['--style', 'protocol2'],
  'protocol 2 AMQP': ['--style', 'protocol2', '--transport', 'amqp'],
};
const MQTT_5 = ['--style', 'protocol2', '--mqtt-version', '5'];

interface Caller {
  readonly client: Client;
  readonly flat: FlatUser;
  readonly api: ApiUser;
}

/** One place for a call in flight: its own device, and there its own two pins, so that it knows what they must say. */
class Slot {
  private readonly pins: readonly [number, number];
  private readonly values = new Map<number, 0 | 1>();
  private calls = 0;

  constructor(
    private readonly number: number,
    readonly device: string,
    private readonly caller: Caller,
  ) {
    const first = 2 * Math.floor(number / DEVICES);
    this.pins = [first, first + 1];
  }

  /** The next call. Null where the answer is its own and right, else what was wrong with it. */
  async next(run: string, count: (method: string) => void): Promise<string | null> {
    const n = this.calls++;
    const own = `${run}-${this.number}-${n}`;
    const pin = this.pins[n % 2]!;
    // Each slot begins elsewhere in the round, so that the methods mix on every device.
    switch ((n + this.number) % 6) {
      case 0: {
        count('write_uart');
        return differs(await this.uart(own), { data: own });
      }
      case 1:
      case 2: {
        const value = (this.number + n) % 3 === 0 ? 0 : 1;
        count('set_gpio');
        const answer = await this.set(pin, value);
        this.values.set(pin, value);
        return differs(answer, { number: pin, value });
      }
      case 3: {
        count('get_gpio');
        return differs(await this.get(pin), { number: pin, value: this.values.get(pin) ?? 0 });
      }
      case 4: {
        const unique = (this.number << 16) | n;
        const hex = unique.toString(16).padStart(10, '0');
        const value = hex.replace(/../g, ':$&').replace(/^/, '02');
        count('set_mac');
        return differs(await this.mac(value), { value });
      }
      default: {
        count('get_gpio');
        return differs(await this.get(pin), { number: pin, value: this.values.get(pin) ?? 0 });
      }
    }
  }

  /** Half of the callers speak the flat calls, the other half the newer API. */
  private get isFlat(): boolean {
    return this.number % 2 === 0;
  }
  private at(path: string): string {
    return `devices/${encodeURIComponent(this.device)}/${path}?timeoutMs=30000`;
  }
  private flat(method: 'GET' | 'POST', path: string, fields: object): Promise<Answer> {
    // Whether a call is lost is the question, not how fast a busy machine is.
    return this.caller.flat.call(method, `${path}?timeoutMs=30000`, { devicename: this.device, ...fields });
  }
  private uart(data: string): Promise<Answer> {
    return this.isFlat
      ? this.flat('POST', '/write_uart', { data })
      : this.caller.api.call('POST', this.at('uart'), { data });
  }
  private set(number: number, value: number): Promise<Answer> {
    return this.isFlat
      ? this.flat('POST', '/set_gpio', { number, value })
      : this.caller.api.call('PUT', this.at(`gpio/${number}`), { value });
  }
  private get(number: number): Promise<Answer> {
    return this.isFlat
      ? this.flat('GET', '/get_gpio', { number })
      : this.caller.api.call('GET', this.at(`gpio/${number}`));
  }
  private mac(value: string): Promise<Answer> {
    return this.isFlat
      ? this.flat('POST', '/set_mac', { value })
      : this.caller.api.call('PUT', this.at('mac'), { value });
  }
}

function differs(answer: Answer, wanted: Record<string, unknown>): string | null {
  const isRight =
    answer.status === 200 &&
    Object.entries(wanted).every(
      ([name, value]) => (answer.json as Record<string, unknown>)?.[name] === value,
    );
  return isRight
    ? null
    : `wanted ${JSON.stringify(wanted)}, got ${answer.status} ${answer.text.slice(0, 300)}`;
}

describe.each([1, 2])('with %i gateway(s)', (gateways) => {
  let stack: Stack;
  let callers: Caller[];
  const fleets: FleetProcess[] = [];
  let slots: Slot[];

  beforeAll(async () => {
    stack = await Stack.start({ POSTERN_GATEWAYS: String(gateways) });
    const entrance = stack.client();
    const user = await FlatUser.signUp(entrance);
    const first = new ApiUser(entrance, user.username, user.password);
    await first.logIn();
    const kinds = Object.values(KINDS);
    if (!stack.facts.broker.version.startsWith('3.10')) kinds.push(MQTT_5);
    const names = Array.from({ length: DEVICES }, (_, index) => `device-${index}`);
    const files = [];
    for (const name of names) files.push(saveDevice(stack, await user.register(name)));
    for (const [index, options] of kinds.entries()) {
      const members = files.filter((_, device) => device % kinds.length === index);
      fleets.push(new FleetProcess(stack, members, options));
    }
    for (const fleet of fleets) await fleet.connected();

    callers = Array.from({ length: CALLERS }, (_, index) => {
      const { url } = stack.facts.gateways[index % gateways]!;
      const client = new Client({ url, ca: stack.ca, maxSockets: SLOTS_PER_CALLER });
      stack.onStop(() => client.close());
      const flat = new FlatUser(client, user.username, user.password);
      flat.secret = user.secret;
      const api = new ApiUser(client, user.username, user.password);
      api.accessToken = first.accessToken;
      return { client, flat, api };
    });
    slots = Array.from(
      { length: SLOTS },
      (_, number) =>
        new Slot(number, names[number % DEVICES]!, callers[Math.floor(number / SLOTS_PER_CALLER)]!),
    );
    // Every gateway must have heard every hello: until then a newer device counts as an old one.
    for (const [index, name] of names.entries())
      for (const { api } of callers.slice(0, gateways))
        await until(`${name} is there`, async () => {
          const { json } = await api.call('GET', `devices/${name}`);
          const wanted = kinds[index % kinds.length]!.includes('old') ? 1 : 2;
          return json.presence.connected && json.presence.protocol === wanted;
        });
    entrance.close();
    // 300 TLS handshakes in the first second would be taken for slow calls.
    for (const { client } of callers)
      await Promise.all(Array.from({ length: SLOTS_PER_CALLER }, () => client.send('GET', '/healthz')));
  });
  afterAll(async () => {
    fleets.length = 0;
    await stack?.stop();
  });

  const states = async (): Promise<FleetDeviceState[]> =>
    (await Promise.all(fleets.map((fleet) => fleet.state()))).flat();
  const executed = async (): Promise<Record<string, number>> => {
    const sum: Record<string, number> = {};
    for (const device of await states())
      for (const [method, times] of Object.entries(device.executed)) sum[method] = (sum[method] ?? 0) + times;
    return sum;
  };

  async function callAll(run: string): Promise<void> {
    const before = await executed();
    const uartBefore = fleets.flatMap((fleet) => fleet.uart()).length;
    const sent: Record<string, number> = {};
    const wrong: string[] = [];
    const tookMs: number[] = [];
    let left = CALLS;
    const work = async (slot: Slot): Promise<void> => {
      while (left > 0) {
        left -= 1;
        const startedAt = performance.now();
        const problem = await slot
          .next(run, (method) => (sent[method] = (sent[method] ?? 0) + 1))
          .catch((error: Error) => `no answer: ${error.message}`);
        tookMs.push(performance.now() - startedAt);
        if (problem) wrong.push(`${slot.device}: ${problem}`);
      }
    };
    await Promise.all(slots.map(work));
    const after = await executed();
    const carriedOut = Object.fromEntries(
      Object.keys(sent).map((method) => [method, after[method]! - (before[method] ?? 0)]),
    );
    tookMs.sort((one, other) => one - other);
    const about = `${wrong.length} of ${CALLS} calls; p50 ${tookMs[CALLS / 2]}, p99 ${tookMs[CALLS * 0.99]}, longest ${tookMs.at(-1)} ms; sent ${JSON.stringify(sent)}, carried out ${JSON.stringify(carriedOut)}`;
    expect(wrong.slice(0, 10), about).toEqual([]);
    // Each was carried out, and once.
    expect(carriedOut).toEqual(sent);
    const uart = fleets.flatMap((fleet) => fleet.uart());
    expect(uart.length - uartBefore).toBe(sent['write_uart']);
    expect(new Set(uart).size).toBe(uart.length);
    for (const { executions } of await states())
      expect(executions.filter(({ times }) => times > 1)).toEqual([]);
  }

  it(
    `answers ${CALLS} concurrent calls from ${CALLERS} callers to ${DEVICES} devices, each with its own answer`,
    { timeout: 180_000 },
    async () => {
      await callAll('plain');
    },
  );

  it('the same with devices that delay their replies and repeat them', { timeout: 240_000 }, async () => {
    for (const fleet of fleets)
      await fleet.faults({
        delayMs: { min: 0, max: 10 },
        duplicate: 0.2,
        duplicateDelayMs: { min: 0, max: 60 },
      });
    await callAll('faults');
    // Every kind of device did repeat itself.
    for (const fleet of fleets)
      expect(
        (await fleet.state()).reduce((sum, { counters }) => sum + counters.duplicated, 0),
      ).toBeGreaterThan(100);
  });
});
