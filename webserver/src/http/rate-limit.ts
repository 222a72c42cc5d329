import { LRUCache } from 'lru-cache';
import { ExpectedError } from '../domain/errors.js';
import type { Clock } from '../domain/ports.js';

/** Addresses that are counted at once. Bounds the memory that a botnet can take; the longest unused goes first. */
const MAX_ADDRESSES = 50_000;
const WINDOW_MS = 60_000;

/** So many in any minute, by key: a token bucket that fills evenly. */
export class RateLimit {
  private readonly buckets: LRUCache<string, { tokens: number; at: number }>;

  constructor(
    private readonly perMinute: number,
    private readonly clock: Clock,
  ) {
    this.buckets = new LRUCache({ max: MAX_ADDRESSES });
  }

  /** Takes one, or throws RATE_LIMITED with the seconds until there is one. */
  take(key: string): void {
    const now = this.clock.now();
    const bucket = this.buckets.get(key) ?? { tokens: this.perMinute, at: now };
    const refill = (Math.max(0, now - bucket.at) * this.perMinute) / WINDOW_MS;
    const tokens = Math.min(this.perMinute, bucket.tokens + refill);
    this.buckets.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at: now });
    if (tokens >= 1) return;
    const retryAfterSeconds = Math.max(1, Math.ceil(((1 - tokens) * WINDOW_MS) / this.perMinute / 1000));
    throw new ExpectedError('RATE_LIMITED', {
      detail: `Too many logins or signups from this address (${this.perMinute} a minute); try again in ${retryAfterSeconds} s.`,
      retryAfterSeconds,
    });
  }
}
