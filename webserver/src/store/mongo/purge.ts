import { AUDIT_KEPT_MS, LOGIN_FAILURES_KEPT_MS } from '../../domain/store.js';
import type { MongoContext } from './context.js';

/** Devices that one command deletes at most. */
const PURGE_BATCH = 500;

export function purger(context: MongoContext): (now: number) => Promise<void> {
  const { sessions, secrets, idempotency, failures, audit, devices, presence, run } = context;
  return (now) =>
    run(async () => {
      // By `purgeAt`, which is `expiresAt` as the date that a TTL index needs, and so has the index.
      const expired = { purgeAt: { $lte: new Date(now) } };
      await sessions.deleteMany(expired);
      await secrets.deleteMany(expired);
      await idempotency.deleteMany(expired);
      await failures.deleteMany({ ...expired, lastAt: { $lte: now - LOGIN_FAILURES_KEPT_MS } });
      await audit.deleteMany({ at: { $lte: now - AUDIT_KEPT_MS } });
      for (;;) {
        // A removed device gets no certificate any more, so what is found here stays true.
        const dead = await devices
          .find({ removedAt: { $gte: 0 }, lastNotAfter: { $lt: now } })
          .limit(PURGE_BATCH)
          .project<{ _id: string }>({ _id: 1 })
          .toArray();
        const ids = dead.map(({ _id }) => _id);
        if (ids.length === 0) return;
        await presence.deleteMany({ _id: { $in: ids } });
        await devices.deleteMany({ _id: { $in: ids } });
      }
    });
}
