import type { RevocationReason } from '@postern/protocol';
import type {
  ApiSecret,
  AuditEntry,
  Device,
  DeviceCertificate,
  IdempotencyRecord,
  IdempotentAnswer,
  LoginFailures,
  Presence,
  Session,
  User,
} from './model.js';

/**
 * The registry's port. Each method is atomic by itself and, unless it says otherwise, durable once its promise
 * resolves: it survives `kill -9` of the gateway and loss of power (SQLite `synchronous=FULL`, MongoDB
 * `w: majority, journal: true`). No method needs a transaction over several documents. Times are passed in: a
 * store has no clock. A method that cannot reach the store rejects with {@link StoreUnavailableError}.
 *
 * Sessions, secrets and idempotency records have expired from `expiresAt` on (`now >= expiresAt`); a
 * certificate is valid up to and including `notAfter` (RFC 5280 4.1.2.5).
 */
export interface Store extends AccountStore, DeviceStore, PresenceStore, AuditStore, IdempotencyStore {
  /** `sqlite` or `mongodb`, for logs and /readyz. */
  readonly kind: string;
  /** Rejects with {@link StoreUnavailableError} where the store cannot answer. */
  ping(): Promise<void>;
  /** Deletes what has expired: sessions, secrets, idempotency records, login failures, old audit entries, removed devices whose certificates have all expired. */
  purge(now: number): Promise<void>;
  close(): Promise<void>;
}

export interface AccountStore {
  /** False where the name is taken (names are compared exactly). */
  insertUser(user: User): Promise<boolean>;
  findUserByName(username: string): Promise<User | null>;
  findUserById(id: string): Promise<User | null>;

  insertSession(session: Session): Promise<void>;
  /** Null where there is none or it has expired at `now`. */
  findSession(id: string, now: number): Promise<Session | null>;
  /**
   * Puts the next refresh token in place of `expectedTokenHash`, as one compare-and-set: of two callers with
   * one token one wins. False where the session is gone, expired at `rotatedAt`, or holds another token.
   */
  rotateSession(change: {
    id: string;
    expectedTokenHash: string;
    tokenHash: string;
    rotatedAt: number;
    expiresAt: number;
  }): Promise<boolean>;
  /** False where there was none. */
  deleteSession(id: string): Promise<boolean>;

  /** Adds a secret and drops the user's least recently used ones beyond `keep`. */
  insertApiSecret(secret: ApiSecret, keep: number): Promise<void>;
  findApiSecret(secretHash: string, now: number): Promise<ApiSecret | null>;
  /** Moves the expiry after a use. Need not be durable. */
  touchApiSecret(secretHash: string, lastUsedAt: number, expiresAt: number): Promise<void>;
  deleteApiSecret(secretHash: string): Promise<boolean>;

  /** One more failed login for this name (known or not); answers the new state. Count starts again where `lastAt` is before `forgetBefore`. */
  recordLoginFailure(username: string, at: number, forgetBefore: number): Promise<LoginFailures>;
  findLoginFailures(username: string): Promise<LoginFailures | null>;
  clearLoginFailures(username: string): Promise<void>;
}

export interface Page<T> {
  readonly items: T[];
  /** Pass as `after` to get the next page; null on the last. */
  readonly next: string | null;
}

export interface DeviceStore {
  /** Device and its first certificate together. `name_taken` where the owner has a device of this name; `quota` where the owner already has `maxDevices`. */
  insertDevice(
    device: Device,
    certificate: DeviceCertificate,
    maxDevices: number,
  ): Promise<'ok' | 'name_taken' | 'quota'>;
  /** Devices that were not removed. */
  findDeviceByName(ownerId: string, name: string): Promise<Device | null>;
  /** Removed ones too. */
  findDeviceById(id: string): Promise<Device | null>;
  /** In order of name (by code point), not removed, names greater than `after`. */
  listDevices(ownerId: string, page: { limit: number; after: string | null }): Promise<Page<Device>>;
  /** Marks as removed and revokes all its certificates, as one. Null where it was not there or already removed; else the device. */
  removeDevice(ownerId: string, name: string, at: number, reason: RevocationReason): Promise<Device | null>;

