import type { ErrorCode } from '@postern/protocol';
import { CliError, type LocalErrorCode } from './errors.js';

/** The exit codes, and the sentence that `postern help exit-codes` and the README say of each. Stable. */
export const EXIT_CODES = {
  0: 'Done. Also where the reader of the output went away (`postern device list | head -1`)',
  1: 'Unexpected: a fault in this command or inside the gateway',
  2: 'The command line or a value in it is wrong, or the gateway refused the request as malformed',
  3: 'Not logged in, the login has ended, or the gateway refused the credentials or the right',
  4: 'No such device, certificate, profile or resource',
  5: 'The device is not connected; the call was not carried out',
  6: 'The device did not answer in time; whether it carried the call out is not known',
  7: 'The device answered with an error, or with what breaks the contract of the method',
  8: 'The gateway cannot be reached or trusted, or cannot serve at present (its broker or its registry is away)',
  9: 'Conflict: the name is taken, the certificate is already revoked, or an idempotency key was used twice',
  10: 'Too many requests, calls in flight, or devices; where a time to wait is known, the message says it',
  11: 'A file on this machine: exists already, is damaged, or cannot be read or written',
  130: 'Interrupted by the user (Ctrl-C)',
} as const;
export type ExitCode = keyof typeof EXIT_CODES;

const BY_CODE: Readonly<Record<ErrorCode | LocalErrorCode, ExitCode>> = {
  VALIDATION_FAILED: 2,
  MALFORMED_JSON: 2,
  CSR_REJECTED: 2,
  UNAUTHENTICATED: 3,
  TOKEN_EXPIRED: 3,
  BAD_CREDENTIALS: 3,
  FORBIDDEN: 3,
  NOT_FOUND: 4,
  DEVICE_NOT_FOUND: 4,
  CERTIFICATE_NOT_FOUND: 4,
  METHOD_NOT_ALLOWED: 1,
  REQUEST_TIMEOUT: 8,
  USERNAME_TAKEN: 9,
  DEVICE_NAME_TAKEN: 9,
  CERTIFICATE_ALREADY_REVOKED: 9,
  IDEMPOTENCY_KEY_REUSED: 9,
  IDEMPOTENCY_OUTCOME_UNKNOWN: 9,
  BODY_TOO_LARGE: 2,
  UNSUPPORTED_MEDIA_TYPE: 1,
  RATE_LIMITED: 10,
  DEVICE_BUSY: 10,
  QUOTA_EXCEEDED: 10,
  INTERNAL: 1,
  DEVICE_ERROR: 7,
  DEVICE_BAD_REPLY: 7,
  DEVICE_OFFLINE: 5,
  BROKER_UNAVAILABLE: 8,
  STORE_UNAVAILABLE: 8,
  SHUTTING_DOWN: 8,
  DEVICE_TIMEOUT: 6,
  USAGE: 2,
  NOT_LOGGED_IN: 3,
  LOGIN_ENDED: 3,
  PROFILE_NOT_FOUND: 4,
  PROFILE_CORRUPT: 11,
  PROFILE_BUSY: 11,
  GATEWAY_UNREACHABLE: 8,
  GATEWAY_UNTRUSTED: 8,
  GATEWAY_BAD_ANSWER: 8,
  FILE_EXISTS: 11,
  FILE_FAILED: 11,
  INTERRUPTED: 130,
};

/** The one place that says how the command ends for what was thrown. */
export function exitCodeOf(thrown: unknown): ExitCode {
  return thrown instanceof CliError ? BY_CODE[thrown.code] : 1;
}
