import { setTimeout as delay } from 'node:timers/promises';
import { StoreUnavailableError } from '../../domain/store.js';

/** Far more than the callers that can meet on one document; an end to it if an assumption here is wrong. */
const MAX_ATTEMPTS = 200;

/**
 * Repeats a step that answers `null` when another caller changed its document first. Each such refusal means
 * that someone else got on, so that it ends.
 */
export async function untilUncontended<T>(step: () => Promise<{ value: T } | null>): Promise<T> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const done = await step();
    if (done) return done.value;
    await delay(Math.random() * Math.min(attempt + 1, 20));
  }
  throw new StoreUnavailableError('Too many callers changed one record of the MongoDB registry at once');
}
