import { StoreUnusableError } from '../../domain/store.js';
import { patiently, type Connection } from './connection.js';

/** Longer than any other wait, in ms: another gateway may be at a migration of a large registry. */
const MIGRATION_WAIT_MS = 60_000;

/**
 * Brings the schema to the newest version, each step in a transaction of its own. Safe where several processes
 * start at once: the version is read again under the write lock. A schema that is newer than `migrations` is
 * refused, because what this program does not know it would not keep right.
 */
export async function migrate(connection: Connection, migrations: readonly string[]): Promise<void> {
  for (;;) {
    const done = await patiently(connection.file, () => step(connection, migrations), MIGRATION_WAIT_MS);
    if (done) return;
  }
}

function step(connection: Connection, migrations: readonly string[]): boolean {
  if (schemaVersion(connection, migrations) === migrations.length) return true;
  connection.exec('BEGIN IMMEDIATE');
  try {
    const version = schemaVersion(connection, migrations);
    const next = migrations[version];
    if (next !== undefined) {
      connection.exec(next);
      connection.pragma(`user_version = ${version + 1}`);
    }
    connection.exec('COMMIT');
    return false;
  } catch (error) {
    if (connection.inTransaction) connection.exec('ROLLBACK');
    throw error;
  }
}

function schemaVersion(connection: Connection, migrations: readonly string[]): number {
  const version = Number(connection.readPragma('user_version'));
  if (version > migrations.length) {
    throw new StoreUnusableError(
      `The registry ${connection.file} has schema version ${version}; this Postern knows versions up to ${migrations.length}. Start the newer Postern that wrote it, or restore the backup from before its upgrade`,
    );
  }
  return version;
}
