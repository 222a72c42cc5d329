import { createRequire } from 'node:module';
import { StoreUnavailableError } from '../../domain/store.js';

/**
 * The part of the drivers' API that is used here: what better-sqlite3 and libsql have alike, with parameters
 * as one array. Not used, because they differ: `pragma()`, `pluck()`, `iterate()`, `transaction()`.
 */
export interface DriverStatement {
  run(parameters: readonly unknown[]): { changes: number };
  get(parameters: readonly unknown[]): unknown;
  all(parameters: readonly unknown[]): unknown[];
}
export interface DriverDatabase {
  readonly inTransaction: boolean;
  exec(sql: string): void;
  prepare(sql: string): DriverStatement;
  close(): void;
}
type Driver = new (file: string) => DriverDatabase;

/**
 * better-sqlite3 13 is prebuilt inside its package but needs Node-API 10 (Node 22.14): on an older Node the
 * process dies by SIGSEGV when a database is opened. So it is never loaded there; libsql takes its place, with
 * the same file format. docs/adr/0002-sqlite-driver-by-node-version.md has the reasons.
 */
export function driverName(nodeVersion: string): 'better-sqlite3' | 'libsql' {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 14) ? 'better-sqlite3' : 'libsql';
}

/** `require`, since an import of the wrong one must not even be tried. */
const load = createRequire(import.meta.url);
let driver: Driver | undefined;

export function openDatabase(file: string): DriverDatabase {
  driver ??= load(driverName(process.versions.node)) as Driver;
  try {
    return new driver(file);
  } catch (error) {
    // The two have no type or code in common for this.
    throw new StoreUnavailableError(`The registry ${file} cannot be opened`, { cause: error });
  }
}
