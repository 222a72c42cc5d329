import { BUSY_LIMIT_MS, patiently, type Connection } from './connection.js';
import { translate } from './failures.js';

/** Writes in one transaction at most. Bounds how long the event loop is held by one. */
const MAX_BATCH = 256;

interface Job {
  run(): void;
  settle(): void;
  reject(error: unknown): void;
}

/**
 * The writes of one connection, in order. What was asked for in the same turn of the event loop, or while the
 * last transaction waited for its lock, shares one transaction, and so one wait for the disk. Each is undone
 * alone where it throws (savepoint), and acknowledged only after the commit of all.
 *
 * Invariant: no transaction is open when control returns to the event loop.
 */
export class WriteQueue {
  private waiting: Job[] = [];
  private running: Promise<void> | null = null;

  constructor(
    private readonly connection: Connection,
    private readonly busyLimitMs = BUSY_LIMIT_MS,
  ) {}

  run<T>(action: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      let result: T;
      this.waiting.push({
        run: () => {
          result = action();
        },
        settle: () => resolve(result),
        reject,
      });
      this.running ??= this.work();
    });
  }

  /** Resolves when all that was asked for so far is settled. */
  async drain(): Promise<void> {
    while (this.running) await this.running;
  }

  private async work(): Promise<void> {
    while (this.waiting.length > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      try {
        const batch = await patiently(
          this.connection.file,
          () => {
            this.connection.exec('BEGIN IMMEDIATE');
            // Only now: what came while this waited for the lock comes along.
            return this.waiting.splice(0, MAX_BATCH);
          },
          this.busyLimitMs,
        );
        this.commit(batch);
      } catch (error) {
        // BEGIN failed: the batch was not taken out yet.
        for (const job of this.waiting.splice(0)) job.reject(error);
      }
    }
    this.running = null;
  }

  private commit(batch: Job[]): void {
    const done: Job[] = [];
    try {
      for (const job of batch) {
        this.connection.exec('SAVEPOINT job');
        try {
          job.run();
          done.push(job);
        } catch (error) {
          // A full disk or a failed write has ended the whole transaction already.
          if (!this.connection.inTransaction) throw error;
          this.connection.exec('ROLLBACK TO job');
          job.reject(translate(error, this.connection.file));
        }
        this.connection.exec('RELEASE job');
      }
      this.connection.exec('COMMIT');
    } catch (error) {
      if (this.connection.inTransaction) this.connection.exec('ROLLBACK');
      const translated = translate(error, this.connection.file);
      // Those that were rejected above stay as they are.
      for (const job of batch) job.reject(translated);
      return;
    }
    for (const job of done) job.settle();
  }
}
