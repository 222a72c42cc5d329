/**
 * Correlation ids that a device remembers. The gateway holds at most 32 calls per device open (protocol,
 * MAX_CALLS_PER_DEVICE), so eight times that many outlast any repetition; a bound keeps 5,000 devices of one
 * process small.
 */
export const MAX_REMEMBERED_REPLIES = 256;

/** What came of a correlation id: still at work, or the reply that was given. */
type Remembered<T> = { state: 'pending' } | { state: 'done'; reply: T };

/** Remembers the last correlation ids, so that a request that comes twice is executed once. */
export class RecentReplies<T> {
  readonly #entries = new Map<string, Remembered<T>>();
  readonly #limit: number;

  constructor(limit = MAX_REMEMBERED_REPLIES) {
    this.#limit = limit;
  }

  /** Null where the id is new; it counts as pending from then on. */
  begin(id: string): Remembered<T> | null {
    const known = this.#entries.get(id);
    if (known) return known;
    this.#entries.set(id, { state: 'pending' });
    if (this.#entries.size > this.#limit) {
      const oldest = this.#entries.keys().next().value!;
      this.#entries.delete(oldest);
    }
    return null;
  }

  finish(id: string, reply: T): void {
    if (this.#entries.has(id)) this.#entries.set(id, { state: 'done', reply });
  }

  get size(): number {
    return this.#entries.size;
  }
}
