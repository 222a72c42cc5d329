import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Store } from '../../src/domain/store.js';
import { openSqliteStore } from '../../src/store/sqlite/index.js';
import { storeConformance } from './conformance/index.js';

storeConformance({
  name: 'sqlite',
  create: async () => {
    const folder = await mkdtemp(join(tmpdir(), 'postern-store-'));
    const opened: Store[] = [];
    return {
      open: async () => {
        const store = await openSqliteStore({ file: join(folder, 'registry.db') });
        opened.push(store);
        return store;
      },
      remove: async () => {
        for (const store of opened) await store.close();
        await rm(folder, { recursive: true, force: true });
      },
    };
  },
});
