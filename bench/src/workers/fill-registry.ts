import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { MongoClient, type Document } from 'mongodb';
import { newDeviceId } from '@postern/protocol';
import { serve } from '../worker.js';

/**
 * Fills a registry with devices that never connect, as copies of one that was registered: to register 100,000 would
 * take minutes, and what is measured is how look-ups fare in a large registry.
 */

export interface Fill {
  /** Path of the SQLite file, or URL of MongoDB. */
  registry: string;
  /** Device to copy. */
  templateId: string;
  /** So many devices are to be there afterwards. */
  until: number;
}

const BATCH = 1_000;

/** What is used of it; the package has no types for Node's module resolution. */
interface Database {
  exec(sql: string): void;
  prepare(sql: string): {
    run(parameters: readonly unknown[]): unknown;
    get(parameters: readonly unknown[]): unknown;
  };
  close(): void;
}

const newSerial = (): string => `4${randomBytes(15).toString('hex')}`;
const newFingerprint = (): string => randomBytes(32).toString('hex');

function fillSqlite({ registry, templateId, until }: Fill): number {
  const Driver = createRequire(import.meta.url)('libsql') as new (file: string) => Database;
  const db = new Driver(registry);
  try {
    db.exec('PRAGMA busy_timeout = 20000');
    const countAll = db.prepare('SELECT count(*) AS n FROM devices');
    const device = db.prepare(
      `INSERT INTO devices (id, owner_id, name, created_at, origin, key_type, password_hash, sealed_key, removed_at)
       SELECT ?, owner_id, ?, created_at, origin, key_type, password_hash, sealed_key, removed_at FROM devices WHERE id = ?`,
    );
    const certificate = db.prepare(
      `INSERT INTO certificates (serial, device_id, fingerprint_sha256, not_before, not_after, issued_at, revoked_at, revocation_reason)
       SELECT ?, ?, ?, not_before, not_after, issued_at, revoked_at, revocation_reason FROM certificates WHERE device_id = ? LIMIT 1`,
    );
    const chain = db.prepare(
      `INSERT INTO certificate_chains (serial, chain_pem)
       SELECT ?, chain_pem FROM certificate_chains WHERE serial = (SELECT serial FROM certificates WHERE device_id = ? LIMIT 1)`,
    );
    let there = (countAll.get([]) as { n: number }).n;
    while (there < until) {
      db.exec('BEGIN IMMEDIATE');
      for (let index = 0; index < BATCH && there < until; index++, there++) {
        const id = newDeviceId();
        const serial = newSerial();
        device.run([id, `fill-${there}`, templateId]);
        certificate.run([serial, id, newFingerprint(), templateId]);
        chain.run([serial, templateId]);
      }
      db.exec('COMMIT');
    }
    return there;
  } finally {
    db.close();
  }
}

async function fillMongo({ registry, templateId, until }: Fill): Promise<number> {
  const client = await MongoClient.connect(registry);
  try {
    const devices = client.db().collection<Document & { _id: string }>('devices');
    const template = await devices.findOne({ _id: templateId });
    if (!template)
      throw new Error(`no device ${templateId} in the database of ${new URL(registry).pathname}`);
    let there = await devices.countDocuments();
    while (there < until) {
      const batch: (Document & { _id: string })[] = [];
      for (; batch.length < BATCH && there < until; there++)
        batch.push({
          ...template,
          _id: newDeviceId(),
          name: `fill-${there}`,
          liveName: `fill-${there}`,
          slot: 1_000_000 + there,
          certificates: (template['certificates'] as Document[]).map((one) => ({
            ...one,
            serial: newSerial(),
            fingerprintSha256: newFingerprint(),
          })),
        });
      await devices.insertMany(batch);
    }
    return there;
  } finally {
    await client.close();
  }
}

serve({
  fill: (options: Fill) =>
    options.registry.startsWith('mongodb') ? fillMongo(options) : fillSqlite(options),
});
