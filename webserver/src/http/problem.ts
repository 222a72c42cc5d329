import { ERRORS, problemType, type ProblemDocument } from '@postern/protocol';
import { ExpectedError, isExpectedError } from '../domain/errors.js';
import { StoreUnavailableError } from '../domain/store.js';

export const PROBLEM_TYPE = 'application/problem+json';

/** An RFC 9457 problem document. */
export function problemDocument(error: ExpectedError, requestId: string): ProblemDocument {
  return {
    type: problemType(error.code),
    title: ERRORS[error.code].title,
    status: error.status,
    code: error.code,
    ...(error.detail !== undefined && { detail: error.detail }),
    requestId,
    ...error.extra,
  };
}

/** What the caller is told of anything that was thrown. */
export function toExpected(error: unknown): ExpectedError {
  if (isExpectedError(error)) return error;
  if (error instanceof StoreUnavailableError)
    return new ExpectedError('STORE_UNAVAILABLE', { retryAfterSeconds: 1, cause: error });
  return new ExpectedError('INTERNAL', { cause: error });
}

const FLAT_REASONS: Partial<Record<string, string>> = {
  USERNAME_TAKEN: 'username already exist',
  BAD_CREDENTIALS: 'username or password is wrong',
  UNAUTHENTICATED: 'username or secret is wrong',
  DEVICE_NAME_TAKEN: 'device already registered',
  DEVICE_NOT_FOUND: 'device not registered',
};

/** The reason of a flat call's `NG, <reason>`, on one line. */
export function flatStatus(error: ExpectedError): string {
  const fields = error.extra.errors?.map(({ path, message }) => `${path.replace(/^body\./, '')} ${message}`);
  const reason = FLAT_REASONS[error.code] ?? fields?.join('; ') ?? error.detail ?? ERRORS[error.code].title;
  return `NG, ${reason.charAt(0).toLowerCase()}${reason.slice(1).replace(/\.$/, '')}`;
}

/** Flat registry calls say these with 200: their clients read the body of nothing else. */
export function flatRegistryStatus(error: ExpectedError): number {
  if (error.code === 'MALFORMED_JSON') return error.status;
  if (error.code === 'QUOTA_EXCEEDED') return 200;
  return [400, 401, 403, 404, 409].includes(error.status) ? 200 : error.status;
}
