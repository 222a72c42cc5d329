import type { IdempotencyStore } from '../../domain/store.js';
import type { MongoContext } from './context.js';
import { toIdempotencyRecord } from './documents.js';
import { duplicateIndex } from './failures.js';
import { untilUncontended } from './retry.js';

type Claim = Awaited<ReturnType<IdempotencyStore['claimIdempotency']>>;

export function idempotencyStore({ idempotency, run }: MongoContext): IdempotencyStore {
  return {
    claimIdempotency: ({ id, ...record }) =>
      run(() =>
        untilUncontended<Claim>(async () => {
          try {
            // Replaces an expired one, or inserts; one that counts makes the insert fail.
            await idempotency.replaceOne(
              { _id: id, expiresAt: { $lte: record.createdAt } },
              { ...record, purgeAt: new Date(record.expiresAt) },
              { upsert: true },
            );
            return { value: { claimed: true } };
          } catch (error) {
            if (duplicateIndex(error) === null) throw error;
          }
          const existing = await idempotency.findOne({ _id: id });
          // Null where it was released between the two: try again.
          return (
            existing && ({ value: { claimed: false, existing: toIdempotencyRecord(existing) } } as const)
          );
        }),
      ),
    completeIdempotency: (id, answer) =>
      run(async () => {
        await idempotency.updateOne({ _id: id, answer: null }, { $set: { answer: { ...answer } } });
      }),
    findIdempotency: (id, now) =>
      run(async () => {
        const document = await idempotency.findOne({ _id: id, expiresAt: { $gt: now } });
        return document && toIdempotencyRecord(document);
      }),
    releaseIdempotency: (id) =>
      run(async () => {
        await idempotency.deleteOne({ _id: id, answer: null });
      }),
  };
}
