import { ERRORS, type ErrorCode, type ProblemDocument } from '@postern/protocol';

type Extra = Pick<ProblemDocument, 'errors' | 'deviceError' | 'reply'>;

export interface ExpectedErrorOptions extends Extra {
  /** What was wrong here and what would be right; shown to the caller. */
  detail?: string;
  /** 429 and 503: when to come again, in seconds. */
  retryAfterSeconds?: number;
  /** Logged, never shown. */
  cause?: unknown;
  /** BROKER_UNAVAILABLE, SHUTTING_DOWN: the call surely never left the gateway, so that a retry is safe. */
  notSent?: boolean;
}

/**
 * An error that a caller can cause or must expect, with a code of the one table. Anything else that is thrown
 * is a bug: logged with its cause and answered as INTERNAL.
 */
export class ExpectedError extends Error {
  readonly status: number;
  readonly detail: string | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly extra: Extra;
  readonly notSent: boolean;

  constructor(
    readonly code: ErrorCode,
    options: ExpectedErrorOptions = {},
  ) {
    super(
      options.detail ?? ERRORS[code].title,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.name = 'ExpectedError';
    this.status = ERRORS[code].status;
    this.detail = options.detail;
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.notSent = options.notSent ?? false;
    this.extra = {
      ...(options.errors && { errors: options.errors }),
      ...(options.deviceError && { deviceError: options.deviceError }),
      ...(options.reply !== undefined && { reply: options.reply }),
    };
  }
}

export const isExpectedError = (error: unknown): error is ExpectedError => error instanceof ExpectedError;
