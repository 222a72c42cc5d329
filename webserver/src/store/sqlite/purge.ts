import { AUDIT_KEPT_MS, LOGIN_FAILURES_KEPT_MS } from '../../domain/store.js';
import type { SqliteContext } from './context.js';

/** Rows that one transaction deletes at most, so that a large purge does not hold up calls. */
const PURGE_BATCH = 500;

export function purger({ durable, write }: SqliteContext): (now: number) => Promise<void> {
  const expired = (table: string, key: string, time: string) =>
    durable.prepare(
      `DELETE FROM ${table} WHERE ${key} IN (SELECT ${key} FROM ${table} WHERE ${time} <= ? LIMIT ${PURGE_BATCH})`,
    );
  const byExpiry = [
    expired('sessions', 'id', 'expires_at'),
    expired('api_secrets', 'secret_hash', 'expires_at'),
    expired('idempotency', 'id', 'expires_at'),
  ];
  const failures = expired('login_failures', 'username', 'last_at');
  const audit = expired('audit', 'sequence', 'at');
  const deadDevices = durable.prepare(
    `SELECT id FROM devices d WHERE removed_at IS NOT NULL AND NOT EXISTS (
       SELECT 1 FROM certificates c WHERE c.device_id = d.id AND c.not_after >= ?) LIMIT ${PURGE_BATCH}`,
  );
  // Their certificates and chains go with them (ON DELETE CASCADE).
  const deleteDevice = durable.prepare('DELETE FROM devices WHERE id = ?');
  const deletePresence = durable.prepare('DELETE FROM presence WHERE device_id = ?');

  return async (now) => {
    const inBatches = async (step: () => number) => {
      while ((await write(step)) === PURGE_BATCH);
    };
    for (const statement of byExpiry) await inBatches(() => statement.run(now));
    await inBatches(() => failures.run(now - LOGIN_FAILURES_KEPT_MS));
    await inBatches(() => audit.run(now - AUDIT_KEPT_MS));
    await inBatches(() => {
      const ids = deadDevices.all(now).map((row) => row['id'] as string);
      for (const id of ids) {
        deletePresence.run(id);
        deleteDevice.run(id);
      }
      return ids.length;
    });
  };
}
