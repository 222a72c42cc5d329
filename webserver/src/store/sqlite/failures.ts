import { StoreUnavailableError, StoreUnusableError } from '../../domain/store.js';

/** SQLite's primary result codes (https://www.sqlite.org/rescode.html), by what they mean to a caller. */
const BUSY = new Set(['BUSY', 'LOCKED', 'PROTOCOL']);
const UNAVAILABLE = new Map([
  ['FULL', 'its disk is full'],
  ['IOERR', 'its file could not be read or written'],
  ['READONLY', 'its file is read-only'],
  ['CANTOPEN', 'its file could not be opened'],
  ['NOMEM', 'memory is exhausted'],
  ['PERM', 'its file may not be accessed'],
  ['AUTH', 'its file may not be accessed'],
]);
const DAMAGED = new Set(['CORRUPT', 'NOTADB']);
const BY_NUMBER: Readonly<Record<number, string>> = {
  3: 'PERM',
  5: 'BUSY',
  6: 'LOCKED',
  7: 'NOMEM',
  8: 'READONLY',
  10: 'IOERR',
  11: 'CORRUPT',
  13: 'FULL',
  14: 'CANTOPEN',
  15: 'PROTOCOL',
  19: 'CONSTRAINT',
  23: 'AUTH',
  26: 'NOTADB',
};

/** `BUSY` for SQLITE_BUSY, SQLITE_BUSY_SNAPSHOT ...; undefined for what is not an error of SQLite's. */
function primaryCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  // libsql names some extended codes UNKNOWN_SQLITE_ERROR_<n>, and has the number in rawCode.
  const { code, rawCode } = error as { code?: unknown; rawCode?: unknown };
  if (typeof rawCode === 'number' && BY_NUMBER[rawCode & 0xff]) return BY_NUMBER[rawCode & 0xff];
  return typeof code === 'string' ? /^SQLITE_([A-Z]+)/.exec(code)?.[1] : undefined;
}

/** Another process holds the lock that this one needs. */
export function isBusy(error: unknown): boolean {
  const code = primaryCode(error);
  return code !== undefined && BUSY.has(code);
}

/** The driver's error as the port's; what is neither a matter of availability nor damage is a bug, and stays as it is. */
export function translate(error: unknown, file: string): unknown {
  const code = primaryCode(error);
  if (code === undefined) return error;
  if (BUSY.has(code))
    return new StoreUnavailableError(`The registry ${file} is locked by another process`, { cause: error });
  const reason = UNAVAILABLE.get(code);
  if (reason !== undefined)
    return new StoreUnavailableError(`The registry ${file} cannot be used now: ${reason}`, { cause: error });
  if (DAMAGED.has(code)) return damaged(file, error);
  return error;
}

export function damaged(file: string, cause: unknown): StoreUnusableError {
  return new StoreUnusableError(
    `The registry ${file} is damaged or not an SQLite file. Nothing was changed. Restore it from a backup, or move it away to begin with an empty registry (all users and devices are then gone)`,
    { cause },
  );
}
