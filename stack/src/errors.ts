/**
 * Something a person can put right: a port that is taken, a folder that cannot be written, a certificate that
 * is damaged. `message` is what is shown, without a stack trace; anything else that is thrown is a bug.
 */
export class StackError extends Error {
  override readonly name: string = 'StackError';
  readonly code: string;
  /** Lines shown below the message, such as the end of a log. */
  readonly details: readonly string[];

  constructor(code: string, message: string, options: { details?: readonly string[]; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? [];
  }
}

/** Thrown where the stack was told to stop while it was still starting. */
export class StoppedError extends StackError {
  override readonly name = 'StoppedError';
  constructor() {
    super('STOPPED', 'Stopped before it was ready.');
  }
}

/** `EACCES` and the like as words. */
export function systemReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code ?? '';
  const words: Record<string, string> = {
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EROFS: 'the file system is read-only',
    ENOSPC: 'the disk is full',
    EDQUOT: 'the disk quota is used up',
    ENOTDIR: 'a part of the path is not a folder',
    ENOENT: 'there is no such file',
    ENAMETOOLONG: 'the path is too long',
  };
  return words[code] ?? (error instanceof Error ? error.message : String(error));
}
