import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { StoreUnavailableError, StoreUnusableError, type Store } from '../../domain/store.js';
import { accountStore } from './accounts.js';
import { auditStore } from './audit.js';
import { BUSY_LIMIT_MS, Connection, patiently } from './connection.js';
import type { SqliteContext } from './context.js';
import { deviceStore } from './devices.js';
import { idempotencyStore } from './idempotency.js';
import { presenceStore } from './presence.js';
import { purger } from './purge.js';
import { openRegistry } from './registry-file.js';
import { WriteQueue } from './write-queue.js';

export interface SqliteStoreOptions {
  /** The registry's file, on a local disk (SQLite's locks do not hold on network file systems). Made, with its folder, where it is missing. */
  readonly file: string;
  /** How long a call waits for another process's lock before it is answered that the store is unavailable, in ms. */
  readonly busyLimitMs?: number;
}

/**
 * Opens the registry in an SQLite file, which several gateway processes of one machine may share.
 * Rejects with {@link StoreUnusableError} where the file is damaged, foreign, newer or not writable.
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const file = resolve(options.file);
  const busyLimitMs = options.busyLimitMs ?? BUSY_LIMIT_MS;
  const durable = await openRegistry(file);
  const relaxed = await Connection.open(file, 'normal').catch((error: unknown) => {
    durable.close();
    throw error;
  });
  const writes = new WriteQueue(durable, busyLimitMs);
  const soonWrites = new WriteQueue(relaxed, busyLimitMs);
  const { ino: inode } = statSync(file);
  let closing: Promise<void> | null = null;

  const whileOpen = async <T>(action: () => Promise<T>): Promise<T> => {
    if (closing) throw new StoreUnavailableError(`The registry ${file} is closed`);
    return action();
  };
  const context: SqliteContext = {
    durable,
    relaxed,
    read: (query) => whileOpen(() => patiently(file, query, busyLimitMs)),
    write: (change) => whileOpen(() => writes.run(change)),
    writeSoon: (change) => whileOpen(() => soonWrites.run(change)),
  };

  return {
    kind: 'sqlite',
    ...storeParts(context),
    ping: () =>
      context.read(() => {
        durable.readPragma('user_version');
        if (statSync(file, { throwIfNoEntry: false })?.ino !== inode) {
          throw new StoreUnusableError(
            `The registry ${file} was removed or replaced under the running gateway. Put it back and restart the gateway`,
          );
        }
      }),
    close: () => {
      closing ??= (async () => {
        await Promise.all([writes.drain(), soonWrites.drain()]);
        relaxed.close();
        try {
          // Leaves one complete file behind. Where another process reads, it or the next start does it.
          durable.readPragma('wal_checkpoint(TRUNCATE)');
        } finally {
          durable.close();
        }
      })();
      return closing;
    },
  };
}

/** All but the life cycle. Prepares every statement of the store. */
export function storeParts(context: SqliteContext): Omit<Store, 'kind' | 'ping' | 'close'> {
  return {
    ...accountStore(context),
    ...deviceStore(context),
    ...presenceStore(context),
    ...auditStore(context),
    ...idempotencyStore(context),
    purge: purger(context),
  };
}
