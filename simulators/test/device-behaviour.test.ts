import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_EPOCH_SECONDS, MAX_REPLY_BYTES, type JsonObject } from '@postern/protocol';
import {
  GARBAGE_KINDS,
  MAX_PENDING_REQUESTS,
  MAX_REMEMBERED_REPLIES,
  MAX_REQUEST_BYTES,
  SimulatedDevice,
  type GarbageKind,
  type IncomingMessage,
  type OutgoingMessage,
  type SimulatedDeviceOptions,
} from '@postern/simulators';

const ID = 'dabcdefghijklmnopqrst';
const REPLY = `server/${ID}/reply/i1`;

class Bench {
  readonly sent: OutgoingMessage[] = [];
  readonly device: SimulatedDevice;
  nowMs = 1_700_000_000_000;

  constructor(options: Partial<SimulatedDeviceOptions> = {}) {
    this.device = new SimulatedDevice({ deviceId: ID, now: () => this.nowMs, ...options });
    this.device.onSend = (message) => Promise.resolve(this.sent.push(message) > 0);
  }

  handle(method: string, request: JsonObject | string, more: Partial<IncomingMessage> = {}): Promise<void> {
    const text = typeof request === 'string' ? request : JSON.stringify(request);
    return this.device.handle({ topic: `${ID}/${method}`, payload: Buffer.from(text), ...more });
  }

  async ask(method: string, request: JsonObject): Promise<JsonObject> {
    await this.handle(method, request);
    return this.reply();
  }

  reply(index = -1): JsonObject {
    return JSON.parse(this.sent.at(index)!.payload.toString()) as JsonObject;
  }

