import { randomBytes, randomUUID } from 'node:crypto';
import { newDeviceId } from '@postern/protocol';
import type {
  ApiSecret,
  AuditEntry,
  Device,
  DeviceCertificate,
  IdempotencyRecord,
  Presence,
  Session,
  User,
} from '../../../src/domain/model.js';

/** Records are about this time, in ms. In 2100, so that no real server's TTL index takes them away meanwhile. */
export const T0 = 4_102_444_800_123;
export const HOUR = 3_600_000;

export const hex = (bytes = 32) => randomBytes(bytes).toString('hex');

export const aUser = (change: Partial<User> = {}): User => ({
  id: randomUUID(),
  username: `user-${hex(6)}`,
  passwordHash: '$scrypt$ln=15,r=8,p=1$c2FsdA$aGFzaA',
  createdAt: T0,
  ...change,
});

export const aSession = (change: Partial<Session> = {}): Session => ({
  id: randomUUID(),
  userId: randomUUID(),
  tokenHash: hex(),
  previousTokenHash: null,
  rotatedAt: T0,
  createdAt: T0,
  expiresAt: T0 + HOUR,
  ...change,
});

export const aSecret = (change: Partial<ApiSecret> = {}): ApiSecret => ({
  secretHash: hex(),
  userId: randomUUID(),
  createdAt: T0,
  lastUsedAt: T0,
  expiresAt: T0 + HOUR,
  ...change,
});

export const aDevice = (change: Partial<Device> = {}): Device => ({
  id: newDeviceId(),
  ownerId: randomUUID(),
  name: `lamp ${hex(4)}`,
  createdAt: T0,
  origin: 'api',
  keyType: 'ec-p256',
  passwordHash: null,
  sealedKey: null,
  removedAt: null,
  ...change,
});

export const aCertificate = (
  deviceId: string,
  change: Partial<DeviceCertificate> = {},
): DeviceCertificate => ({
  serial: hex(16),
  deviceId,
  fingerprintSha256: hex(),
  notBefore: T0 - 60_000,
  notAfter: T0 + 24 * HOUR,
  issuedAt: T0,
  chainPem: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'.repeat(2),
  revokedAt: null,
  revocationReason: null,
  ...change,
});

export const aPresence = (change: Partial<Presence> = {}): Presence => ({
  deviceId: newDeviceId(),
  connected: true,
  lastSeenAt: T0,
  address: '127.0.0.1',
  transport: 'MQTT 3.1.1',
  connection: '<rabbit@host.1.2.3>',
  protocol: 2,
  methods: ['get_gpio', 'set_gpio'],
  model: 'FT900',
  version: '1.2.3',
  ...change,
});

export const anAuditEntry = (change: Partial<AuditEntry> = {}): AuditEntry => ({
  at: T0,
  actorId: randomUUID(),
  actorName: 'someone_some@example_com',
  action: 'device.register',
  target: newDeviceId(),
  outcome: 'OK',
  address: '::1',
  requestId: hex(8),
  ...change,
});

export const aClaim = (change: Partial<IdempotencyRecord> = {}): IdempotencyRecord => ({
  id: hex(),
  requestHash: hex(),
  createdAt: T0,
  expiresAt: T0 + HOUR,
  answer: null,
  ...change,
});

/** `count` promises begun in one turn of the event loop. */
export const atOnce = <T>(count: number, action: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => action(index)));

/** Text that is easy to get wrong: other scripts, beyond the BMP, combining, quotes, operators, controls. */
export const ODD_TEXTS = [
  'Grüße 東京 😀',
  'e\u0301 and \u00e9',
  "Robert'); DROP TABLE users;--",
  '$where',
  'a.b.$c',
  '%_\\',
  '{"$gt":""}',
  '\u0001\t\r\n',
  '\ufffe\uffff',
  ' leading and trailing ',
  'x'.repeat(1000),
];
