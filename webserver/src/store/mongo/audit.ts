import { ObjectId, type Filter } from 'mongodb';
import type { AuditStore } from '../../domain/store.js';
import { formatAuditCursor, parseAuditCursor } from '../audit-cursor.js';
import { RELAXED } from './collections.js';
import type { MongoContext } from './context.js';
import { toAuditEntry, type AuditDocument } from './documents.js';

export function auditStore({ audit, run }: MongoContext): AuditStore {
  return {
    appendAudit: (entries, { durable = false } = {}) =>
      run(async () => {
        if (entries.length === 0) return;
        // Ids made here grow with each, which tells entries of one millisecond apart in order of writing.
        const documents = entries.map((entry) => ({ _id: new ObjectId(), ...entry }));
        await audit.insertMany(documents, durable ? {} : RELAXED);
      }),
    listAudit: ({ actorId, target, limit, before }) =>
      run(async () => {
        const from = before === null ? null : parseAuditCursor(before, /^[0-9a-f]{24}$/);
        const filter: Filter<AuditDocument & { _id: ObjectId }> = {
          ...(actorId !== undefined && { actorId }),
          ...(target !== undefined && { target }),
          ...(from && {
            $or: [{ at: { $lt: from.at } }, { at: from.at, _id: { $lt: new ObjectId(from.id) } }],
          }),
        };
        const documents = await audit
          .find(filter)
          .sort({ at: -1, _id: -1 })
          .limit(limit + 1)
          .toArray();
        const items = documents.slice(0, limit);
        const last = items.at(-1);
        return {
          items: items.map(toAuditEntry),
          next: documents.length > limit && last ? formatAuditCursor(last.at, last._id.toHexString()) : null,
        };
      }),
  };
}
