import type { IdempotencyStore } from '../../domain/store.js';
import type { SqliteContext } from './context.js';
import { toIdempotencyRecord } from './rows.js';

export function idempotencyStore({ durable, read, write }: SqliteContext): IdempotencyStore {
  const claim = durable.prepare(
    `INSERT INTO idempotency (id, request_hash, created_at, expires_at, status, content_type, body) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (id) DO UPDATE SET request_hash = excluded.request_hash, created_at = excluded.created_at,
       expires_at = excluded.expires_at, status = excluded.status, content_type = excluded.content_type, body = excluded.body
     WHERE idempotency.expires_at <= excluded.created_at`,
  );
  const byId = durable.prepare('SELECT * FROM idempotency WHERE id = ?');
  const unexpired = durable.prepare('SELECT * FROM idempotency WHERE id = ? AND expires_at > ?');
  const complete = durable.prepare(
    'UPDATE idempotency SET status = ?, content_type = ?, body = ? WHERE id = ? AND status IS NULL',
  );
  const release = durable.prepare('DELETE FROM idempotency WHERE id = ? AND status IS NULL');

  return {
    claimIdempotency: (record) =>
      write(() => {
        const { answer } = record;
        const changes = claim.run(
          record.id,
          record.requestHash,
          record.createdAt,
          record.expiresAt,
          answer?.status ?? null,
          answer?.contentType ?? null,
          answer?.body ?? null,
        );
        if (changes === 1) return { claimed: true };
        const row = byId.get(record.id);
        if (!row) throw new Error('an idempotency record was refused for one that is not there');
        return { claimed: false, existing: toIdempotencyRecord(row) };
      }),
    completeIdempotency: (id, answer) =>
      write(() => {
        complete.run(answer.status, answer.contentType, answer.body, id);
      }),
    findIdempotency: (id, now) =>
      read(() => {
        const row = unexpired.get(id, now);
        return row ? toIdempotencyRecord(row) : null;
      }),
    releaseIdempotency: (id) =>
      write(() => {
        release.run(id);
      }),
  };
}
