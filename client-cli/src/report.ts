import { CliError } from './errors.js';
import { exitCodeOf } from './exit-codes.js';
import { GatewayProblemError } from './gateway/problem.js';
import type { Io } from './io.js';
import { jsonText, printable } from './output.js';

export interface ReportOptions {
  readonly io: Pick<Io, 'stderr'>;
  readonly json: boolean;
  readonly verbose: boolean;
}

/** Says on stderr what went wrong and what to do next. Answers the exit code. */
export function reportError(thrown: unknown, { io, json, verbose }: ReportOptions): number {
  const exitCode = exitCodeOf(thrown);
  if (json) io.stderr.write(`${jsonText({ error: describe(thrown, exitCode) })}\n`);
  else if (thrown instanceof CliError) {
    io.stderr.write(`postern: ${printable(thrown.message)}\n`);
    for (const hint of thrown.hints) io.stderr.write(`  ${printable(hint)}\n`);
    if (verbose && thrown instanceof GatewayProblemError)
      io.stderr.write(
        `# ${thrown.code}, status ${thrown.details.status}, request ${thrown.details.requestId ?? 'unknown'}\n`,
      );
  } else {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown));
    io.stderr.write(`postern: A fault in this command: ${printable(error.message)}\n`);
    io.stderr.write(verbose ? `${error.stack ?? ''}\n` : '  --verbose shows where. Please report it.\n');
  }
  return exitCode;
}

function describe(thrown: unknown, exitCode: number): Record<string, unknown> {
  if (!(thrown instanceof CliError))
    return {
      code: 'FAULT',
      message: thrown instanceof Error ? thrown.message : String(thrown),
      hints: [],
      exitCode,
    };
  const { code, message, hints } = thrown;
  return { code, message, hints, exitCode, ...(thrown instanceof GatewayProblemError ? thrown.details : {}) };
}
