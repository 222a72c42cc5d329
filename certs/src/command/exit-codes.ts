import { CommanderError } from 'commander';
import { CertsError } from '../errors.js';

export const EXIT = { ok: 0, bug: 1, usage: 2, authority: 3, input: 4, notGood: 5 } as const;

export const EXIT_CODES_HELP = `
Exit codes:
  0  done
  1  a fault of this program or of the machine (disk full, no such folder ...)
  2  called in a way it does not offer
  3  the CA's folder, or a key or password file, is missing, damaged, open to others or expired
  4  what was given is refused: a name, a CSR, a key, a password, a serial
  5  verify: the certificate is not good
`;

/** The one place where a failure gets its exit code. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (!(error instanceof CertsError)) return EXIT.bug;
  if (error.code === 'USAGE') return EXIT.usage;
  return /^(CA|KEY_FILE|LEDGER_(DAMAGED|BUSY))/.test(error.code) ? EXIT.authority : EXIT.input;
}
