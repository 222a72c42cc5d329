import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StoreUnavailableError } from '../../src/domain/store.js';
import { Connection } from '../../src/store/sqlite/connection.js';
import { openSqliteStore } from '../../src/store/sqlite/index.js';
import { WriteQueue } from '../../src/store/sqlite/write-queue.js';
import { aPresence, aUser, atOnce } from './conformance/records.js';
import { expectAcknowledged, expectKillLosesNothing } from './durability.js';
import { runStoreProcess } from './programs/run.js';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-store-'));
  file = join(folder, 'registry.db');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

describe('several processes on one SQLite registry', () => {
  it('make it together at their first start, and share names and CRL numbers', async () => {
    const processes = Array.from({ length: 4 }, () =>
      runStoreProcess(['sqlite', file, '-', 'compete', '50:contested']),
    );
    const said = (await Promise.all(processes.map(({ ended }) => ended))).flat();
    expect(said.filter((line) => line.startsWith('failed'))).toEqual([]);
    expect(said.filter((line) => line === 'won')).toHaveLength(1);
    const numbers = said.filter((line) => line.startsWith('crl ')).map((line) => Number(line.slice(4)));
    expect(numbers.sort((x, y) => x - y)).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
  });

  it('migrate at once, each step once', async () => {
    new Connection(file, 'full').close();
    // Fails where it is applied twice.
    const steps = Array.from({ length: 8 }, (_, i) => `CREATE TABLE step_${i} (x) STRICT`).map((sql) =>
      sql.replace('(x)', '(x INTEGER)'),
    );
    const processes = Array.from({ length: 3 }, () =>
      runStoreProcess(['sqlite', file, '-', 'migrate', JSON.stringify(steps)]),
    );
    const said = await Promise.all(processes.map(({ ended }) => ended));
    expect(said).toEqual([['version 8'], ['version 8'], ['version 8']]);
  });

  it('wait for a lock without blocking, and give up after the limit', async () => {
    const store = await openSqliteStore({ file, busyLimitMs: 400 });
    const other = new Connection(file, 'full');
    try {
      other.exec('BEGIN IMMEDIATE');
      const waiting = store.insertUser(aUser());
      let turns = 0;
      const ticking = setInterval(() => turns++, 5);
      const error: unknown = await waiting.catch((e: unknown) => e);
      clearInterval(ticking);
      expect(error).toBeInstanceOf(StoreUnavailableError);
      expect((error as Error).message).toContain('locked by another process');
      expect(turns).toBeGreaterThan(3);
      await expect(store.savePresence([aPresence()])).rejects.toBeInstanceOf(StoreUnavailableError);
      // Readers do not wait for writers.
      await store.ping();

      const user = aUser();
      const patient = store.insertUser(user);
      setTimeout(() => other.exec('COMMIT'), 100);
      expect(await patient).toBe(true);
      expect(await store.findUserById(user.id)).toEqual(user);
    } finally {
      other.close();
      await store.close();
    }
  });
});

describe('what an SQLite registry acknowledged', () => {
  it('survives kill -9', async () => {
    await expectKillLosesNothing(['sqlite', file, '-'], () => openSqliteStore({ file }));
  });

  it('survives a disk that fills up, and the rest is refused', async () => {
    // A limit on the size of files, which is how an ordinary user can have a full disk. In blocks of 512 bytes.
    const writer = runStoreProcess(['sqlite', file, '-', 'write'], {
      under: ['sh', '-c', 'ulimit -f 1200 && exec "$@"', 'sh'],
    });
    const said = await writer.ended;
    expect(said.at(-1), writer.stderr()).toMatch(
      /^failed STORE_UNAVAILABLE The registry .* cannot be used now/,
    );
    const store = await openSqliteStore({ file });
    await expectAcknowledged(store, said);
    expect(await store.insertUser(aUser())).toBe(true);
    await store.close();
  });

  it('is told apart within one transaction: a full disk refuses all of it, a bug its own write alone', async () => {
    const store = await openSqliteStore({ file });
    const connection = new Connection(file, 'full');
    try {
      const insert = connection.prepare('INSERT INTO counters (name, value) VALUES (?, ?)');
      const names = () =>
        connection
          .prepare('SELECT name FROM counters ORDER BY name')
          .all()
          .map((row) => row['name']);
      const queue = new WriteQueue(connection);
      const results = await Promise.allSettled(
        ['a', 'b', 'a', 'c'].map((name) => queue.run(() => insert.run(name, 1))),
      );
      expect(results.map(({ status }) => status)).toEqual([
        'fulfilled',
        'fulfilled',
        'rejected',
        'fulfilled',
      ]);
      expect((results[2] as PromiseRejectedResult).reason).not.toBeInstanceOf(StoreUnavailableError);
      expect(names()).toEqual(['a', 'b', 'c']);

      connection.exec(`PRAGMA max_page_count = ${Number(connection.readPragma('page_count')) + 2}`);
      const full = await Promise.allSettled([
        queue.run(() => insert.run('d', 1)),
        queue.run(() => insert.run('x'.repeat(100_000), 1)),
        queue.run(() => insert.run('e', 1)),
      ]);
      for (const result of full) {
        expect(result.status).toBe('rejected');
        expect((result as PromiseRejectedResult).reason).toBeInstanceOf(StoreUnavailableError);
      }
      expect(names()).toEqual(['a', 'b', 'c']);
      connection.exec('PRAGMA max_page_count = 1000000');
      await atOnce(3, (i) => queue.run(() => insert.run(`f${i}`, 1)));
      expect(names()).toEqual(['a', 'b', 'c', 'f0', 'f1', 'f2']);
    } finally {
      connection.close();
      await store.close();
    }
  });
});
