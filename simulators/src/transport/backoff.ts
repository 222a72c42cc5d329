import type { Random } from '../device/random.js';

export interface BackoffLimits {
  /** Middle of the first pause, in milliseconds. */
  baseMs: number;
  /** No pause is longer, in milliseconds. */
  capMs: number;
}

/** Half a second for a broker that restarts; a minute at most, so that a fleet does not storm a sick broker. */
export const DEFAULT_BACKOFF: BackoffLimits = { baseMs: 500, capMs: 60_000 };

/**
 * A session that lasted this long, in milliseconds, starts the backoff anew. One that ends sooner (a broker
 * that lets in and throws out) does not.
 */
export const STABLE_SESSION_MS = 10_000;

/** The pause before attempt `failures` + 1: doubled for each failure, half of it random. */
export function backoffMs(failures: number, { baseMs, capMs }: BackoffLimits, random: Random): number {
  const full = Math.min(capMs, baseMs * 2 ** Math.min(failures, 30));
  return Math.round(full / 2 + (full / 2) * random());
}
