import { randomBytes } from 'node:crypto';
import { z } from 'zod';

/**
 * A device id is `d` and 20 characters of `[a-z2-7]` (100 random bits). Lower case, because it is also a
 * dNSName (RFC 1034 3.1 compares these without case); no dot or slash, because RabbitMQ swaps these between
 * topics and routing keys; no wildcard, because RabbitMQ puts client ids into permission patterns unescaped.
 */
export const DEVICE_ID_PATTERN = /^d[a-z2-7]{20}$/;

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

/** A new device id. Never reused, also not after the device is removed. */
export function newDeviceId(): string {
  let id = 'd';
  for (const byte of randomBytes(20)) id += ALPHABET[byte & 31];
  return id;
}

export function isDeviceId(value: string): boolean {
  return DEVICE_ID_PATTERN.test(value);
}

/** The common name of the gateway's client certificate, and so its user name on the broker. */
export const GATEWAY_COMMON_NAME = 'postern-gateway';

/** The common name of the client certificate with which the broker asks the gateway who may do what. */
export const BROKER_CLIENT_COMMON_NAME = 'postern-broker';

export const correlationIdSchema = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1 to 64 characters of A-Z a-z 0-9 _ -');

/** A direct method's name: one topic level, one routing key word. */
export const METHOD_NAME_PATTERN = /^[a-z][a-z0-9_]{0,63}$/;
export const methodNameSchema = z
  .string()
  .regex(METHOD_NAME_PATTERN, 'must start with a-z and hold at most 64 characters of a-z 0-9 _');

export const deviceNameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9 ._@:+-]{0,63}$/,
    'must start with a letter or digit and hold at most 64 characters of A-Z a-z 0-9 space . _ @ : + -',
  );

export const usernameSchema = z
  .string()
  .regex(/^[A-Za-z0-9._@+-]{1,64}$/, 'must hold 1 to 64 characters of A-Z a-z 0-9 . _ @ + -');
