import { ExpectedError } from '../domain/errors.js';

/** Cursors are opaque to callers, so that what they hold can change. */
export const encodeCursor = (next: string | null): string | null =>
  next === null ? null : Buffer.from(next, 'utf8').toString('base64url');

export function decodeCursor(cursor: string | undefined): string | null {
  if (cursor === undefined) return null;
  const value = Buffer.from(cursor, 'base64url').toString('utf8');
  if (value !== '' && encodeCursor(value) === cursor) return value;
  throw badCursor();
}

export const badCursor = (): ExpectedError =>
  new ExpectedError('VALIDATION_FAILED', {
    detail: 'The cursor is not one that this list gave out as nextCursor.',
    errors: [{ path: 'query.cursor', message: 'must be a nextCursor of this list' }],
  });
