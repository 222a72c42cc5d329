import type { Connection } from './connection.js';

/** What the parts of the store share. Reads go over `durable`, and see all that was committed on either. */
export interface SqliteContext {
  /** `synchronous=FULL`: for what is acknowledged as durable. */
  readonly durable: Connection;
  /** `synchronous=NORMAL`: for what may be lost with the power, and need not wait for the disk. */
  readonly relaxed: Connection;
  read<T>(query: () => T): Promise<T>;
  /** Runs in a transaction on `durable`. */
  write<T>(change: () => T): Promise<T>;
  /** Runs in a transaction on `relaxed`. */
  writeSoon<T>(change: () => T): Promise<T>;
}
