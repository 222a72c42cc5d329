import { describe, expect, it } from 'vitest';
import { METHODS, type JsonObject } from '@postern/protocol';
// The lane is an inner part of direct methods, tested from inside: its time is injected.
import { DeviceLanes } from '../../dist/domain/direct-methods/device-lanes.js';
import { DIRECT_METHOD_LIMITS } from '../../dist/domain/direct-methods/limits.js';

interface Sent {
  method: string;
  id: string;
  request: JsonObject;
}

/** One device's lanes on a clock that moves only when told. */
class Bench {
  now = 1_000_000;
  readonly sent: Sent[] = [];
  readonly outcomes = new Map<string, JsonObject | string>();
  private timers: { at: number; run: () => void }[] = [];
  private ids = 0;
  readonly lanes = new DeviceLanes(
    'dabcdefghijklmnopqrst',
    {
      now: () => this.now,
      after: (ms, run) => {
        const timer = { at: this.now + ms, run };
        this.timers.push(timer);
        return () => (this.timers = this.timers.filter((other) => other !== timer));
      },
      send: (_device, method, call) => this.sent.push({ method, id: call.id, request: call.request }),
      nextId: () => `fence-${++this.ids}`,
    },
    DIRECT_METHOD_LIMITS,
  );

  call(id: string, method: string, request: JsonObject = {}, timeoutMs = 5_000): void {
    this.lanes.submit(method, {
      id,
      request,
      body: Buffer.from(JSON.stringify(request)),
      deadline: this.now + timeoutMs,
      succeed: (reply) => this.outcomes.set(id, reply),
      fail: (error) => this.outcomes.set(id, (error as { code?: string }).code ?? error.message),
    });
  }

  timeOut(id: string, method: string): void {
    this.outcomes.set(id, 'DEVICE_TIMEOUT');
    this.lanes.expire(method, id);
  }

  reply(method: string, reply: unknown): void {
    this.lanes.reply(method, Buffer.from(typeof reply === 'string' ? reply : JSON.stringify(reply)));
  }

  async pass(ms: number): Promise<void> {
    const end = this.now + ms;
    for (let turn = 0; turn < 10_000; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      const next = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.timers = this.timers.filter((timer) => timer !== next);
      this.now = Math.max(this.now, next.at);
      next.run();
    }
    this.now = end;
    await new Promise((resolve) => setImmediate(resolve));
  }

  requests(method: string): Sent[] {
    return this.sent.filter((sent) => sent.method === method);
  }
}

describe('one call per method in flight', () => {
  it('sends the next when the first is answered, in order', async () => {
    const bench = new Bench();
    bench.call('a', 'get_gpio', { number: 1 });
    bench.call('b', 'get_gpio', { number: 2 });
    expect(bench.sent.map(({ id }) => id)).toEqual(['a']);
    bench.reply('get_gpio', { number: 1, value: 0 });
    await bench.pass(1);
    expect(bench.sent.map(({ id }) => id)).toEqual(['a', 'b']);
    bench.reply('get_gpio', { number: 2, value: 1, extra: 'kept' });
    expect(bench.outcomes).toEqual(
      new Map<string, JsonObject>([
        ['a', { number: 1, value: 0 }],
        ['b', { number: 2, value: 1, extra: 'kept' }],
      ]),
    );
  });

  it('lets different methods go side by side', () => {
    const bench = new Bench();
    for (const method of ['get_rtc', 'get_mac', 'get_ip']) bench.call(method, method);
    expect(bench.sent).toHaveLength(3);
  });
});

describe('a late reply', () => {
  it('never answers a call that asks for something else', async () => {
    const bench = new Bench();
    bench.call('a', 'get_gpio', { number: 1 });
    bench.timeOut('a', 'get_gpio');
    bench.call('b', 'get_gpio', { number: 2 });
    expect(bench.requests('get_gpio')).toHaveLength(2);
    bench.reply('get_gpio', { number: 1, value: 1 });
    expect(bench.outcomes.get('b')).toBeUndefined();
    bench.reply('get_gpio', { number: 2, value: 0 });
    expect(bench.outcomes.get('b')).toEqual({ number: 2, value: 0 });
  });

  it('is waited for before a call that it could be taken for is sent', async () => {
    const bench = new Bench();
    bench.call('a', 'get_rtc');
    bench.timeOut('a', 'get_rtc');
    bench.call('b', 'get_rtc');
    await bench.pass(500);
    expect(bench.requests('get_rtc').map(({ id }) => id)).toEqual(['a']);
    bench.reply('get_rtc', { value: 1 });
    await bench.pass(1);
    expect(bench.requests('get_rtc').map(({ id }) => id)).toEqual(['a', 'b']);
    bench.reply('get_rtc', { value: 2 });
    expect(bench.outcomes.get('b')).toEqual({ value: 2 });
  });

  it('that never comes does not block the method: the device shows that it is past it', async () => {
    const bench = new Bench();
    bench.call('a', 'get_rtc');
    bench.timeOut('a', 'get_rtc');
    bench.call('b', 'get_rtc');
    expect(bench.requests('get_status')).toHaveLength(1);
    await bench.pass(2);
    bench.reply('get_status', { status: 'running' });
    await bench.pass(1);
    expect(bench.requests('get_rtc')).toHaveLength(2);
    bench.reply('get_rtc', { value: 7 });
    await bench.pass(DIRECT_METHOD_LIMITS.settleMs + 1);
    expect(bench.outcomes.get('b')).toEqual({ value: 7 });
    bench.call('c', 'get_rtc');
    bench.reply('get_rtc', { value: 8 });
    expect(bench.outcomes.get('c')).toEqual({ value: 8 });
  });

  it('that comes together with the own one does not answer, also from a device that answers out of order', async () => {
    const bench = new Bench();
    bench.call('a', 'get_rtc');
    bench.timeOut('a', 'get_rtc');
    bench.call('b', 'get_rtc');
    bench.reply('get_status', { status: 'running' });
    await bench.pass(1);
    bench.reply('get_rtc', { value: 1 });
    await bench.pass(10);
    bench.reply('get_rtc', { value: 2 });
    await bench.pass(DIRECT_METHOD_LIMITS.settleMs + 1);
    expect(bench.outcomes.get('b')).toEqual({ value: 2 });
  });

  it('that comes later than the device answers now is put aside', async () => {
    const bench = new Bench();
    bench.call('a', 'get_rtc');
    bench.timeOut('a', 'get_rtc');
    bench.call('b', 'get_rtc');
    bench.reply('get_status', { status: 'running' });
    await bench.pass(400);
    bench.reply('get_rtc', { value: 1 });
    await bench.pass(600);
    expect(bench.outcomes.get('b')).toBeUndefined();
    bench.reply('get_rtc', { value: 2 });
    await bench.pass(DIRECT_METHOD_LIMITS.settleMs + 1);
    expect(bench.outcomes.get('b')).toEqual({ value: 2 });
  });

  it('is no longer reckoned with after its time', async () => {
    const bench = new Bench();
    bench.call('a', 'get_rtc');
    bench.timeOut('a', 'get_rtc');
    bench.call('b', 'get_rtc', {}, 300_000);
    await bench.pass(DIRECT_METHOD_LIMITS.lateReplyMs + 10);
    expect(bench.requests('get_rtc').map(({ id }) => id)).toEqual(['a', 'b']);
  });
});

