import { API_PREFIX, PAGE_SIZE } from '@postern/protocol';
import type { AuditTrail } from '../../domain/audit.js';
import { decodeCursor, encodeCursor } from '../cursor.js';
import { defineRoute, json, type Route } from '../route.js';
import { auditListSchema, pageQuery } from '../schemas.js';
import { auditView } from '../views.js';

export function auditRoutes(audit: AuditTrail): Route[] {
  return [
    defineRoute({
      method: 'GET',
      path: `${API_PREFIX}/audit`,
      operationId: 'listAudit',
      summary: 'What was done in your name, the newest first',
      tag: 'Accounts',
      style: 'api',
      auth: 'bearer',
      query: pageQuery,
      responses: { 200: { description: 'One page', schema: auditListSchema } },
      errors: [],
      async handle({ principal, query }) {
        const page = { limit: query.limit ?? PAGE_SIZE.default, before: decodeCursor(query.cursor) };
        const { items, next } = await audit.list(principal.userId, page);
        return json({ entries: items.map(auditView), nextCursor: encodeCursor(next) });
      },
    }),
  ];
}
