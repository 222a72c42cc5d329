import type { CommandContext } from '../../context.js';
import { UsageError } from '../../errors.js';
import { isInteractive, prompt, readStdin } from '../../terminal.js';

export interface CredentialOptions {
  username?: string;
  passwordStdin?: boolean;
  password?: unknown;
  ca?: string;
}

/**
 * User name and password: prompted for on a terminal, else the name from `--username` and the password from
 * stdin. Never from the command line, which other users of the machine can read.
 */
export async function readCredentials(
  ctx: CommandContext,
  options: CredentialOptions,
  { twice }: { twice: boolean },
): Promise<{ username: string; password: string }> {
  const { io } = ctx;
  const fromStdin = options.passwordStdin === true || !isInteractive(io);
  let username = options.username;
  if (username === undefined) {
    if (fromStdin)
      throw new UsageError(
        '--username is missing (there is no terminal to ask on, or stdin holds the password).',
      );
    username = (await prompt(io, 'User name: ', { hidden: false })).trim();
  }
  if (username === '') throw new UsageError('The user name is empty.');
  if (fromStdin) {
    const password = (await readStdin(io)).toString('utf8').replace(/\r?\n$/, '');
    if (password === '')
      throw new UsageError('The password on stdin is empty: echo it into the command, without --password.');
    return { username, password };
  }
  const password = await prompt(io, 'Password: ', { hidden: true });
  if (password === '') throw new UsageError('The password is empty.');
  if (twice && (await prompt(io, 'Password again: ', { hidden: true })) !== password)
    throw new UsageError('The two passwords differ.');
  return { username, password };
}

/** Stands in the place of `--password`, so that it is refused with a sentence. */
export function refusePasswordOption(options: CredentialOptions): void {
  if (options.password !== undefined)
    throw new UsageError(
      'There is no --password: what is on a command line can be read by others, and stays in the history.',
      {
        hints: ['On a terminal it is asked for. In scripts: --password-stdin < file'],
      },
    );
}
