import type { ErrorCode } from '@postern/protocol';

/** Codes of what can go wrong on this side, beside the gateway's own {@link ErrorCode}s. Stable, as those are. */
export type LocalErrorCode =
  | 'USAGE'
  | 'NOT_LOGGED_IN'
  | 'LOGIN_ENDED'
  | 'PROFILE_NOT_FOUND'
  | 'PROFILE_CORRUPT'
  | 'PROFILE_BUSY'
  | 'GATEWAY_UNREACHABLE'
  | 'GATEWAY_UNTRUSTED'
  | 'GATEWAY_BAD_ANSWER'
  | 'FILE_EXISTS'
  | 'FILE_FAILED'
  | 'INTERRUPTED';

export interface CliErrorOptions extends ErrorOptions {
  /** What to do next, one line each. */
  hints?: readonly string[];
}

/** Something that is expected to go wrong now and then and that the user can act on. Anything else is a bug. */
export abstract class CliError extends Error {
  abstract readonly code: LocalErrorCode | ErrorCode;
  readonly hints: readonly string[];
  constructor(message: string, options: CliErrorOptions = {}) {
    super(message, options);
    this.name = new.target.name;
    this.hints = options.hints ?? [];
  }
}

/** The command line, or what was read from stdin in place of an argument, is wrong. */
export class UsageError extends CliError {
  readonly code = 'USAGE';
}

/** The user ended the command (Ctrl-C, or Ctrl-D at a prompt). */
export class InterruptedError extends CliError {
  readonly code = 'INTERRUPTED';
}
