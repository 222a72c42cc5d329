import { randomBytes } from 'node:crypto';
import { chmod, link, mkdir, open, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StoreUnavailableError, StoreUnusableError } from '../../domain/store.js';
import { Connection, patiently } from './connection.js';
import { damaged, isBusy } from './failures.js';
import { migrate } from './migrate.js';
import { APPLICATION_ID, CHECKED_TABLES, MIGRATIONS } from './schema.js';

/**
 * Opens the registry for writing, after checks that take milliseconds; makes it where there is none.
 * Rejects with {@link StoreUnusableError} where the file is damaged, foreign, newer or not writable.
 */
export async function openRegistry(file: string): Promise<Connection> {
  try {
    if (await isMissing(file)) await create(file);
    // SQLite gives its -wal and -shm files the mode of this one.
    await chmod(file, 0o600);
  } catch (error) {
    throw explained(file, error);
  }
  let connection: Connection | undefined;
  try {
    connection = await Connection.open(file, 'full');
    await patiently(file, () => identify(connection as Connection));
    await patiently(file, () => useWriteAheadLog(connection as Connection));
    await migrate(connection, MIGRATIONS);
    await patiently(file, () => check(connection as Connection));
    return connection;
  } catch (error) {
    connection?.close();
    throw explained(file, error);
  }
}

async function isMissing(file: string): Promise<boolean> {
  const [registry, log] = await Promise.all([status(file), status(`${file}-wal`)]);
  if (registry) {
    if (!registry.isFile())
      throw new StoreUnusableError(`The registry ${file} is not a regular file; name one that is`);
    // SQLite would take an empty file for a new database. Ours are never empty: create() links them complete.
    if (registry.size === 0) throw damaged(file, new Error('the file is empty'));
    return false;
  }
  if (log && log.size > 0) {
    throw new StoreUnusableError(
      `The registry ${file} is gone, but its log ${file}-wal is there. Restore both from a backup, or move the log away to begin with an empty registry`,
    );
  }
  return true;
}

async function status(file: string) {
  return stat(file).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
}

/**
 * Makes the registry under another name and links it into place when it is whole, so that a file of this name
 * is always a complete one, and of several processes that start at once one makes it.
 */
async function create(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.new-${randomBytes(6).toString('hex')}`;
  await (await open(draft, 'wx', 0o600)).close();
  try {
    const connection = await Connection.open(draft, 'full');
    try {
      connection.pragma(`application_id = ${APPLICATION_ID}`);
      await migrate(connection, MIGRATIONS);
    } finally {
      connection.close();
    }
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(draft, { force: true });
  }
  const folder = await open(dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function identify(connection: Connection): void {
  const id = Number(connection.readPragma('application_id'));
  if (id !== APPLICATION_ID) {
    throw new StoreUnusableError(
      `${connection.file} is an SQLite file, but not a registry of Postern's. Nothing was changed. Name another file`,
    );
  }
}

function useWriteAheadLog(connection: Connection): void {
  const mode = connection.readPragma('journal_mode = WAL');
  if (mode !== 'wal') {
    throw new StoreUnusableError(
      `The registry ${connection.file} cannot have a write-ahead log there (SQLite uses "${String(mode)}"). Put it on a local disk`,
    );
  }
}

/** Structure of the tables that count, and the right to write. SQLite itself compares the file's length with its header. */
function check(connection: Connection): void {
  for (const table of CHECKED_TABLES) {
    const finding = connection.readPragma(`quick_check(${table})`);
    if (finding !== 'ok') throw damaged(connection.file, new Error(String(finding)));
  }
  connection.exec('BEGIN IMMEDIATE');
  connection.exec('ROLLBACK');
}

/** At the start, trouble with the file needs a person, save for a lock that another process holds. The rest are bugs. */
function explained(file: string, error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof StoreUnusableError) return error;
  const fromFileSystem = 'syscall' in error;
  if (!fromFileSystem && !(error instanceof StoreUnavailableError)) return error;
  if (isBusy(error.cause)) return error;
  const cause = fromFileSystem ? error : (error.cause ?? error);
  return new StoreUnusableError(
    `The registry ${file} cannot be opened and written (${reason(cause)}). Check that its folder exists, belongs to the user who runs the gateway, and is on a disk that is neither full nor read-only`,
    { cause },
  );
}

function reason(cause: unknown): string {
  const { code, message } = cause as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : String(message);
}
