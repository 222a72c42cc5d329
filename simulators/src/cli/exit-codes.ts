import { CommanderError, InvalidArgumentError } from 'commander';
import { CredentialFileError } from '../files/credential-files.js';

/** Exit codes of `postern-simulator`; its help and the README list them. */
export const EXIT = {
  /** Stopped as asked (SIGINT, SIGTERM, the control channel). */
  OK: 0,
  /** A bug. */
  INTERNAL: 1,
  /** An option is missing, unknown or out of range. */
  USAGE: 2,
  /** A file is missing or not what it should be. */
  FILES: 3,
  /** With --once: the connection did not come about. */
  CONNECT: 4,
} as const;

/** Thrown where options do not fit together. */
export class UsageError extends Error {
  readonly code = 'USAGE';
  constructor(message: string) {
    super(message);
    this.name = 'UsageError';
  }
}

/** The one place where errors become exit codes; the text is null where it was printed already. */
export function exitFor(error: unknown): { code: number; text: string | null } {
  if (error instanceof CommanderError) {
    return { code: error.exitCode === 0 ? EXIT.OK : EXIT.USAGE, text: null };
  }
  if (error instanceof UsageError || error instanceof InvalidArgumentError) {
    return { code: EXIT.USAGE, text: error.message };
  }
  if (error instanceof CredentialFileError) return { code: EXIT.FILES, text: error.message };
  return {
    code: EXIT.INTERNAL,
    text: error instanceof Error ? (error.stack ?? error.message) : String(error),
  };
}
