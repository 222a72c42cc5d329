import { KEY_TYPES, REVOCATION_REASONS } from '@postern/protocol';
import { z } from 'zod';
import type {
  ApiSecret,
  AuditEntry,
  Device,
  DeviceCertificate,
  IdempotencyRecord,
  Presence,
  Session,
  User,
} from '../../domain/model.js';
import { StoreUnusableError } from '../../domain/store.js';

/**
 * The documents as they lie in the database, checked when they are read: what another hand put there is met
 * with a sentence and not with a fault further on. Fields that are not ours are left alone and not read.
 */

const text = z.string();
const nullableText = z.string().nullable();
const time = z.number();
const nullableTime = z.number().nullable();

/** What a TTL index tidies up by, long after the record has stopped counting; see collections.ts. */
interface Perishable {
  purgeAt: Date;
}

export const userDocument = z.object({ _id: text, username: text, passwordHash: text, createdAt: time });
export type UserDocument = z.infer<typeof userDocument>;

export const sessionDocument = z.object({
  _id: text,
  userId: text,
  tokenHash: text,
  previousTokenHash: nullableText,
  rotatedAt: time,
  createdAt: time,
  expiresAt: time,
});
export type SessionDocument = z.infer<typeof sessionDocument> & Perishable;

export const secretDocument = z.object({
  _id: text,
  userId: text,
  createdAt: time,
  lastUsedAt: time,
  expiresAt: time,
});
export type SecretDocument = z.infer<typeof secretDocument> & Perishable;

export const failuresDocument = z.object({ _id: text, count: z.number(), lastAt: time });
export type FailuresDocument = z.infer<typeof failuresDocument> & Perishable;

const certificate = z.object({
  serial: text,
  fingerprintSha256: text,
  notBefore: time,
  notAfter: time,
  issuedAt: time,
  chainPem: text,
  /** One field, so that one update sets both or none. */
  revocation: z.object({ at: time, reason: z.enum(REVOCATION_REASONS) }).nullable(),
});
export type CertificateSubdocument = z.infer<typeof certificate>;

export const deviceDocument = z.object({
  _id: text,
  ownerId: text,
  name: text,
  createdAt: time,
  origin: z.enum(['flat', 'api']),
  keyType: z.enum(KEY_TYPES),
  passwordHash: nullableText,
  sealedKey: nullableText,
  removedAt: nullableTime,
});
export const certificatesDocument = z.object({ _id: text, certificates: z.array(certificate) });
export interface DeviceDocument extends z.infer<typeof deviceDocument> {
  /** The device's certificates lie in its document, since that is what MongoDB changes as one. */
  certificates: CertificateSubdocument[];
  /** The name while the device is there, then something no name can be: a unique index over (owner, this) frees it. */
  liveName: string;
  /** A number below the owner's quota while the device is there, then the device's id: unique for each owner. */
  slot: number | string;
  /** Grows with each change to the certificates. */
  revision: number;
  /** The greatest `notAfter`. */
  lastNotAfter: number;
}
export const certificateStatesDocument = z.object({
  revision: z.number(),
  certificates: z.array(certificate.pick({ notAfter: true, revocation: true })),
});
export const revokedDocument = z.object({
  certificates: z.array(certificate.pick({ serial: true, notAfter: true, revocation: true })),
});

export const presenceDocument = z.object({
  _id: text,
  connected: z.boolean(),
  lastSeenAt: nullableTime,
  address: nullableText,
  transport: nullableText,
  connection: nullableText,
  protocol: z.union([z.literal(1), z.literal(2)]),
  methods: z.array(text).nullable(),
  model: nullableText,
  version: nullableText,
});
export type PresenceDocument = z.infer<typeof presenceDocument>;

export const auditDocument = z.object({
  at: time,
  actorId: nullableText,
  actorName: nullableText,
  action: text,
  target: nullableText,
  outcome: text,
  address: nullableText,
  requestId: nullableText,
});
export type AuditDocument = z.infer<typeof auditDocument>;

export const idempotencyDocument = z.object({
  _id: text,
  requestHash: text,
  createdAt: time,
  expiresAt: time,
  answer: z.object({ status: z.number(), body: text, contentType: text }).nullable(),
});
export type IdempotencyDocument = z.infer<typeof idempotencyDocument> & Perishable;

export const counterDocument = z.object({ value: z.int() });

/** The document as one of ours, or a sentence that says which is not. Values are not quoted: they may be secret. */
export function read<T>(schema: z.ZodType<T>, document: unknown, collection: string): T {
  const result = schema.safeParse(document);
  if (result.success) return result.data;
  const id = String((document as { _id?: unknown } | null)?._id ?? '?');
  const fields = result.error.issues.map(({ path, message }) => `${path.join('.') || '(all)'}: ${message}`);
  throw new StoreUnusableError(
    `The document ${id.slice(0, 64)} of the collection ${collection} is not one of Postern's (${fields.slice(0, 5).join('; ')}). Repair it from a backup, or remove it`,
  );
}

const renamed = <K extends string, D extends { _id: string }>(document: D, key: K) => {
  const { _id, ...rest } = document;
  return { [key]: _id, ...rest } as Omit<D, '_id'> & Record<K, string>;
};

export const toUser = (document: unknown): User => renamed(read(userDocument, document, 'users'), 'id');
export const toSession = (document: unknown): Session =>
  renamed(read(sessionDocument, document, 'sessions'), 'id');
export const toApiSecret = (document: unknown): ApiSecret =>
  renamed(read(secretDocument, document, 'api_secrets'), 'secretHash');
export const toDevice = (document: unknown): Device =>
  renamed(read(deviceDocument, document, 'devices'), 'id');
export const toPresence = (document: unknown): Presence =>
  renamed(read(presenceDocument, document, 'presence'), 'deviceId');
export const toAuditEntry = (document: unknown): AuditEntry => read(auditDocument, document, 'audit');
export const toIdempotencyRecord = (document: unknown): IdempotencyRecord =>
  renamed(read(idempotencyDocument, document, 'idempotency'), 'id');

export function toCertificates(document: unknown): DeviceCertificate[] {
  const { _id: deviceId, certificates } = read(certificatesDocument, document, 'devices');
  return certificates.map(({ revocation, ...rest }) => ({
    ...rest,
    deviceId,
    revokedAt: revocation?.at ?? null,
    revocationReason: revocation?.reason ?? null,
  }));
}

export function fromCertificate(value: DeviceCertificate): CertificateSubdocument {
  const { deviceId: _, revokedAt, revocationReason, ...rest } = value;
  return {
    ...rest,
    revocation:
      revokedAt === null || revocationReason === null ? null : { at: revokedAt, reason: revocationReason },
  };
}
