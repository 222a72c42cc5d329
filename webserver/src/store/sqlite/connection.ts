import { setTimeout as delay } from 'node:timers/promises';
import { openDatabase, type DriverDatabase, type DriverStatement } from './driver.js';
import { isBusy, translate } from './failures.js';

export type Value = string | number | null;
export type Row = Readonly<Record<string, unknown>>;

/**
 * How long SQLite itself waits for another process's lock, in ms. It blocks the event loop, so it is kept to
 * about the time that one commit of another gateway takes; {@link patiently} waits on without blocking.
 */
const BLOCKING_WAIT_MS = 20;

/** How long a call waits for a lock in all, in ms, before it is answered that the store is unavailable. */
export const BUSY_LIMIT_MS = 5_000;

/**
 * `full`: a commit is on the disk before it is acknowledged. `normal`: it survives the end of the process, and
 * is on the disk with the next `full` commit or checkpoint. Never OFF: a checkpoint that such a connection
 * happens to make would not sync, and could lose what another had acknowledged.
 */
export type Durability = 'full' | 'normal';

/** A prepared statement with checked parameters. */
export class Statement {
  constructor(private readonly statement: DriverStatement) {}

  /** How many rows it changed. */
  run(...values: Value[]): number {
    return this.statement.run(values.map(bindable)).changes;
  }
  get(...values: Value[]): Row | undefined {
    return this.statement.get(values.map(bindable)) as Row | undefined;
  }
  all(...values: Value[]): Row[] {
    return this.statement.all(values.map(bindable)) as Row[];
  }
}

/**
 * libsql aborts the whole process on a parameter of another type (a boolean, say), and reads text only up to
 * its first NUL. So others are refused here, and NUL becomes U+FFFD, as a lone surrogate does in UTF-8.
 */
function bindable(value: Value): Value {
  if (typeof value === 'string') {
    return (value.isWellFormed() ? value : value.toWellFormed()).replaceAll('\0', '\uFFFD');
  }
  if (value === null || typeof value === 'number') return value;
  throw new TypeError(`a parameter must be text, a number or null, not ${typeof value}`);
}

export class Connection {
  /** The SQL of all that was prepared; the tests look at its query plans. */
  readonly prepared: string[] = [];
  private readonly database: DriverDatabase;

  /** Use {@link open} where another process may hold the file's lock. */
  constructor(
    readonly file: string,
    durability: Durability,
  ) {
    this.database = openDatabase(file);
    try {
      this.pragma(`busy_timeout = ${BLOCKING_WAIT_MS}`);
      this.pragma('foreign_keys = ON');
      this.pragma(`synchronous = ${durability.toUpperCase()}`);
    } catch (error) {
      this.database.close();
      throw error;
    }
  }

  /** Waits where another process has the file locked, as while it turns the write-ahead log on. */
  static open(file: string, durability: Durability): Promise<Connection> {
    return patiently(file, () => new Connection(file, durability));
  }

  get inTransaction(): boolean {
    return this.database.inTransaction;
  }
  exec(sql: string): void {
    this.database.exec(sql);
  }
  prepare(sql: string): Statement {
    this.prepared.push(sql);
    return new Statement(this.database.prepare(sql));
  }
  /** Sets a pragma. `exec` takes those that answer with a row and those that do not; `get` takes only the former. */
  pragma(text: string): void {
    this.database.exec(`PRAGMA ${text}`);
  }
  /** Reads a pragma: the first column of its first row. */
  readPragma(text: string): unknown {
    const row = this.database.prepare(`PRAGMA ${text}`).get([]) as Row;
    return row[Object.keys(row)[0] ?? ''];
  }
  close(): void {
    this.database.close();
  }
}

/** Runs `action` until no other process is in its way, without blocking the event loop; errors become the port's. */
export async function patiently<T>(file: string, action: () => T, limitMs = BUSY_LIMIT_MS): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    try {
      return action();
    } catch (error) {
      if (!isBusy(error) || performance.now() >= deadline) throw translate(error, file);
    }
    // Jitter, so that two processes do not meet again at once.
    await delay(2 + Math.random() * 18);
  }
}
