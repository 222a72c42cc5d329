/** Attempts a second of one process: what RabbitMQ 3.10 accepts on two cores (34 to 43 mutual TLS connects/s). */
export const DEFAULT_CONNECT_RATE = 30;

/**
 * Paces the connects of a fleet, the first ones and those after a broker's return alike: each caller waits for
 * its turn, in the order of asking.
 */
export function connectGate(ratePerSecond: number): () => Promise<void> {
  const spacingMs = 1000 / ratePerSecond;
  let nextAt = 0;
  return () => {
    const now = performance.now();
    const turn = Math.max(now, nextAt);
    nextAt = turn + spacingMs;
    const waitMs = turn - now;
    return waitMs < 1 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, Math.ceil(waitMs)));
  };
}
