import type { ErrorCode } from '@postern/protocol';
import { ExpectedError, isExpectedError } from './errors.js';
import type { IdempotencyRecord, IdempotentAnswer } from './model.js';
import type { Clock, KeySealer } from './ports.js';
import type { IdempotencyStore } from './store.js';
import { sha256Hex } from './tokens.js';

/** How long an answer is kept after the call's deadline, in ms. */
export const IDEMPOTENCY_RETENTION_MS = 24 * 60 * 60_000;
/** How long after its deadline a call may still be writing its answer down, in ms. */
const SETTLE_MS = 2_000;
/** How often a call of another instance is looked at, in ms. */
const POLL_MS = 50;

/** Outcomes of a call that did reach the device: kept, so that the same key never runs twice. */
const KEPT: ReadonlySet<ErrorCode> = new Set(['DEVICE_TIMEOUT', 'DEVICE_BAD_REPLY', 'DEVICE_ERROR']);
/** Outcomes that leave it open unless the error says `notSent`. */
const MAY_HAVE_ACTED: ReadonlySet<ErrorCode> = new Set([
  'BROKER_UNAVAILABLE',
  'SHUTTING_DOWN',
  'STORE_UNAVAILABLE',
  'INTERNAL',
]);

export interface IdempotentRequest {
  readonly userId: string;
  readonly key: string;
  /** All that makes this request another one: HTTP method, resource, body. */
  readonly fingerprint: string;
  /** How long the call may take, in ms; a duplicate waits no longer than its own. */
  readonly timeoutMs: number;
}

export interface IdempotencyOptions {
  readonly store: IdempotencyStore;
  readonly clock: Clock;
  /** Answers may hold a key that is handed out once: they are kept encrypted. */
  readonly sealer: KeySealer;
  readonly onError?: (error: unknown) => void;
}

const reused = (): ExpectedError =>
  new ExpectedError('IDEMPOTENCY_KEY_REUSED', {
    detail: 'This Idempotency-Key belongs to another request of the last 24 hours; use a new key.',
  });
const unknown = (detail: string): ExpectedError =>
  new ExpectedError('IDEMPOTENCY_OUTCOME_UNKNOWN', { detail });

interface Running {
  readonly requestHash: string;
  readonly answer: Promise<IdempotentAnswer>;
}

/** One execution and one answer for each key of a user, over all instances, for a day. */
export class Idempotency {
  private readonly running = new Map<string, Running>();

  constructor(private readonly options: IdempotencyOptions) {}

  /**
   * Runs `execute`, or hands out what it answered before under this key.
   * `renderError` makes the answer of an expected error that is kept; all other errors pass through.
   */
  async run(
    request: IdempotentRequest,
    execute: () => Promise<IdempotentAnswer>,
    renderError: (error: ExpectedError) => IdempotentAnswer,
  ): Promise<{ answer: IdempotentAnswer; replayed: boolean }> {
    const id = sha256Hex(`${request.userId}\n${request.key}`);
    const requestHash = sha256Hex(request.fingerprint);
    const running = this.running.get(id);
    if (running) {
      if (running.requestHash !== requestHash) throw reused();
      return { answer: await this.within(running.answer, request.timeoutMs), replayed: true };
    }
    let replayed = false;
    const answer = (async () => {
      const now = this.options.clock.now();
      const expiresAt = now + request.timeoutMs + IDEMPOTENCY_RETENTION_MS;
      const record = { id, requestHash, createdAt: now, expiresAt, answer: null };
      const claim = await this.options.store.claimIdempotency(record);
      if (claim.claimed) return this.execute(id, execute, renderError);
      replayed = true;
      if (claim.existing.requestHash !== requestHash) throw reused();
      return this.elsewhere(claim.existing, request.timeoutMs);
    })();
    this.running.set(id, { requestHash, answer });
    try {
      return { answer: await answer, replayed };
    } finally {
      this.running.delete(id);
    }
  }

  private async execute(
    id: string,
    execute: () => Promise<IdempotentAnswer>,
    renderError: (error: ExpectedError) => IdempotentAnswer,
  ): Promise<IdempotentAnswer> {
    let answer: IdempotentAnswer;
    try {
      answer = await execute();
    } catch (error) {
      if (!isExpectedError(error)) throw error;
      if (!KEPT.has(error.code)) {
        if (!MAY_HAVE_ACTED.has(error.code) || error.notSent)
          await this.tidy(() => this.options.store.releaseIdempotency(id));
        throw error;
      }
      answer = renderError(error);
    }
    const sealed = { ...answer, body: this.options.sealer.seal(answer.body, id) };
    await this.tidy(() => this.options.store.completeIdempotency(id, sealed));
    return answer;
  }

  /** The device has acted: its answer is due to the caller even where the store fails now. */
  private async tidy(write: () => Promise<void>): Promise<void> {
    try {
      await write();
    } catch (error) {
      this.options.onError?.(error);
    }
  }

  /** The call runs, ran or died elsewhere: waits for its answer. */
  private async elsewhere(existing: IdempotencyRecord, timeoutMs: number): Promise<IdempotentAnswer> {
    const { clock, store, sealer } = this.options;
    const giveUpAt = clock.now() + timeoutMs;
    let record: IdempotencyRecord | null = existing;
    for (;;) {
      if (!record)
        throw unknown('The call under this Idempotency-Key did nothing and was given up; try again.');
      if (record.answer) return { ...record.answer, body: sealer.unseal(record.answer.body, record.id) };
      const now = clock.now();
      if (now >= record.expiresAt - IDEMPOTENCY_RETENTION_MS + SETTLE_MS)
        throw unknown(
          'The call under this Idempotency-Key was begun and its end was never written down. See what the device says, then use a new key.',
        );
      if (now >= giveUpAt)
        throw unknown('The call under this Idempotency-Key is still under way; ask again with the same key.');
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      record = await store.findIdempotency(record.id, clock.now());
    }
  }

  private async within(answer: Promise<IdempotentAnswer>, timeoutMs: number): Promise<IdempotentAnswer> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () =>
          reject(
            unknown('The call under this Idempotency-Key is still under way; ask again with the same key.'),
          ),
        timeoutMs,
      );
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}