describe('a repeated reply', () => {
  it('is recognised by what it says, and after that given time', async () => {
    const bench = new Bench();
    bench.call('a', 'get_gpio', { number: 1 });
    bench.reply('get_gpio', { number: 1, value: 0 });
    bench.call('b', 'get_gpio', { number: 2 });
    await bench.pass(20);
    bench.reply('get_gpio', { number: 1, value: 0 });
    expect(bench.outcomes.get('b')).toBeUndefined();
    bench.reply('get_gpio', { number: 2, value: 1 });
    bench.call('c', 'get_gpio', { number: 2 });
    await bench.pass(20);
    expect(bench.requests('get_gpio').map(({ id }) => id)).toEqual(['a', 'b']);
    bench.reply('get_gpio', { number: 2, value: 1 });
    await bench.pass(30);
    expect(bench.requests('get_gpio').map(({ id }) => id)).toEqual(['a', 'b', 'c']);
    expect(bench.outcomes.get('c')).toBeUndefined();
    bench.reply('get_gpio', { number: 2, value: 0 });
    expect(bench.outcomes.get('c')).toEqual({ number: 2, value: 0 });
  });

  it('that comes in one packet with the first does not meet the next call', async () => {
    const bench = new Bench();
    bench.call('a', 'get_rtc');
    bench.call('b', 'get_rtc');
    bench.reply('get_rtc', { value: 1 });
    bench.reply('get_rtc', { value: 1 });
    await bench.pass(60);
    expect(bench.outcomes.get('b')).toBeUndefined();
    bench.reply('get_rtc', { value: 2 });
    expect(bench.outcomes.get('b')).toEqual({ value: 2 });
  });
});

describe('a reply that breaks its contract', () => {
  it.each([
    ['not json', '{"number":'],
    ['not an object', '[1]'],
    ['a missing field', { number: 1 }],
    ['a value out of range', { number: 1, value: 2 }],
    ['another pin that nobody asked for', { number: 9, value: 1 }],
  ])('%s', (_name, reply) => {
    const bench = new Bench();
    bench.call('a', 'get_gpio', { number: 1 });
    bench.reply('get_gpio', reply);
    expect(bench.outcomes.get('a')).toBe('DEVICE_BAD_REPLY');
  });

  it('is a device error where the device says so', () => {
    const bench = new Bench();
    bench.call('a', 'get_gpio', { number: 1 });
    bench.reply('get_gpio', { error: { code: 'FAILED', message: 'no' } });
    expect(bench.outcomes.get('a')).toBe('DEVICE_ERROR');
  });
});

describe('every method of the contract', () => {
  it.each([...METHODS.keys()])('%s gets through a lane', (method) => {
    const bench = new Bench();
    const samples: Record<string, [JsonObject, JsonObject]> = {
      get_gpio: [{ number: 3 }, { number: 3, value: 1 }],
      set_gpio: [
        { number: 3, value: 1 },
        { number: 3, value: 1 },
      ],
      set_rtc: [{ value: 5 }, { value: 5 }],
      set_mac: [{ value: '02:00:00:AB:cd:ef' }, { value: '02-00-00-ab-cd-ef' }],
      write_uart: [{ data: 'x' }, { data: 'x' }],
      set_status: [{ status: 'restart' }, { status: 'restarting' }],
      get_status: [{}, { status: 'running' }],
      get_rtc: [{}, { value: 5 }],
    };
    const [request, reply] = samples[method] ?? [{}, { value: '192.0.2.1' }];
    bench.call('a', method, request);
    bench.reply(method, reply);
    expect(bench.outcomes.get('a')).toEqual(reply);
  });
});
