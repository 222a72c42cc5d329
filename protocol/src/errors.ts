/**
 * The one table of expected errors: stable code, HTTP status, and the sentence that says what it means.
 * `docs/api.md` is held against it by a test.
 */
export const ERRORS = {
  VALIDATION_FAILED: { status: 400, title: 'A field is missing, unknown or out of range' },
  MALFORMED_JSON: { status: 400, title: 'The body is not valid JSON' },
  CSR_REJECTED: { status: 400, title: 'The certificate request cannot be signed' },
  UNAUTHENTICATED: { status: 401, title: 'The call carries no valid access token or secret' },
  TOKEN_EXPIRED: { status: 401, title: 'The access token has expired; refresh it' },
  BAD_CREDENTIALS: { status: 401, title: 'The user name or the password is wrong' },
  FORBIDDEN: { status: 403, title: 'This caller may not do this' },
  NOT_FOUND: { status: 404, title: 'There is no such resource' },
  DEVICE_NOT_FOUND: { status: 404, title: 'No device of this name is registered to you' },
  CERTIFICATE_NOT_FOUND: { status: 404, title: 'The device has no such certificate' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'The resource does not know this HTTP method' },
  REQUEST_TIMEOUT: { status: 408, title: 'The request did not arrive in time' },
  USERNAME_TAKEN: { status: 409, title: 'The user name is taken' },
  DEVICE_NAME_TAKEN: { status: 409, title: 'You already have a device of this name' },
  CERTIFICATE_ALREADY_REVOKED: { status: 409, title: 'The certificate is already revoked' },
  IDEMPOTENCY_KEY_REUSED: { status: 409, title: 'The Idempotency-Key was used for another request' },
  IDEMPOTENCY_OUTCOME_UNKNOWN: {
    status: 409,
    title: 'A call with this Idempotency-Key was begun and its outcome is not known',
  },
  BODY_TOO_LARGE: { status: 413, title: 'The body is larger than the limit' },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, title: 'The body must be application/json' },
  RATE_LIMITED: { status: 429, title: 'Too many requests; see Retry-After' },
  DEVICE_BUSY: { status: 429, title: 'Too many calls to this device are in flight or waiting' },
  QUOTA_EXCEEDED: { status: 429, title: 'This account has as many of these as it may have' },
  INTERNAL: { status: 500, title: 'The gateway failed; the request id names the log entry' },
  DEVICE_ERROR: { status: 502, title: 'The device answered that it failed' },
  DEVICE_BAD_REPLY: { status: 502, title: "The device's reply breaks the contract of the method" },
  DEVICE_OFFLINE: { status: 503, title: 'The device is not connected' },
  BROKER_UNAVAILABLE: { status: 503, title: 'The gateway has no connection to the message broker' },
  STORE_UNAVAILABLE: { status: 503, title: 'The gateway cannot reach its registry' },
  SHUTTING_DOWN: { status: 503, title: 'The gateway is shutting down' },
  DEVICE_TIMEOUT: { status: 504, title: 'The device did not answer in time' },
} as const satisfies Record<string, { status: number; title: string }>;

export type ErrorCode = keyof typeof ERRORS;

/** An RFC 9457 problem document as the gateway writes it. */
export interface ProblemDocument {
  /** `urn:postern:error:<CODE>`; stable. */
  type: string;
  title: string;
  status: number;
  code: ErrorCode;
  /** What was wrong here and what would be right. */
  detail?: string;
  /** The id under which the gateway logged this request. */
  requestId?: string;
  /** VALIDATION_FAILED: one entry for each field, `path` such as `body.value`. */
  errors?: { path: string; message: string }[];
  /** DEVICE_ERROR: what the device said. */
  deviceError?: { code: string; message: string };
  /** DEVICE_BAD_REPLY: the beginning of what the device said, as text. */
  reply?: string;
}

export const problemType = (code: ErrorCode): string => `urn:postern:error:${code}`;
