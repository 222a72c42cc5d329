import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StoreUnusableError } from '../../src/domain/store.js';
import { Connection } from '../../src/store/sqlite/connection.js';
import { driverName } from '../../src/store/sqlite/driver.js';
import { openSqliteStore } from '../../src/store/sqlite/index.js';
import { migrate } from '../../src/store/sqlite/migrate.js';
import { aCertificate, aDevice, aUser } from './conformance/records.js';
import { runStoreProcess } from './programs/run.js';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-store-'));
  file = join(folder, 'registry.db');
});
afterEach(async () => {
  await chmod(folder, 0o700);
  await rm(folder, { recursive: true, force: true });
});

const mode = async (path: string) => (await stat(path)).mode & 0o777;

/** A registry with enough in it to have several pages of each kind; closed. */
async function filled(): Promise<void> {
  const store = await openSqliteStore({ file });
  await Promise.all(
    Array.from({ length: 200 }, async () => {
      const device = aDevice();
      await store.insertUser(aUser());
      await store.insertDevice(device, aCertificate(device.id), 5);
    }),
  );
  await store.close();
}

/** Refused with a sentence that says so, and left as it was. */
async function expectRefused(sentence: RegExp): Promise<void> {
  const before = await readFile(file);
  const error: unknown = await openSqliteStore({ file }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(StoreUnusableError);
  expect((error as Error).message).toMatch(sentence);
  expect((error as Error).message).toContain(file);
  expect((await readFile(file)).equals(before)).toBe(true);
}

describe('the file of an SQLite registry', () => {
  it('is made with its folder, for its owner alone, log included', async () => {
    file = join(folder, 'a', 'b', 'registry.db');
    const store = await openSqliteStore({ file });
    await store.insertUser(aUser());
    expect(await mode(join(folder, 'a'))).toBe(0o700);
    for (const suffix of ['', '-wal', '-shm']) expect(await mode(file + suffix)).toBe(0o600);
    await store.close();
  });

  it('is narrowed to its owner where it was open to others', async () => {
    await filled();
    await chmod(file, 0o644);
    await (await openSqliteStore({ file })).close();
    expect(await mode(file)).toBe(0o600);
  });

  it('is refused where it is not SQLite', async () => {
    await writeFile(file, 'username,password\n'.repeat(500));
    await expectRefused(/damaged or not an SQLite file/);
  });

  it('is refused where it is empty, and not made anew', async () => {
    await writeFile(file, '');
    await expectRefused(/damaged.*backup/);
  });

  it('is refused where it is cut short', async () => {
    await filled();
    const { size } = await stat(file);
    await truncate(file, Math.floor(size / 8192) * 4096);
    await expectRefused(/damaged/);
  });

  it('is refused where a page is overwritten', async () => {
    await filled();
    const whole = await readFile(file);
    const connection = new Connection(file, 'full');
    const root = Number(
      connection.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'certificates'").get()?.[
        'rootpage'
      ],
    );
    connection.close();
    const damaged = Buffer.from(whole);
    damaged.fill(0xa5, (root - 1) * 4096, root * 4096);
    await writeFile(file, damaged);
    await expectRefused(/damaged/);
    await writeFile(file, whole);
    await (await openSqliteStore({ file })).close();
  });

  it('is refused where it is another program’s database', async () => {
    const other = new Connection(file, 'full');
    other.exec('CREATE TABLE users (id)');
    other.close();
    await expectRefused(/not a registry of Postern's/);
  });

  it('is refused where its schema is newer, and told by which version', async () => {
    await filled();
    const newer = new Connection(file, 'full');
    newer.pragma('user_version = 42');
    newer.readPragma('wal_checkpoint(TRUNCATE)');
    newer.close();
    await expectRefused(/schema version 42.*up to 1/);
  });

  it('is refused where it is a folder', async () => {
    await mkdir(file);
    await expect(openSqliteStore({ file })).rejects.toThrow(/not a regular file/);
  });

  it('is not made anew beside the log of one that is gone', async () => {
    const store = await openSqliteStore({ file });
    await store.insertUser(aUser());
    await rm(file);
    await expect(openSqliteStore({ file })).rejects.toThrow(/is gone, but its log/);
    // And the running gateway tells, rather than write into a file that nobody will find.
    await expect(store.ping()).rejects.toBeInstanceOf(StoreUnusableError);
    await store.close();
  });

  it.each([
    ['there is none yet', false],
    ['there is one', true],
  ])('is refused in a folder that may not be written, where %s', async (_, exists) => {
    const nobody = 65534;
    const isRoot = process.getuid?.() === 0;
    if (exists) {
      await filled();
      for (const suffix of ['-wal', '-shm']) await rm(file + suffix, { force: true });
      if (isRoot) await chown(file, nobody, nobody);
    }
    await chmod(folder, 0o555);
    // To root every folder can be written: another user tries.
    const opener = runStoreProcess(['sqlite', file, '-', 'open'], isRoot ? { uid: nobody } : {});
    const [said] = await opener.ended;
    expect(said, opener.stderr()).toMatch(
      /^failed STORE_UNUSABLE The registry .* cannot be opened and written/,
    );
  });

  it('leaves no draft behind', async () => {
    await Promise.all(Array.from({ length: 3 }, async () => (await openSqliteStore({ file })).close()));
    await (await openSqliteStore({ file })).close();
    expect((await readdir(folder)).filter((name) => name.includes('.new-'))).toEqual([]);
  });
});

describe('migrations', () => {
  it('are applied in order, each as one: a failing one leaves the version before it', async () => {
    const connection = new Connection(file, 'full');
    try {
      const first = 'CREATE TABLE one (x INTEGER)';
      await migrate(connection, [first]);
      const failing =
        'CREATE TABLE two (x INTEGER); INSERT INTO one VALUES (1); INSERT INTO missing VALUES (1)';
      await expect(migrate(connection, [first, failing])).rejects.toThrow(/missing/);
      expect(connection.readPragma('user_version')).toBe(1);
      expect(connection.prepare('SELECT count(*) AS n FROM one').get()?.['n']).toBe(0);
      await migrate(connection, [
        first,
        'INSERT INTO one VALUES (2)',
        'ALTER TABLE one ADD COLUMN y INTEGER',
      ]);
      expect(connection.readPragma('user_version')).toBe(3);
      expect(connection.prepare('SELECT x, y FROM one').all()).toHaveLength(1);
    } finally {
      connection.close();
    }
  });
});

describe('the SQLite driver', () => {
  it.each([
    ['20.19.0', 'libsql'],
    ['20.20.2', 'libsql'],
    ['22.13.1', 'libsql'],
    ['22.14.0', 'better-sqlite3'],
    ['24.0.0', 'better-sqlite3'],
  ])('for Node %s is %s', (version, name) => {
    expect(driverName(version)).toBe(name);
  });

  it.skipIf(process.platform !== 'linux')('is the only one of the two that is loaded', async () => {
    await (await openSqliteStore({ file })).close();
    const chosen = driverName(process.versions.node);
    const loaded = await readFile('/proc/self/maps', 'utf8');
    expect(/better-sqlite3[^\n]*\.node/.test(loaded)).toBe(chosen === 'better-sqlite3');
    expect(/libsql[^\n]*\.node/.test(loaded)).toBe(chosen === 'libsql');
  });

  it('is never handed what would abort the process or be cut off', async () => {
    const connection = new Connection(file, 'full');
    try {
      const echo = connection.prepare('SELECT ? AS value');
      for (const value of [true, undefined, {}, 1n, Symbol('x')]) {
        expect(() => echo.get(value as never)).toThrow(TypeError);
      }
      expect(echo.get('a\0b')?.['value']).toBe('a\uFFFDb');
      expect(echo.get('a\ud800b')?.['value']).toBe('a\uFFFDb');
      expect(echo.get(Number.MAX_SAFE_INTEGER)?.['value']).toBe(Number.MAX_SAFE_INTEGER);
    } finally {
      connection.close();
    }
  });
});
