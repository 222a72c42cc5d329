import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect, promisify } from 'node:util';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { StoreUnavailableError, StoreUnusableError } from '../../src/domain/store.js';
import { openMongoStore } from '../../src/store/mongo/index.js';
import { T0, aCertificate, aDevice, aPresence, aUser, anAuditEntry } from './conformance/records.js';
import { expectKillLosesNothing } from './durability.js';
import { mongoLeftOut, startMongoServer, type MongoServer } from './mongo-server.js';

const run = promisify(execFile);
const PASSWORD = 'hunter2-correct-horse';

/** All that a log could print of an error. */
const everythingOf = (error: unknown) =>
  `${inspect(error, { depth: 20, showHidden: true, getters: true })}${(error as Error).stack}${JSON.stringify(error)}`;

const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => {
      throw new Error('expected a failure');
    },
    (error: Error) => error,
  );

describe('a MongoDB URL', () => {
  it.each([
    `http://user:${PASSWORD}@host/`,
    `mongodb://user:${PASSWORD}/x@host/`,
    `mongodb://user:${PASSWORD}@x@host/`,
    `mongodb://user:${PASSWORD}%@host/`,
    `mongodb://user:${PASSWORD}:x@host:99999/`,
    `mongodb://us er:${PASSWORD}@/`,
    `mongodb://user:${PASSWORD}@host/?tls=maybe`,
  ])('that cannot be used is refused with what would be right, and not quoted (%#)', async (url) => {
    const error = await failure(openMongoStore({ url }));
    expect(error).toBeInstanceOf(StoreUnusableError);
    expect(error.message).toMatch(/must read mongodb:\/\//);
    expect(everythingOf(error)).not.toMatch(/hunter2/);
  });

  it('with an unknown option is refused by its name', async () => {
    const error = await failure(openMongoStore({ url: `mongodb://user:${PASSWORD}@host/?journall=true` }));
    expect(error.message).toContain('option journall is not supported');
    expect(everythingOf(error)).not.toMatch(/hunter2/);
  });

  it('of a server that is not there is an unavailable store, in seconds, and its password stays out', async () => {
    const begun = performance.now();
    const url = `mongodb://user:${PASSWORD}@127.0.0.1:1/?serverSelectionTimeoutMS=500`;
    const error = await failure(openMongoStore({ url }));
    expect(error).toBeInstanceOf(StoreUnavailableError);
    expect(error.message).toMatch(/127\.0\.0\.1:1\/postern cannot be used now/);
    expect(everythingOf(error)).not.toMatch(/hunter2/);
    expect(performance.now() - begun).toBeLessThan(3_000);
  });

  it('of a server that says nothing is an unavailable store, in seconds', async () => {
    const silent: Server = createServer(() => undefined);
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as AddressInfo;
    const begun = performance.now();
    const error = await failure(openMongoStore({ url: `mongodb://127.0.0.1:${port}/` }));
    expect(error).toBeInstanceOf(StoreUnavailableError);
    expect(performance.now() - begun).toBeLessThan(10_000);
    silent.close();
  });
});

if (mongoLeftOut) {
  describe('mongodb store, failing', () => {
    it.skip('is left out, because POSTERN_TEST_STORES=sqlite is set');
  });
} else {
  describe('mongodb store, failing', () => {
    let server: MongoServer | undefined;
    beforeAll(async () => {
      server = await startMongoServer();
    });
    afterAll(() => server?.stop());
    const use = () => server!;

    /** A database of one test's own, with the raw driver beside the store. */
    async function withDatabase(
      action: (database: string, raw: MongoClient) => Promise<void>,
    ): Promise<void> {
      const database = use().newDatabase();
      const raw = await MongoClient.connect(use().url);
      try {
        await action(database, raw);
      } finally {
        await raw.db(database).dropDatabase();
        await raw.close();
      }
    }

    it('keeps what it acknowledged through kill -9 of the gateway', async () => {
      await withDatabase(async (database) => {
        const open = () => openMongoStore({ url: use().url, database });
        await expectKillLosesNothing(['mongodb', use().url, database], open);
      });
    });

    it('names the database that the URL names', async () => {
      await withDatabase(async (database, raw) => {
        const url = new URL(use().url);
        url.pathname = `/${database}`;
        const store = await openMongoStore({ url: url.href });
        const user = aUser();
        await store.insertUser(user);
        expect(await raw.db(database).collection('users').countDocuments({})).toBe(1);
        await store.close();
      });
    });

    it('meets documents that are not its own with a sentence that names them and quotes no value', async () => {
      await withDatabase(async (database, raw) => {
        const store = await openMongoStore({ url: use().url, database });
        const db = raw.db(database);
        const device = aDevice();
        await store.insertDevice(device, aCertificate(device.id), 5);
        type Loose = { _id: string; [field: string]: unknown };
        await db
          .collection<Loose>('users')
          .insertOne({ _id: 'u1', username: 'odd', passwordHash: { secret: 'value' } });
        await db.collection<Loose>('presence').insertOne({ _id: 'p1', connected: 'yes' });
        await db
          .collection<Loose>('devices')
          .updateOne({ _id: device.id }, { $set: { 'certificates.0.notAfter': 'soon' } });
        await db
          .collection<Loose>('counters')
          .updateOne({ _id: 'crl' }, { $set: { value: 1.5 } }, { upsert: true });
        for (const [call, sentence] of [
          [() => store.findUserByName('odd'), /document u1 of the collection users .*passwordHash/],
          [() => store.findUserById('u1'), /document u1 of the collection users/],
          [() => store.findPresence('p1'), /document p1 of the collection presence .*connected/],
          [() => store.findPresences(['p1']), /document p1/],
          [() => store.listCertificates(device.id), /collection devices .*certificates\.0\.notAfter/],
          [() => store.addCertificate(aCertificate(device.id), { maxCertificates: 5 }), /collection devices/],
          [() => store.nextCrlNumber(), /document crl of the collection counters .*value/],
        ] as const) {
          const error = await failure(call());
          expect(error).toBeInstanceOf(StoreUnusableError);
          expect(error.message).toMatch(sentence);
          expect(error.message).not.toMatch(/soon|secret|odd/);
        }
        // Fields that are not ours are no harm.
        await db
          .collection<Loose>('users')
          .updateOne({ _id: 'u1' }, { $set: { passwordHash: 'h', createdAt: T0, extra: 1 } });
        expect(await store.findUserById('u1')).toEqual({
          id: 'u1',
          username: 'odd',
          passwordHash: 'h',
          createdAt: T0,
        });
        await store.close();
      });
    });

    it('refuses a newer schema, and a database that is someone else’s', async () => {
      await withDatabase(async (database, raw) => {
        const url = use().url;
        await (await openMongoStore({ url, database })).close();
        const meta = raw.db(database).collection<{ _id: string; version: unknown }>('meta');
        await meta.updateOne({ _id: 'schema' }, { $set: { version: 7 } });
        const error = await failure(openMongoStore({ url, database }));
        expect(error).toBeInstanceOf(StoreUnusableError);
        expect(error.message).toMatch(/schema version 7.*up to 1/);
        await meta.updateOne({ _id: 'schema' }, { $set: { version: 'x' } });
        await expect(openMongoStore({ url, database })).rejects.toThrow(/Name a database of Postern's own/);
      });
    });

    it('says nothing of a value that is there twice', async () => {
      await withDatabase(async (database) => {
        const store = await openMongoStore({ url: use().url, database });
        const device = aDevice();
        const certificate = aCertificate(device.id);
        await store.insertDevice(device, certificate, 5);
        const error = await failure(
          store.addCertificate({ ...certificate }, { maxCertificates: 5 }).then((added) => {
            if (added) throw new Error('a serial was taken twice');
            return added;
          }),
        ).catch((e: unknown) => e as Error);
        expect(error.message).not.toContain(certificate.serial);
        const other = aDevice();
        const refused = await failure(store.insertDevice(other, { ...certificate, deviceId: other.id }, 5));
        expect(refused.message).toMatch(/unique key \(index serial\)/);
        expect(refused.message).not.toContain(certificate.serial);
        expect(refused).not.toBeInstanceOf(StoreUnavailableError);
        await store.close();
      });
    });
  });

  describe('a MongoDB server that goes away under the store', () => {
    it.skipIf(process.env['MONGODB_URL'])(
      'makes every call an unavailable store, in seconds, and comes back',
      async () => {
        const server = await startMongoServer();
        try {
          const store = await openMongoStore({ url: server.url, database: server.newDatabase() });
          const user = aUser();
          await store.insertUser(user);
          await server.freeze();
          const begun = performance.now();
          const errors = await Promise.all([
            failure(store.ping()),
            failure(store.findUserById(user.id)),
            failure(store.insertUser(aUser())),
            failure(store.savePresence([aPresence()])),
            failure(store.nextCrlNumber()),
            failure(store.appendAudit([anAuditEntry()], { durable: true })),
          ]);
          for (const error of errors) expect(error).toBeInstanceOf(StoreUnavailableError);
          expect(performance.now() - begun).toBeLessThan(20_000);
          server.thaw();
          await expect
            .poll(() => store.findUserById(user.id).catch(() => null), { timeout: 20_000 })
            .toEqual(user);

          await server.stop();
          const gone = await failure(store.findUserById(user.id));
          expect(gone).toBeInstanceOf(StoreUnavailableError);
          await store.close();
        } finally {
          await server.stop();
        }
      },
      60_000,
    );
  });

  describe('MongoDB over TLS', () => {
    it('is reached with the CA of the URL or of its own setting, and not without', async () => {
      const folder = await mkdtemp(join(tmpdir(), 'postern-mongo-tls-'));
      const [keyFile, certificateFile] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
      let server: MongoServer | undefined;
      try {
        await run('openssl', [
          'req',
          '-x509',
          '-newkey',
          'ec',
          '-pkeyopt',
          'ec_paramgen_curve:prime256v1',
          '-nodes',
          '-days',
          '2',
          '-subj',
          '/CN=mongo',
          '-addext',
          'subjectAltName=IP:127.0.0.1',
          '-keyout',
          keyFile,
          '-out',
          certificateFile,
        ]);
        server = await startMongoServer({ keyFile, certificateFile });
        // Time for a JVM's first handshake on a busy machine.
        const patient = 'serverSelectionTimeoutMS=20000';
        const quick = 'serverSelectionTimeoutMS=5000';
        const trusting = `${server.url}?tls=true&tlsCAFile=${encodeURIComponent(certificateFile)}&${patient}`;
        const store = await openMongoStore({ url: trusting, database: server.newDatabase() });
        const user = aUser();
        await store.insertUser(user);
        expect(await store.findUserByName(user.username)).toEqual(user);
        await store.close();
        const bySetting = await openMongoStore({
          url: `${server.url}?${patient}`,
          caFile: certificateFile,
          database: server.newDatabase(),
        });
        await bySetting.ping();
        await bySetting.close();
        const untrusting = await failure(openMongoStore({ url: `${server.url}?tls=true&${quick}` }));
        expect(untrusting).toBeInstanceOf(StoreUnavailableError);
        expect(untrusting.message).toMatch(/self[- ]signed/);
        await expect(openMongoStore({ url: `${server.url}?${quick}` })).rejects.toBeInstanceOf(
          StoreUnavailableError,
        );
      } finally {
        await server?.stop();
        await rm(folder, { recursive: true, force: true });
      }
    }, 60_000);
  });
}
