import type { KeyType, RevocationReason } from '@postern/protocol';

/** The records of the registry. Times are milliseconds since 1970 (UTC); hashes and serials lower-case hex. */

export interface User {
  readonly id: string;
  readonly username: string;
  /** Self-describing password hash (algorithm, parameters, salt). */
  readonly passwordHash: string;
  readonly createdAt: number;
}

/** A login through `/api/v1`. Holds the hash of the refresh token that is good now, and of the one before. */
export interface Session {
  readonly id: string;
  readonly userId: string;
  readonly tokenHash: string;
  readonly previousTokenHash: string | null;
  readonly rotatedAt: number;
  readonly createdAt: number;
  readonly expiresAt: number;
}

/** A flat login's `secret`, hashed. */
export interface ApiSecret {
  readonly secretHash: string;
  readonly userId: string;
  readonly createdAt: number;
  readonly lastUsedAt: number;
  readonly expiresAt: number;
}

export interface Device {
  readonly id: string;
  readonly ownerId: string;
  readonly name: string;
  readonly createdAt: number;
  /** Which API registered it. `flat` devices hand their key out again and have an MQTT password. */
  readonly origin: 'flat' | 'api';
  readonly keyType: KeyType;
  /** SHA-256 of the device's own MQTT password (random, 256 bits); null where it has none. */
  readonly passwordHash: string | null;
  /** The private key, encrypted under the deployment's key; null unless `origin` is `flat`. */
  readonly sealedKey: string | null;
  /** Set when the device was removed; kept until its certificates have expired, for the CRL. */
  readonly removedAt: number | null;
}

export interface DeviceCertificate {
  readonly serial: string;
  readonly deviceId: string;
  readonly fingerprintSha256: string;
  readonly notBefore: number;
  readonly notAfter: number;
  readonly issuedAt: number;
  /** Leaf first, then the issuing CA. */
  readonly chainPem: string;
  readonly revokedAt: number | null;
  readonly revocationReason: RevocationReason | null;
}

/** What is known of a device's connection. Not durable to the last event: it is read again from the broker. */
export interface Presence {
  readonly deviceId: string;
  readonly connected: boolean;
  /** When the device last connected, said hello, answered or disconnected, as far as the gateway saw. */
  readonly lastSeenAt: number | null;
  readonly address: string | null;
  /** `MQTT 3.1`, `MQTT 3.1.1`, `MQTT 5.0`, `AMQP 0-9-1`; null before the first connection. */
  readonly transport: string | null;
  /** The broker's name or pid of the connection that `connected` speaks of. */
  readonly connection: string | null;
  /** 2 after a hello on this connection, else 1. */
  readonly protocol: 1 | 2;
  readonly methods: readonly string[] | null;
  readonly model: string | null;
  readonly version: string | null;
}

export interface AuditEntry {
  readonly at: number;
  /** Who: a user id, or null for the system or an unknown caller. */
  readonly actorId: string | null;
  readonly actorName: string | null;
  /** What, such as `device.register`, `account.login`, `method.set_gpio`. */
  readonly action: string;
  /** On what: a device id, a serial ... */
  readonly target: string | null;
  readonly outcome: string;
  readonly address: string | null;
  readonly requestId: string | null;
}

/** The answer kept under an Idempotency-Key. */
export interface IdempotentAnswer {
  readonly status: number;
  readonly body: string;
  readonly contentType: string;
}
export interface IdempotencyRecord {
  /** Hash of user and key. */
  readonly id: string;
  /** Hash of method, path and body. */
  readonly requestHash: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  /** Null while the first call is under way. */
  readonly answer: IdempotentAnswer | null;
}

export interface LoginFailures {
  readonly count: number;
  readonly lastAt: number;
}
