import { z } from 'zod';
import { deviceNameSchema, usernameSchema } from './ids.js';
import { PASSWORD_LENGTH } from './limits.js';
import {
  epochSecondsSchema,
  macSchema,
  pinSchema,
  pinValueSchema,
  uartBase64Schema,
  uartTextSchema,
} from './methods.js';

/** Bodies of `/api/v1`: requests are strict, answers may gain fields. Times are ISO 8601 in UTC. */

export const API_PREFIX = '/api/v1';

export const passwordSchema = z
  .string()
  .min(PASSWORD_LENGTH.min, `must be at least ${PASSWORD_LENGTH.min} characters`)
  .max(PASSWORD_LENGTH.max, `must be at most ${PASSWORD_LENGTH.max} characters`);
export const credentialsSchema = z.strictObject({ username: usernameSchema, password: passwordSchema });
/** Login takes any password: whether it was ever allowed is nobody's business. */
export const loginSchema = z.strictObject({ username: z.string().max(256), password: z.string().max(1024) });
export const refreshSchema = z.strictObject({ refreshToken: z.string().min(1).max(256) });

export const accountSchema = z.looseObject({ username: z.string(), createdAt: z.iso.datetime() });
export const tokensSchema = z.looseObject({
  accessToken: z.string(),
  tokenType: z.literal('Bearer'),
  /** Seconds until the access token expires. */
  expiresIn: z.int(),
  refreshToken: z.string(),
  /** Seconds until the refresh token expires. */
  refreshExpiresIn: z.int(),
  username: z.string(),
});
export type Tokens = z.infer<typeof tokensSchema>;

export const KEY_TYPES = ['ec-p256', 'rsa-2048'] as const;
export const keyTypeSchema = z.enum(KEY_TYPES, { error: 'must be "ec-p256" or "rsa-2048"' });
export type KeyType = z.infer<typeof keyTypeSchema>;

export const registerDeviceSchema = z.strictObject({
  name: deviceNameSchema,
  keyType: keyTypeSchema.optional(),
  /** PKCS#10 request, PEM. With it the key never leaves the device, and `keyType` is not taken. */
  csr: z.string().max(16_384).optional(),
});
export const renewCertificateSchema = z.strictObject({
  keyType: keyTypeSchema.optional(),
  csr: z.string().max(16_384).optional(),
});

/** RFC 5280 5.3.1, without the reasons that do not fit a device's certificate. */
export const REVOCATION_REASONS = [
  'unspecified',
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'privilegeWithdrawn',
] as const;
export const revokeCertificateSchema = z.strictObject({ reason: z.enum(REVOCATION_REASONS).optional() });
export type RevocationReason = (typeof REVOCATION_REASONS)[number];

export const presenceSchema = z.looseObject({
  connected: z.boolean(),
  lastSeenAt: z.iso.datetime().nullable(),
  /** Peer address of the current or last connection. */
  address: z.string().nullable(),
  /** `MQTT 3.1`, `MQTT 3.1.1`, `MQTT 5.0`, `AMQP 0-9-1`. */
  transport: z.string().nullable(),
  /** 2 where the device said hello on this connection, 1 for the seed's kind, null while it is away. */
  protocol: z.int().nullable(),
  model: z.string().nullable(),
  version: z.string().nullable(),
});
export const deviceSchema = z.looseObject({
  name: z.string(),
  id: z.string(),
  createdAt: z.iso.datetime(),
  keyType: z.string(),
  presence: presenceSchema,
});
export type DeviceView = z.infer<typeof deviceSchema>;
export const deviceListSchema = z.looseObject({
  devices: z.array(deviceSchema),
  nextCursor: z.string().nullable(),
});

export const certificateSchema = z.looseObject({
  /** Lower-case hex without colons. */
  serial: z.string(),
  fingerprintSha256: z.string(),
  notBefore: z.iso.datetime(),
  notAfter: z.iso.datetime(),
  issuedAt: z.iso.datetime(),
  state: z.enum(['active', 'expired', 'revoked']),
  revokedAt: z.iso.datetime().nullable(),
  revocationReason: z.string().nullable(),
});
export type CertificateView = z.infer<typeof certificateSchema>;
export const certificateListSchema = z.looseObject({ certificates: z.array(certificateSchema) });

/** How a device reaches the broker, and with what. */
export const connectionSchema = z.looseObject({
  clientId: z.string(),
  mqtts: z.looseObject({ host: z.string(), port: z.int() }),
  amqps: z.looseObject({ host: z.string(), port: z.int() }),
  subscribe: z.string(),
  publish: z.string(),
});
/** Answer to registration and renewal. `privateKeyPem` is there only where the gateway made the key: this once. */
export const issuedSchema = z.looseObject({
  device: deviceSchema,
  certificate: certificateSchema,
  certificatePem: z.string(),
  /** Leaf first, then the issuing CA. */
  chainPem: z.string(),
  rootCaPem: z.string(),
  privateKeyPem: z.string().optional(),
  connection: connectionSchema,
});
export type Issued = z.infer<typeof issuedSchema>;

export const gpioPathSchema = pinSchema;
export const putGpioSchema = z.strictObject({ value: pinValueSchema });
export const putRtcSchema = z.strictObject({ value: epochSecondsSchema });
export const putMacSchema = z.strictObject({ value: macSchema });
export const postUartSchema = z.union([
  z.strictObject({ data: uartTextSchema, encoding: z.literal('utf8').optional() }),
  z.strictObject({ data: uartBase64Schema, encoding: z.literal('base64') }),
]);
export const networkSchema = z.looseObject({
  ip: z.string(),
  subnet: z.string(),
  gateway: z.string(),
  mac: z.string(),
});

export const problemSchema = z.looseObject({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  code: z.string(),
  detail: z.string().optional(),
  requestId: z.string().optional(),
  errors: z.array(z.looseObject({ path: z.string(), message: z.string() })).optional(),
  deviceError: z.looseObject({ code: z.string(), message: z.string() }).optional(),
  reply: z.string().optional(),
});
