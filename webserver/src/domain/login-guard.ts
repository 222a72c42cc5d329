import { LRUCache } from 'lru-cache';
import { ExpectedError } from './errors.js';
import type { Clock } from './ports.js';
import type { AccountStore } from './store.js';

export interface LoginGuardLimits {
  /** Failed logins of a name before it has to wait. */
  readonly freeFailures: number;
  /** The first delay; each further failure doubles it. */
  readonly firstDelayMs: number;
  readonly maxDelayMs: number;
  /** Failures older than this count no more. */
  readonly forgetAfterMs: number;
}
export const LOGIN_GUARD_LIMITS: LoginGuardLimits = {
  freeFailures: 5,
  firstDelayMs: 1_000,
  maxDelayMs: 15 * 60_000,
  forgetAfterMs: 24 * 60 * 60_000,
};
/** Logins of one name that may wait for each other; one at a time is checked, so that guesses cannot race the count. */
const MAX_QUEUED_PER_NAME = 8;
/** Names and addresses that logged in well and are remembered. */
const MAX_KNOWN = 10_000;

/**
 * Slows guessing at one name's password, from wherever it comes. An address from which this name has logged in
 * before has a count of its own, and an attempt that is refused unseen neither counts nor lengthens the delay:
 * so a stranger who fails on purpose cannot keep the owner out.
 */
export class LoginGuard {
  private readonly known = new LRUCache<string, true>({ max: MAX_KNOWN });
  private readonly queues = new Map<string, { tail: Promise<unknown>; length: number }>();

  constructor(
    private readonly store: AccountStore,
    private readonly clock: Clock,
    private readonly limits: LoginGuardLimits = LOGIN_GUARD_LIMITS,
  ) {}

  /** Runs `attempt`, which answers null for wrong credentials. Rejects with RATE_LIMITED while the name has to wait. */
  async run<T>(name: string, address: string | null, attempt: () => Promise<T | null>): Promise<T | null> {
    const place = `${name}|${address ?? ''}`;
    const bucket = this.known.has(place) ? place : name;
    return this.inTurn(bucket, async () => {
      const failures = await this.store.findLoginFailures(bucket);
      const now = this.clock.now();
      const recent = failures !== null && failures.lastAt > now - this.limits.forgetAfterMs;
      if (recent) {
        const left = failures.lastAt + this.delayMs(failures.count) - now;
        if (left > 0) throw tooMany(left);
      }
      const result = await attempt();
      if (result === null) {
        const at = this.clock.now();
        await this.store.recordLoginFailure(bucket, at, at - this.limits.forgetAfterMs);
        return null;
      }
      this.known.set(place, true);
      if (failures !== null) await this.store.clearLoginFailures(bucket);
      return result;
    });
  }

  private delayMs(count: number): number {
    const beyond = count - this.limits.freeFailures;
    if (beyond < 0) return 0;
    return Math.min(this.limits.maxDelayMs, this.limits.firstDelayMs * 2 ** Math.min(beyond, 30));
  }

  private async inTurn<T>(bucket: string, work: () => Promise<T>): Promise<T> {
    const queue = this.queues.get(bucket) ?? { tail: Promise.resolve(), length: 0 };
    if (queue.length >= MAX_QUEUED_PER_NAME) throw tooMany(1_000);
    this.queues.set(bucket, queue);
    queue.length += 1;
    const run = queue.tail.then(work, work);
    queue.tail = run.catch(() => undefined);
    try {
      return await run;
    } finally {
      queue.length -= 1;
      if (queue.length === 0) this.queues.delete(bucket);
    }
  }
}

function tooMany(leftMs: number): ExpectedError {
  const retryAfterSeconds = Math.max(1, Math.ceil(leftMs / 1000));
  return new ExpectedError('RATE_LIMITED', {
    detail: `Too many failed logins for this name; try again in ${retryAfterSeconds} s.`,
    retryAfterSeconds,
  });
}
