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
import type { Row } from './connection.js';

/** Rows as records. The tables are STRICT and CHECKed, so a column has the type that its table gives it. */

const text = (row: Row, column: string) => row[column] as string;
const textOrNull = (row: Row, column: string) => row[column] as string | null;
const integer = (row: Row, column: string) => row[column] as number;
const integerOrNull = (row: Row, column: string) => row[column] as number | null;

export const toUser = (row: Row): User => ({
  id: text(row, 'id'),
  username: text(row, 'username'),
  passwordHash: text(row, 'password_hash'),
  createdAt: integer(row, 'created_at'),
});

export const toSession = (row: Row): Session => ({
  id: text(row, 'id'),
  userId: text(row, 'user_id'),
  tokenHash: text(row, 'token_hash'),
  previousTokenHash: textOrNull(row, 'previous_token_hash'),
  rotatedAt: integer(row, 'rotated_at'),
  createdAt: integer(row, 'created_at'),
  expiresAt: integer(row, 'expires_at'),
});

export const toApiSecret = (row: Row): ApiSecret => ({
  secretHash: text(row, 'secret_hash'),
  userId: text(row, 'user_id'),
  createdAt: integer(row, 'created_at'),
  lastUsedAt: integer(row, 'last_used_at'),
  expiresAt: integer(row, 'expires_at'),
});

export const toDevice = (row: Row): Device => ({
  id: text(row, 'id'),
  ownerId: text(row, 'owner_id'),
  name: text(row, 'name'),
  createdAt: integer(row, 'created_at'),
  origin: text(row, 'origin') as Device['origin'],
  keyType: text(row, 'key_type') as Device['keyType'],
  passwordHash: textOrNull(row, 'password_hash'),
  sealedKey: textOrNull(row, 'sealed_key'),
  removedAt: integerOrNull(row, 'removed_at'),
});

export const toCertificate = (row: Row): DeviceCertificate => ({
  serial: text(row, 'serial'),
  deviceId: text(row, 'device_id'),
  fingerprintSha256: text(row, 'fingerprint_sha256'),
  notBefore: integer(row, 'not_before'),
  notAfter: integer(row, 'not_after'),
  issuedAt: integer(row, 'issued_at'),
  chainPem: text(row, 'chain_pem'),
  revokedAt: integerOrNull(row, 'revoked_at'),
  revocationReason: textOrNull(row, 'revocation_reason') as DeviceCertificate['revocationReason'],
});

export const toPresence = (row: Row): Presence => {
  const methods = textOrNull(row, 'methods');
  return {
    deviceId: text(row, 'device_id'),
    connected: row['connected'] === 1,
    lastSeenAt: integerOrNull(row, 'last_seen_at'),
    address: textOrNull(row, 'address'),
    transport: textOrNull(row, 'transport'),
    connection: textOrNull(row, 'connection'),
    protocol: integer(row, 'protocol') as 1 | 2,
    methods: methods === null ? null : (JSON.parse(methods) as string[]),
    model: textOrNull(row, 'model'),
    version: textOrNull(row, 'version'),
  };
};

export const toAuditEntry = (row: Row): AuditEntry => ({
  at: integer(row, 'at'),
  actorId: textOrNull(row, 'actor_id'),
  actorName: textOrNull(row, 'actor_name'),
  action: text(row, 'action'),
  target: textOrNull(row, 'target'),
  outcome: text(row, 'outcome'),
  address: textOrNull(row, 'address'),
  requestId: textOrNull(row, 'request_id'),
});

export const toIdempotencyRecord = (row: Row): IdempotencyRecord => ({
  id: text(row, 'id'),
  requestHash: text(row, 'request_hash'),
  createdAt: integer(row, 'created_at'),
  expiresAt: integer(row, 'expires_at'),
  answer:
    row['status'] === null
      ? null
      : {
          status: integer(row, 'status'),
          body: text(row, 'body'),
          contentType: text(row, 'content_type'),
        },
});
