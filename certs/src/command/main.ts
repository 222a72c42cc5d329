import { CommanderError } from 'commander';
import { CertsError } from '../errors.js';
import { exitCodeOf } from './exit-codes.js';
import type { CommandIo } from './io.js';
import { program } from './program.js';

/** Runs the command; resolves with its exit code. `argv` as in process.argv. */
export async function main(argv: readonly string[], io: CommandIo = terminal()): Promise<number> {
  const outcome = { exitCode: 0 };
  try {
    await program(io, outcome).parseAsync([...argv]);
    return outcome.exitCode;
  } catch (error) {
    // commander has said it already.
    if (!(error instanceof CommanderError)) io.err(`postern-certs: ${sentence(error)}\n`);
    return exitCodeOf(error);
  }
}

function sentence(error: unknown): string {
  if (error instanceof CertsError) return error.message;
  if (!(error instanceof Error)) return String(error);
  // What the file system says is a sentence; of a bug, where it is.
  return 'syscall' in error ? error.message : (error.stack ?? error.message);
}

function terminal(): CommandIo {
  return {
    stdin: process.stdin,
    env: process.env,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
  };
}
