import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { addAuthCommands } from './commands/auth/index.js';
import { addCall } from './commands/call.js';
import { addCompletion } from './commands/completion.js';
import { addDeviceCommands } from './commands/device/index.js';
import { addGpioCommands } from './commands/gpio/index.js';
import { addHelp } from './commands/help.js';
import { addMacCommands } from './commands/mac/index.js';
import { addNetCommands } from './commands/net/index.js';
import { addProfileCommands } from './commands/profile/index.js';
import { addRtcCommands } from './commands/rtc/index.js';
import { addUartCommands } from './commands/uart/index.js';
import { binder, durationArgument, type GlobalOptions } from './context.js';
import { UsageError } from './errors.js';
import type { Io } from './io.js';
import { reportError } from './report.js';

/** All commands, with the world that they act on. */
export function buildProgram(io: Io): Command {
  const program = new Command('postern');
  program
    .description('Drives devices through a Postern gateway')
    .option('--profile <name>', 'the login to use (see: postern profile list)')
    .option('--gateway <url>', 'the gateway to use, such as https://localhost:8443')
    .option(
      '--timeout <time>',
      'how long to wait for a device: milliseconds, or 500ms, 5s, 2m (default: 5s)',
      durationArgument,
    )
    .option('--json', 'print JSON for programs, errors too (on stderr)')
    .option('--verbose', 'say on stderr what is called, how long it took, and the request id')
    .version(version(), '--version', 'print the version')
    .helpCommand(false)
    .configureHelp({ showGlobalOptions: true, sortSubcommands: false })
    .addHelpText(
      'after',
      '\nFirst steps: postern login, postern device list, postern gpio set <device> <pin> 1\nExit codes: postern help exit-codes',
    );
  const bind = binder(io);
  addAuthCommands(program, bind);
  addDeviceCommands(program, bind);
  addGpioCommands(program, bind);
  addRtcCommands(program, bind);
  addNetCommands(program, bind);
  addMacCommands(program, bind);
  addUartCommands(program, bind);
  addCall(program, bind);
  addProfileCommands(program, bind);
  addCompletion(program, bind);
  addHelp(program, bind);
  for (const command of everyCommand(program)) {
    command
      .helpCommand(false)
      .exitOverride()
      .configureOutput({
        writeOut: (text) => void io.stdout.write(text),
        // Errors are reported in one place; help that is printed for want of a command goes to stderr.
        writeErr: (text) => void io.stderr.write(text),
        outputError: () => undefined,
        getOutHelpWidth: () => (io.stdout.isTTY === true ? (io.stdout.columns ?? 80) : 100),
        getErrHelpWidth: () => (io.stderr.isTTY === true ? (io.stderr.columns ?? 80) : 100),
        getOutHasColors: () => false,
        getErrHasColors: () => false,
      });
  }
  return program;
}

/** Runs one command line (without `node` and the script). Never rejects; answers the exit code. */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const program = buildProgram(io);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    // `postern device` alone: its help is on stderr by now, and says more than a sentence.
    if (error instanceof CommanderError && error.code === 'commander.help') return 2;
    return reportError(error instanceof CommanderError ? usageOf(error) : error, {
      io,
      ...wishes(program, argv),
    });
  }
}

function usageOf(error: CommanderError): UsageError {
  const [first, ...rest] = error.message.replace(/^error: /, '').split('\n');
  const text =
    first === undefined ? 'The command line is wrong' : first.charAt(0).toUpperCase() + first.slice(1);
  return new UsageError(/[.?!]$/.test(text) ? text : `${text}.`, {
    cause: error,
    hints: [...rest.filter((line) => line !== ''), 'See: postern help'],
  });
}

/** How errors are to be reported, also where the command line was not understood. */
function wishes(program: Command, argv: readonly string[]): { json: boolean; verbose: boolean } {
  const options = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined);
  const { json, verbose } = program.opts<GlobalOptions>();
  return {
    json: json === true || options.includes('--json'),
    verbose: verbose === true || options.includes('--verbose'),
  };
}

function* everyCommand(command: Command): Generator<Command> {
  yield command;
  for (const child of command.commands) yield* everyCommand(child);
}

function version(): string {
  const { version: text } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return text;
}
