import type { Collection, Db, IndexDescription, ObjectId } from 'mongodb';
import { StoreUnusableError } from '../../domain/store.js';
import type {
  AuditDocument,
  DeviceDocument,
  FailuresDocument,
  IdempotencyDocument,
  PresenceDocument,
  SecretDocument,
  SessionDocument,
  UserDocument,
} from './documents.js';

export interface Collections {
  readonly users: Collection<UserDocument>;
  readonly sessions: Collection<SessionDocument>;
  readonly secrets: Collection<SecretDocument>;
  readonly failures: Collection<FailuresDocument>;
  readonly devices: Collection<DeviceDocument>;
  readonly presence: Collection<PresenceDocument>;
  readonly audit: Collection<AuditDocument & { _id: ObjectId }>;
  readonly idempotency: Collection<IdempotencyDocument>;
  readonly counters: Collection<{ _id: string; value: number }>;
}

export const collectionsOf = (db: Db): Collections => ({
  users: db.collection('users'),
  sessions: db.collection('sessions'),
  secrets: db.collection('api_secrets'),
  failures: db.collection('login_failures'),
  devices: db.collection('devices'),
  presence: db.collection('presence'),
  audit: db.collection('audit'),
  idempotency: db.collection('idempotency'),
  counters: db.collection('counters'),
});

/** Of the writes that the port does not ask to be durable: one server has it, in memory. */
export const RELAXED = { writeConcern: { w: 1, journal: false } } as const;

/**
 * TTL indexes only tidy up where no gateway runs its purge; what has expired does not count from that moment,
 * by the queries. An hour late, so that a server whose clock is ahead ends nothing early.
 */
const tidyUp: IndexDescription = { name: 'tidy_up', key: { purgeAt: 1 }, expireAfterSeconds: 3600 };

/** The two unique indexes that a new device can meet; devices.ts tells them apart. */
export const DEVICE_NAME_INDEX = 'name_of_owner';
export const DEVICE_SLOT_INDEX = 'slot_of_owner';

const INDEXES: Readonly<Partial<Record<keyof Collections, IndexDescription[]>>> = {
  users: [{ name: 'username', key: { username: 1 }, unique: true }],
  sessions: [tidyUp],
  secrets: [{ name: 'use', key: { userId: 1, lastUsedAt: -1, createdAt: -1 } }, tidyUp],
  failures: [tidyUp],
  devices: [
    { name: DEVICE_NAME_INDEX, key: { ownerId: 1, liveName: 1 }, unique: true },
    { name: DEVICE_SLOT_INDEX, key: { ownerId: 1, slot: 1 }, unique: true },
    { name: 'serial', key: { 'certificates.serial': 1 }, unique: true },
    { name: 'revocation', key: { 'certificates.revocation.at': 1 } },
    { name: 'removal', key: { removedAt: 1, lastNotAfter: 1 } },
  ],
  presence: [{ name: 'connected', key: { connected: 1 } }],
  audit: [
    { name: 'time', key: { at: -1, _id: -1 } },
    { name: 'actor', key: { actorId: 1, at: -1, _id: -1 } },
    { name: 'target', key: { target: 1, at: -1, _id: -1 } },
  ],
  idempotency: [tidyUp],
};

/** The version of the documents' layout; a newer one is refused. */
export const SCHEMA_VERSION = 1;

/** Checks the version and makes the indexes. Several instances may do so at once; what is there stays. */
export async function prepare(db: Db, collections: Collections): Promise<void> {
  const meta = db.collection<{ _id: string; version: number }>('meta');
  let schema = await meta.findOne({ _id: 'schema' });
  if (!schema) {
    await meta
      .updateOne({ _id: 'schema' }, { $setOnInsert: { version: SCHEMA_VERSION } }, { upsert: true })
      .catch(() => undefined); // Another instance was first, or the next line fails with the reason.
    schema = await meta.findOne({ _id: 'schema' });
  }
  const version: unknown = schema?.version;
  if (version !== SCHEMA_VERSION) {
    throw new StoreUnusableError(
      typeof version === 'number' && version > SCHEMA_VERSION
        ? `The MongoDB database ${db.databaseName} has schema version ${version}; this Postern knows versions up to ${SCHEMA_VERSION}. Start the newer Postern that wrote it, or restore the backup from before its upgrade`
        : `The MongoDB database ${db.databaseName} does not say which version of Postern's schema it has (collection meta). Name a database of Postern's own`,
    );
  }
  for (const [name, indexes] of Object.entries(INDEXES)) {
    await collections[name as keyof Collections].createIndexes(indexes);
  }
}