  correlated(id: string): Partial<IncomingMessage> {
    return { responseTopic: REPLY, correlationData: id };
  }
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

describe('an FT900', () => {
  it('remembers each pin by itself', async () => {
    const bench = new Bench();
    for (const pin of [0, 12, 66]) await bench.ask('set_gpio', { number: pin, value: 1 });
    await bench.ask('set_gpio', { number: 12, value: 0 });
    expect(bench.device.snapshot().highPins).toEqual([0, 66]);
    expect(await bench.ask('get_gpio', { number: 66 })).toEqual({ number: 66, value: 1 });
    expect(await bench.ask('get_gpio', { number: 65 })).toEqual({ number: 65, value: 0 });
  });

  it('has a clock that runs, can be set, and wraps at 32 bits', async () => {
    const bench = new Bench();
    expect(await bench.ask('get_rtc', {})).toEqual({ value: 1_700_000_000 });
    await bench.ask('set_rtc', { value: 1_561_700_000 });
    bench.nowMs += 90_500;
    expect(await bench.ask('get_rtc', {})).toEqual({ value: 1_561_700_090 });
    await bench.ask('set_rtc', { value: MAX_EPOCH_SECONDS });
    bench.nowMs += 2_000;
    expect(await bench.ask('get_rtc', {})).toEqual({ value: 1 });
  });

  it('restarts after the reply is out: pins fall to 0, clock and MAC stay', async () => {
    const bench = new Bench();
    const restarts: number[] = [];
    bench.device.on('restart', () => restarts.push(bench.sent.length));
    await bench.ask('set_gpio', { number: 3, value: 1 });
    await bench.ask('set_rtc', { value: 1000 });
    await bench.ask('set_mac', { value: '02-00-00-AB-CD-EF' });
    expect(await bench.ask('set_status', { status: 'restart' })).toEqual({ status: 'restarting' });
    expect(restarts).toEqual([4]);
    expect(bench.device.snapshot()).toMatchObject({ highPins: [], rtc: 1000, restarts: 1 });
    expect(await bench.ask('get_mac', {})).toEqual({ value: '02:00:00:ab:cd:ef' });
  });

  it('writes to its UART what came, as bytes', async () => {
    const bench = new Bench();
    const uart: string[] = [];
    bench.device.on('uart', (data) => uart.push(data.toString('hex')));
    await bench.ask('write_uart', { data: 'é\u0000' });
    await bench.ask('write_uart', { data: 'AP/+gA==', encoding: 'base64' });
    expect(uart).toEqual(['c3a900', '00fffe80']);
  });

  it('has a MAC of its own, the same at every start', async () => {
    const mac = async (deviceId: string): Promise<unknown> => {
      const device = new SimulatedDevice({ deviceId });
      return device.snapshot().mac;
    };
    expect(await mac('da')).toBe(await mac('da'));
    expect(await mac('da')).not.toBe(await mac('db'));
  });
});

describe('an old device', () => {
  it('handles one request after the other, in their order', async () => {
    const bench = new Bench({ style: 'old', faults: { delayMs: { min: 100, max: 100 } } });
    const all = [1, 2, 3].map((number) => bench.handle('get_gpio', { number }));
    await vi.advanceTimersByTimeAsync(199);
    expect(bench.sent).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(101);
    await Promise.all(all);
    expect(bench.sent.map((_, index) => bench.reply(index)['number'])).toEqual([1, 2, 3]);
  });

  it('knows no hello and no correlation, and looks at no field but its own', async () => {
    const bench = new Bench({ style: 'old' });
    expect(bench.device.hello()).toBeNull();
    const request = { number: 7, value: 1, responseTopic: REPLY, correlationId: 'c-1', extra: [] };
    await bench.handle('set_gpio', request, bench.correlated('c-1'));
    await bench.handle('set_gpio', request, bench.correlated('c-1'));
    expect(bench.sent).toHaveLength(2);
    expect(bench.sent[1]).toMatchObject({ topic: `server/${ID}/set_gpio`, correlationData: null });
    expect(bench.reply()).toEqual({ number: 7, value: 1 });
    expect(bench.device.executed).toEqual({ set_gpio: 2 });
  });

  it('says nothing to what it cannot carry out, or an error where it is told to', async () => {
    for (const [method, request] of [
      ['set_gpio', '{"number":99,"value":1}'],
      ['set_gpio', 'no JSON'],
      ['make_coffee', '{}'],
    ] as const) {
      const silent = new Bench({ style: 'old' });
      await silent.handle(method, request);
      expect(silent.sent, request).toEqual([]);
      const loud = new Bench({ style: 'old', badRequests: 'error' });
      await loud.handle(method, request);
      expect(loud.reply(), request).toEqual({ error: expect.any(String) as string });
    }
  });

  it('answers write_uart with the whole request where it is of that kind', async () => {
    const bench = new Bench({ style: 'old', uartReply: 'request' });
    expect(await bench.ask('write_uart', { data: 'x', other: 1 })).toEqual({ data: 'x', other: 1 });
  });

  it('drops requests beyond its buffer', async () => {
    const bench = new Bench({ style: 'old', faults: { delayMs: { min: 1, max: 1 } } });
    const all = Array.from({ length: MAX_PENDING_REQUESTS + 5 }, () => bench.handle('get_status', {}));
    await vi.runAllTimersAsync();
    await Promise.all(all);
    expect(bench.sent).toHaveLength(MAX_PENDING_REQUESTS);
  });
});

describe('a protocol 2 device', () => {
  it('answers at the response topic, with the correlation beside the payload', async () => {
    const bench = new Bench();
    await bench.handle('get_gpio', { number: 1 }, bench.correlated('c-1'));
    expect(bench.sent[0]).toMatchObject({ topic: REPLY, correlationData: 'c-1' });
    expect(bench.reply()).toEqual({ number: 1, value: 0 });
  });

  it('executes a repeated id once and sends the earlier reply again', async () => {
    const bench = new Bench();
    await bench.handle('set_gpio', { number: 1, value: 1 }, bench.correlated('c-1'));
    await bench.handle('set_gpio', { number: 1, value: 0 }, bench.correlated('c-1'));
    expect(bench.device.executed).toEqual({ set_gpio: 1 });
    expect(bench.device.snapshot().highPins).toEqual([1]);
    expect(bench.sent[1]).toEqual(bench.sent[0]);
    expect(bench.device.counters).toMatchObject({ requests: 2, repeated: 1 });
  });

  it('does not answer twice while the first is at work, nor restart twice', async () => {
    const bench = new Bench({ faults: { delayMs: { min: 50, max: 50 } } });
    const first = bench.handle('set_status', { status: 'restart' }, bench.correlated('c-1'));
    await bench.handle('set_status', { status: 'restart' }, bench.correlated('c-1'));
    await vi.runAllTimersAsync();
    await first;
    await bench.handle('set_status', { status: 'restart' }, bench.correlated('c-1'));
    expect(bench.device.state.restarts).toBe(1);
  });

  it('remembers a bounded number of ids', async () => {
    const bench = new Bench();
    for (let index = 0; index <= MAX_REMEMBERED_REPLIES; index += 1) {
      await bench.handle('get_status', {}, bench.correlated(`c-${index}`));
    }
    await bench.handle('get_status', {}, bench.correlated(`c-${MAX_REMEMBERED_REPLIES}`));
    expect(bench.device.counters.repeated).toBe(1);
    await bench.handle('get_status', {}, bench.correlated('c-0'));
    expect(bench.device.counters.repeated).toBe(1);
  });

  it('works at requests side by side', async () => {
    const bench = new Bench({ faults: { delayMs: { min: 100, max: 100 } } });
    const all = [1, 2, 3].map((number) =>
      bench.handle('get_gpio', { number }, bench.correlated(`c-${number}`)),
    );
    await vi.advanceTimersByTimeAsync(100);
    await Promise.all(all);
    expect(bench.sent).toHaveLength(3);
  });

  it.each([
    ['another device', `server/dzzzzzzzzzzzzzzzzzzzz/reply/i1`],
    ['a request topic', `${ID}/set_gpio`],
    ['a wildcard', `server/${ID}/#`],
    ['nothing below its own', `server/${ID}/`],
    ['an id that only begins like its own', `server/${ID}x/reply`],
  ])('never sends to a response topic of %s', async (_, responseTopic) => {
    const bench = new Bench();
    await bench.handle('set_gpio', { number: 1, value: 1 }, { responseTopic, correlationData: 'c-1' });
    expect(bench.sent.map(({ topic }) => topic)).toEqual([`server/${ID}/set_gpio`]);
    expect(bench.reply()).toMatchObject({ error: { code: 'BAD_REQUEST' } });
    expect(bench.device.executed).toEqual({});
  });

  it.each(['', 'x'.repeat(65), 'a b', 'ä', 7, null])(
    'refuses the correlation id %j',
    async (correlationId) => {
      const bench = new Bench();
      await bench.handle('get_status', { responseTopic: REPLY, correlationId });
      expect(bench.reply()).toMatchObject({ error: { code: 'BAD_REQUEST' } });
    },
  );

  it('says which limit a request broke', async () => {
    const bench = new Bench();
    await bench.handle('write_uart', { data: 'x'.repeat(MAX_REQUEST_BYTES) });
    expect(bench.reply()).toMatchObject({ error: { code: 'REQUEST_TOO_LARGE' } });
    await bench.handle('get_status', '[1]');
    expect(bench.reply()).toMatchObject({ error: { code: 'BAD_REQUEST' } });
    bench.device.setFaults({ delayMs: { min: 10, max: 10 } });
    const all = Array.from({ length: MAX_PENDING_REQUESTS + 1 }, () => bench.handle('get_status', {}));
    await vi.runAllTimersAsync();
    await Promise.all(all);
    const busy = bench.sent.filter(({ payload }) => payload.toString().includes('"BUSY"'));
    expect(busy).toHaveLength(1);
  });

  it('forgets what was at work when it restarts', async () => {
    const bench = new Bench();
    bench.device.setFaults({ delayMs: { min: 100, max: 100 } });
    const slow = bench.handle('get_gpio', { number: 1 }, bench.correlated('c-1'));
    bench.device.setFaults({ delayMs: { min: 0, max: 0 } });
    await bench.handle('set_status', { status: 'restart' }, bench.correlated('c-2'));
    await vi.runAllTimersAsync();
    await slow;
    expect(bench.sent.map(({ correlationData }) => correlationData)).toEqual(['c-2']);
  });
});

describe('faults', () => {
  it('are silence: carried out, and nothing said', async () => {
    const bench = new Bench({ faults: { silence: 1 } });
    await bench.handle('set_gpio', { number: 1, value: 1 });
    expect(bench.sent).toEqual([]);
    expect(bench.device.snapshot()).toMatchObject({ highPins: [1], counters: { silenced: 1 } });
  });

  it('are duplicates, each some time after the first', async () => {
    const bench = new Bench({ faults: { duplicate: 1, duplicateDelayMs: { min: 200, max: 300 } } });
    await bench.handle('get_gpio', { number: 1 });
    await vi.advanceTimersByTimeAsync(199);
    expect(bench.sent).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(101);
    expect(bench.sent).toHaveLength(2);
    expect(bench.sent[1]).toEqual(bench.sent[0]);
    expect(bench.device.executed).toEqual({ get_gpio: 1 });
  });

  it.each(GARBAGE_KINDS)('are garbage of the kind %s', async (kind: GarbageKind) => {
    const bench = new Bench({ faults: { garbage: 1, garbageKinds: [kind] } });
    await bench.handle('get_gpio', { number: 1, responseTopic: REPLY, correlationId: 'c-1' });
    const text = bench.sent[0]!.payload.toString();
    if (kind === 'not-json') expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError);
    else expect(JSON.parse(text)).toMatchObject({ correlationId: 'c-1' });
    if (kind === 'wrong-fields') expect(bench.reply()).not.toHaveProperty('value');
    if (kind === 'wrong-type') expect(bench.reply()['value']).toEqual(['value']);
    if (kind === 'oversized') expect(text.length).toBeGreaterThan(MAX_REPLY_BYTES);
  });

  it('are the same for the same seed, and others for another seed or device', async () => {
    const pattern = async (seed: string, deviceId = ID): Promise<string> => {
      const device = new SimulatedDevice({ deviceId, seed, faults: { silence: 0.5 } });
      let text = '';
      device.onSend = () => Promise.resolve((text += 'x') !== '');
      for (let index = 0; index < 64; index += 1) {
        const before = text.length;
        await device.handle({ topic: `${deviceId}/get_status`, payload: Buffer.from('{}') });
        if (text.length === before) text += '-';
      }
      return text;
    };
    const one = await pattern('7');
    expect(await pattern('7')).toBe(one);
    expect(await pattern('8')).not.toBe(one);
    expect(await pattern('7', 'dother')).not.toBe(one);
    expect(one).toMatch(/x/);
    expect(one).toMatch(/-/);
  });

  it('are refused out of range, and the old ones stay', () => {
    const bench = new Bench({ faults: { silence: 0.25 } });
    expect(() => bench.device.setFaults({ silence: 1.5 })).toThrow(/0 to 1/);
    expect(() => bench.device.setFaults({ delayMs: { min: 5, max: 1 } })).toThrow(/min/);
    expect(bench.device.faults.silence).toBe(0.25);
  });
});
