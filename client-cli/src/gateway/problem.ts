import { ERRORS, problemSchema, type ErrorCode } from '@postern/protocol';
import { CliError } from '../errors.js';
import type { HttpAnswer } from './transport.js';

/** What answered is no gateway, or one of another time. */
export class BadAnswerError extends CliError {
  readonly code = 'GATEWAY_BAD_ANSWER';
}

export interface ProblemDetails {
  readonly code: ErrorCode;
  readonly status: number;
  readonly requestId?: string | undefined;
  readonly errors?: readonly { path: string; message: string }[] | undefined;
  readonly deviceError?: { code: string; message: string } | undefined;
  readonly reply?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** The gateway answered with one of the errors of its table. */
export class GatewayProblemError extends CliError {
  readonly code: ErrorCode;
  constructor(
    message: string,
    readonly details: ProblemDetails,
    hints: readonly string[],
  ) {
    super(message, { hints });
    this.code = details.code;
  }
}

/** What a call was about, so that the advice can name it. */
export interface Subject {
  readonly device?: string | undefined;
}

/** The error in an answer of status 400 and above. */
export function problemOf(answer: HttpAnswer, subject: Subject): CliError {
  const parsed = problemSchema.safeParse(parseJson(answer.body));
  if (!parsed.success || !isErrorCode(parsed.data.code))
    return new BadAnswerError(
      `The answer has status ${answer.status} and is not one that a Postern gateway gives.`,
      {
        hints: [
          'Is --gateway the address of a Postern gateway, with no proxy between that answers in its place?',
        ],
      },
    );
  const problem = parsed.data;
  const code = parsed.data.code as ErrorCode;
  const retryAfter = Number(answer.headers['retry-after']);
  const details: ProblemDetails = {
    code,
    status: answer.status,
    requestId: problem.requestId,
    errors: problem.errors?.map(({ path, message }) => ({ path, message })),
    deviceError: problem.deviceError,
    reply: problem.reply,
    retryAfterSeconds: Number.isFinite(retryAfter) && retryAfter > 0 ? retryAfter : undefined,
  };
  return new GatewayProblemError(
    sentence(problem.detail ?? problem.title),
    details,
    adviceOn(details, subject),
  );
}

const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`);

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERRORS, code);
}

/** What can be done about an error: commands to type, where there are any. */
function adviceOn(details: ProblemDetails, { device }: Subject): string[] {
  const name = device === undefined ? '<device>' : shellWord(device);
  switch (details.code) {
    case 'VALIDATION_FAILED':
      return (details.errors ?? []).map(({ path, message }) => `${path}: ${message}`);
    case 'UNAUTHENTICATED':
    case 'TOKEN_EXPIRED':
      return ['Log in again: postern login'];
    case 'BAD_CREDENTIALS':
      return ['Try again: postern login. A new account: postern signup'];
    case 'DEVICE_NOT_FOUND':
      return [`Your devices: postern device list. A new one: postern device register ${name}`];
    case 'CERTIFICATE_NOT_FOUND':
    case 'CERTIFICATE_ALREADY_REVOKED':
      return [`Its certificates: postern device certificates ${name}`];
    case 'USERNAME_TAKEN':
      return ['Choose another name, or log in if it is yours: postern login'];
    case 'DEVICE_NAME_TAKEN':
      return [
        `See it: postern device show ${name}. New certificate and key for it: postern device renew ${name}`,
      ];
    case 'CSR_REJECTED':
      return ['Without --csr the key and the request are made here.'];
    case 'RATE_LIMITED':
    case 'DEVICE_BUSY':
      return [
        details.retryAfterSeconds === undefined
          ? 'Try again in a while.'
          : `Try again in ${details.retryAfterSeconds} s.`,
      ];
    case 'QUOTA_EXCEEDED':
      return ['Remove what is not needed: postern device list, postern device remove <device>'];
    case 'DEVICE_OFFLINE':
      return [
        `When it was last here: postern device show ${name}. Nothing was carried out, and nothing is queued.`,
      ];
    case 'DEVICE_TIMEOUT':
      return ['It may have carried the call out all the same. A longer wait: --timeout 30s'];
    case 'DEVICE_ERROR':
      return details.deviceError === undefined
        ? []
        : [`The device said ${details.deviceError.code}: ${details.deviceError.message}`];
    case 'DEVICE_BAD_REPLY':
      return details.reply === undefined ? [] : [`The device said: ${details.reply}`];
    case 'BROKER_UNAVAILABLE':
    case 'STORE_UNAVAILABLE':
    case 'SHUTTING_DOWN':
      return ['Try again in a while; the gateway comes back by itself.'];
    case 'INTERNAL':
      return [`For the operator: the log entry of request ${details.requestId ?? '(unknown)'} says why.`];
    default:
      return [];
  }
}

/** An argument as one would type it in a shell. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9._@:+/-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Null where it is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null;
  }
}
