import type { AuditEntry } from './model.js';
import type { Clock } from './ports.js';
import type { AuditStore, Page } from './store.js';

/** Who asks, from where, under which id: goes with every use case that is recorded. */
export interface Origin {
  readonly address: string | null;
  readonly requestId: string;
}

export interface AuditEvent {
  readonly actorId: string | null;
  readonly actorName: string | null;
  readonly action: string;
  readonly target?: string | null;
  readonly outcome: string;
  readonly origin: Origin;
}

/** Entries that wait for the store. Bounds the memory where the store is away for long; newer ones are dropped and counted. */
const MAX_BUFFERED = 10_000;
const FLUSH_MS = 1_000;
/** So many are written without waiting for the second: SQLite writes in this process, and many at once would hold up calls. */
const FLUSH_AT = 16;
/** Entries in one write, where many wait because the store was slow or away. */
const MAX_BATCH = 256;

export interface AuditTrailOptions {
  readonly store: AuditStore;
  readonly clock: Clock;
  /** Told of entries that could not be written, and of how many were dropped. */
  readonly onError?: (error: unknown, dropped: number) => void;
}

/** The record of who did what. What changes the registry is durable before it is answered; method calls follow within a second. */
export class AuditTrail {
  private buffer: AuditEntry[] = [];
  private dropped = 0;
  private writing: Promise<void> | null = null;
  /** The last write failed: the next is tried by the timer alone. */
  private failing = false;
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly options: AuditTrailOptions) {
    this.timer = setInterval(() => void this.flush(), FLUSH_MS);
    this.timer.unref();
  }

  async record(event: AuditEvent): Promise<void> {
    await this.options.store.appendAudit([this.entry(event)], { durable: true });
  }

  /** Written with others within a second. */
  note(event: AuditEvent): void {
    if (this.buffer.length >= MAX_BUFFERED) this.dropped += 1;
    else this.buffer.push(this.entry(event));
    if (this.buffer.length >= FLUSH_AT && !this.writing && !this.failing) void this.flush();
  }

  list(actorId: string, page: { limit: number; before: string | null }): Promise<Page<AuditEntry>> {
    return this.options.store.listAudit({ actorId, ...page });
  }

  /** Writes what waits. Never rejects: what the store does not take stays in the buffer. */
  flush(): Promise<void> {
    this.writing ??= this.write().finally(() => (this.writing = null));
    return this.writing;
  }

  private async write(): Promise<void> {
    while (this.buffer.length > 0) {
      const batch = this.buffer.splice(0, MAX_BATCH);
      try {
        await this.options.store.appendAudit(batch);
        this.failing = false;
        if (this.dropped > 0) this.options.onError?.(new Error('audit entries were dropped'), this.dropped);
        this.dropped = 0;
      } catch (error) {
        this.failing = true;
        const all = [...batch, ...this.buffer];
        this.dropped += Math.max(0, all.length - MAX_BUFFERED);
        this.buffer = all.slice(0, MAX_BUFFERED);
        this.options.onError?.(error, this.dropped);
        return;
      }
    }
  }

  async close(): Promise<void> {
    clearInterval(this.timer);
    // A write that was under way may have failed, where a new one would not.
    await this.writing;
    await this.flush();
  }

  private entry(event: AuditEvent): AuditEntry {
    return {
      at: this.options.clock.now(),
      actorId: event.actorId,
      actorName: event.actorName,
      action: event.action,
      target: event.target ?? null,
      outcome: event.outcome,
      address: event.origin.address,
      requestId: event.origin.requestId,
    };
  }
}