  /** False where the device is gone, or has `maxCertificates` that are neither revoked nor expired at `issuedAt`. `sealedKey` replaces the device's where it is given. */
  addCertificate(
    certificate: DeviceCertificate,
    options: { maxCertificates: number; sealedKey?: string },
  ): Promise<boolean>;
  /** Newest first. */
  listCertificates(deviceId: string): Promise<DeviceCertificate[]>;
  findCertificate(serial: string): Promise<DeviceCertificate | null>;
  /** `not_found` where the device has no such certificate. */
  revokeCertificate(
    deviceId: string,
    serial: string,
    at: number,
    reason: RevocationReason,
  ): Promise<'ok' | 'not_found' | 'already'>;
  /** Whether the device is there and has a certificate that is neither revoked nor expired: the broker's question at each login. */
  hasValidCertificate(deviceId: string, now: number): Promise<boolean>;
  /** Revoked certificates that have not expired at `now`: the CRL's entries, by serial. */
  listRevoked(now: number): Promise<{ serial: string; revokedAt: number; reason: RevocationReason }[]>;
  /** The next CRL number: greater than every one before, over all instances (RFC 5280 5.2.3). */
  nextCrlNumber(): Promise<number>;
}

export interface PresenceStore {
  /** Writes all; the last one wins where a device is there twice. Need not be durable. */
  savePresence(records: readonly Presence[]): Promise<void>;
  findPresence(deviceId: string): Promise<Presence | null>;
  /** Missing ones are left out; order is free. */
  findPresences(deviceIds: readonly string[]): Promise<Presence[]>;
  /** Ids of all devices that are marked connected, for reconciling with the broker. */
  listConnected(): Promise<Presence[]>;
}

export interface AuditStore {
  /** Durable as one where `durable`, else soon. */
  appendAudit(entries: readonly AuditEntry[], options?: { durable?: boolean }): Promise<void>;
  /** Newest first. `before` is the `next` of the last page. */
  listAudit(filter: {
    actorId?: string;
    target?: string;
    limit: number;
    before: string | null;
  }): Promise<Page<AuditEntry>>;
}

export interface IdempotencyStore {
  /** `claimed` where this caller may execute; else the record that is there. An expired one is replaced. */
  claimIdempotency(
    record: IdempotencyRecord,
  ): Promise<{ claimed: true } | { claimed: false; existing: IdempotencyRecord }>;
  completeIdempotency(id: string, answer: IdempotentAnswer): Promise<void>;
  findIdempotency(id: string, now: number): Promise<IdempotencyRecord | null>;
  /** Forgets a claim whose call surely did nothing, so that a retry may. */
  releaseIdempotency(id: string): Promise<void>;
}

/** How long the audit record is kept, in ms: a year and a month, so that a yearly review finds all of its year. */
export const AUDIT_KEPT_MS = 396 * 24 * 3_600_000;
/**
 * Failed logins of a name are forgotten by {@link Store.purge} this long after the last one, in ms. Longer than
 * any delay that is worth imposing, short enough that made-up names do not fill the store.
 */
export const LOGIN_FAILURES_KEPT_MS = 24 * 3_600_000;

/** The store cannot be reached or did not answer in time. The caller may try again. */
export class StoreUnavailableError extends Error {
  readonly code = 'STORE_UNAVAILABLE';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreUnavailableError';
  }
}

/**
 * What the store holds cannot be used as it is: damaged, not Postern's, of a newer Postern, or not open to this
 * process. Trying again does not help; the message says what a person must do. Thrown at the start, and later
 * where damage is met.
 */
export class StoreUnusableError extends Error {
  readonly code = 'STORE_UNUSABLE';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreUnusableError';
  }
}
