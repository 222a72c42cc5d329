import { LRUCache } from 'lru-cache';
import { ExpectedError } from '../domain/errors.js';
import type { Clock } from '../domain/ports.js';

/** Addresses that are counted at once. Bounds the memory that a botnet can take; the longest unused goes first. */
const MAX_ADDRESSES = 50_000;
const WINDOW_MS = 60_000;

/** So many in a minute, by key. The minute begins with the key's first. */
export class RateLimit {
  private readonly windows: LRUCache<string, { count: number; startedAt: number }>;

  constructor(
    private readonly perMinute: number,
    private readonly clock: Clock,
  ) {
    this.windows = new LRUCache({ max: MAX_ADDRESSES });
  }

  /** Takes one, or throws RATE_LIMITED with the seconds until the next minute. */
  take(key: string): void {
    const now = this.clock.now();
    let window = this.windows.get(key);
    if (!window || now - window.startedAt >= WINDOW_MS || now < window.startedAt) {
      window = { count: 0, startedAt: now };
      this.windows.set(key, window);
    }
    window.count += 1;
    if (window.count <= this.perMinute) return;
    const retryAfterSeconds = Math.max(1, Math.ceil((window.startedAt + WINDOW_MS - now) / 1000));
    throw new ExpectedError('RATE_LIMITED', {
      detail: `Too many logins or signups from this address (${this.perMinute} a minute); try again in ${retryAfterSeconds} s.`,
      retryAfterSeconds,
    });
  }
}
