import { describe, expect, it } from 'vitest';
import { DEFAULT_BACKOFF, backoffMs } from '../src/transport/backoff.js';
import { connectGate } from '../src/transport/connect-gate.js';

describe('the pause before a reconnect', () => {
  it('doubles from failure to failure up to its cap, half of it random', () => {
    const limits = { baseMs: 100, capMs: 1000 };
    const least = [0, 1, 2, 3, 4, 5, 1000].map((failures) => backoffMs(failures, limits, () => 0));
    const most = [0, 1, 2, 3, 4, 5, 1000].map((failures) => backoffMs(failures, limits, () => 1));
    expect(least).toEqual([50, 100, 200, 400, 500, 500, 500]);
    expect(most).toEqual([100, 200, 400, 800, 1000, 1000, 1000]);
  });

  it('is never longer than a minute by default', () => {
    expect(backoffMs(40, DEFAULT_BACKOFF, () => 1)).toBe(60_000);
  });
});

describe('the pace of connects', () => {
  it('lets so many through in a second, in the order of asking', async () => {
    const gate = connectGate(100);
    const order: number[] = [];
    const startedAt = performance.now();
    await Promise.all([0, 1, 2, 3, 4, 5].map(async (index) => gate().then(() => order.push(index))));
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
    // Five spacings of 10 ms; Node's timers count whole milliseconds and may fire up to 1 ms early.
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(48);
  });
});
