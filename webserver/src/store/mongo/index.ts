import { StoreUnavailableError, type Store } from '../../domain/store.js';
import { accountStore } from './accounts.js';
import { auditStore } from './audit.js';
import { createClient, type MongoStoreOptions } from './client.js';
import { collectionsOf, prepare } from './collections.js';
import type { MongoContext } from './context.js';
import { deviceStore } from './devices.js';
import { translate } from './failures.js';
import { idempotencyStore } from './idempotency.js';
import { presenceStore } from './presence.js';
import { purger } from './purge.js';

export type { MongoStoreOptions } from './client.js';

/**
 * Opens the registry in a MongoDB database, standalone or replica set, which any number of gateways may share.
 * Rejects with StoreUnavailableError where no server answers, and with StoreUnusableError where the URL,
 * the credentials or what is in the database cannot be used.
 */
export async function openMongoStore(options: MongoStoreOptions): Promise<Store> {
  const { client, database } = createClient(options);
  const db = client.db(database);
  const collections = collectionsOf(db);
  const place = `${client.options.hosts.map(String).join(',') || client.options.srvHost}/${database}`;
  try {
    await client.connect();
    await prepare(db, collections);
  } catch (error) {
    await client.close();
    throw translate(error, place);
  }

  const underWay = new Set<Promise<unknown>>();
  let closing: Promise<void> | null = null;
  const context: MongoContext = {
    ...collections,
    run: async (action) => {
      if (closing) throw new StoreUnavailableError(`The MongoDB registry ${place} is closed`);
      const answer = action();
      underWay.add(answer);
      try {
        return await answer;
      } catch (error) {
        throw translate(error, place);
      } finally {
        underWay.delete(answer);
      }
    },
  };

  return {
    kind: 'mongodb',
    ...accountStore(context),
    ...deviceStore(context),
    ...presenceStore(context),
    ...auditStore(context),
    ...idempotencyStore(context),
    purge: purger(context),
    ping: () =>
      context.run(async () => {
        await db.command({ ping: 1 });
      }),
    close: () => {
      closing ??= Promise.allSettled(underWay).then(() => client.close());
      return closing;
    },
  };
}
