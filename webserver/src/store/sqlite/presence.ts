import type { PresenceStore } from '../../domain/store.js';
import type { SqliteContext } from './context.js';
import { toPresence } from './rows.js';

export function presenceStore({ durable, relaxed, read, writeSoon }: SqliteContext): PresenceStore {
  const save = relaxed.prepare(
    'INSERT OR REPLACE INTO presence (device_id, connected, last_seen_at, address, transport, connection, protocol, methods, model, version) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  );
  const one = durable.prepare('SELECT * FROM presence WHERE device_id = ?');
  const many = durable.prepare('SELECT * FROM presence WHERE device_id IN (SELECT value FROM json_each(?))');
  const connected = durable.prepare('SELECT * FROM presence WHERE connected = 1');

  return {
    savePresence: (records) =>
      writeSoon(() => {
        for (const record of records) {
          save.run(
            record.deviceId,
            record.connected ? 1 : 0,
            record.lastSeenAt,
            record.address,
            record.transport,
            record.connection,
            record.protocol,
            record.methods === null ? null : JSON.stringify(record.methods),
            record.model,
            record.version,
          );
        }
      }),
    findPresence: (deviceId) =>
      read(() => {
        const row = one.get(deviceId);
        return row ? toPresence(row) : null;
      }),
    findPresences: (deviceIds) => read(() => many.all(JSON.stringify(deviceIds)).map(toPresence)),
    listConnected: () => read(() => connected.all().map(toPresence)),
  };
}
