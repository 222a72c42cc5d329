import { ExpectedError } from '../domain/errors.js';

/** A place in the audit record: the time of an entry and the store's own id of it. Clients see it as opaque text. */
export interface AuditCursor {
  readonly at: number;
  readonly id: string;
}

export const formatAuditCursor = (at: number, id: string): string => `${at}.${id}`;

/** Rejects what no page of the audit record handed out; it comes from a client. */
export function parseAuditCursor(text: string, idPattern: RegExp): AuditCursor {
  const [, at = '', id = ''] = /^(\d{1,15})\.([0-9a-f]{1,24})$/.exec(text) ?? [];
  if (!idPattern.test(id)) {
    throw new ExpectedError('VALIDATION_FAILED', {
      detail: '`before` must be the `next` of an earlier page of this list',
    });
  }
  return { at: Number(at), id };
}
