/** Milliseconds before the first new start of a part that died; doubled each time it dies again. */
export const FIRST_DELAY_MS = 250;
/** A part that keeps dying is started again this often at most, so that a broken one does not eat the machine. */
export const LONGEST_DELAY_MS = 15_000;
/** A part that ran this long, in milliseconds, is taken for well: the next time begins with the first delay. */
export const STEADY_MS = 30_000;

/**
 * How long to wait before new start number `attempt` (0, 1, ...), in milliseconds. Half of it is chance, so that
 * parts that died together do not come back, and fall over each other, together.
 */
export function restartDelayMs(attempt: number, random: () => number = Math.random): number {
  const full = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 16));
  return Math.round(full / 2 + (full / 2) * random());
}
