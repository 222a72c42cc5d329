import type { AuditEntry } from '../../domain/model.js';
import type { AuditStore } from '../../domain/store.js';
import { formatAuditCursor, parseAuditCursor } from '../audit-cursor.js';
import type { Connection, Value } from './connection.js';
import type { SqliteContext } from './context.js';
import { toAuditEntry } from './rows.js';

const INSERT =
  'INSERT INTO audit (at, actor_id, actor_name, action, target, outcome, address, request_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?)';

export function auditStore({ durable, relaxed, read, write, writeSoon }: SqliteContext): AuditStore {
  const appender = (connection: Connection) => {
    const insert = connection.prepare(INSERT);
    return (entries: readonly AuditEntry[]) => {
      for (const entry of entries) {
        insert.run(
          entry.at,
          entry.actorId,
          entry.actorName,
          entry.action,
          entry.target,
          entry.outcome,
          entry.address,
          entry.requestId,
        );
      }
    };
  };
  const appendDurably = appender(durable);
  const appendSoon = appender(relaxed);

  // One statement for each set of conditions, so that each can use its index.
  const page = (conditions: string) =>
    durable.prepare(
      `SELECT * FROM audit WHERE ${conditions} (at, sequence) < (?, ?) ORDER BY at DESC, sequence DESC LIMIT ?`,
    );
  const all = page('');
  const byActor = page('actor_id = ? AND');
  const byTarget = page('target = ? AND');
  const byBoth = page('actor_id = ? AND +target = ? AND');

  return {
    appendAudit: (entries, { durable: lasting = false } = {}) =>
      lasting ? write(() => appendDurably(entries)) : writeSoon(() => appendSoon(entries)),
    listAudit: async ({ actorId, target, limit, before }) => {
      const from = before === null ? null : parseAuditCursor(before, /^\d{1,15}$/);
      const conditions: Value[] = [];
      if (actorId !== undefined) conditions.push(actorId);
      if (target !== undefined) conditions.push(target);
      const statement =
        actorId !== undefined
          ? target !== undefined
            ? byBoth
            : byActor
          : target !== undefined
            ? byTarget
            : all;
      const rows = await read(() =>
        statement.all(
          ...conditions,
          from?.at ?? Number.MAX_SAFE_INTEGER,
          from ? Number(from.id) : Number.MAX_SAFE_INTEGER,
          limit + 1,
        ),
      );
      const more = rows.length > limit;
      if (more) rows.pop();
      const last = rows.at(-1);
      return {
        items: rows.map(toAuditEntry),
        next: more && last ? formatAuditCursor(Number(last['at']), String(last['sequence'])) : null,
      };
    },
  };
}
