import { afterAll, beforeAll, describe, it } from 'vitest';
import { MongoClient } from 'mongodb';
import type { Store } from '../../src/domain/store.js';
import { openMongoStore } from '../../src/store/mongo/index.js';
import { storeConformance } from './conformance/index.js';
import { mongoLeftOut, startMongoServer, type MongoServer } from './mongo-server.js';

let server: MongoServer | undefined;

if (mongoLeftOut) {
  describe('mongodb store', () => {
    it.skip('is left out, because POSTERN_TEST_STORES=sqlite is set');
  });
} else {
  beforeAll(async () => {
    server = await startMongoServer();
  });
  afterAll(() => server?.stop());

  storeConformance({
    name: 'mongodb',
    create: async () => {
      const { url, newDatabase } = server!;
      const database = newDatabase();
      const opened: Store[] = [];
      return {
        open: async () => {
          const store = await openMongoStore({ url, database });
          opened.push(store);
          return store;
        },
        remove: async () => {
          for (const store of opened) await store.close();
          const client = await MongoClient.connect(url);
          await client.db(database).dropDatabase();
          await client.close();
        },
      };
    },
  });
}
