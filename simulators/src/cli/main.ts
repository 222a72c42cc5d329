import { Command } from 'commander';
import { EXIT, exitFor } from './exit-codes.js';
import { runFleet, type FleetOptionValues } from './fleet-command.js';
import { wholeNumber } from './option-values.js';
import { DEFAULT_CONNECT_RATE } from '../transport/connect-gate.js';
import { run, type RunOptionValues } from './run-command.js';
import { addSharedOptions } from './shared-options.js';
import type { Terminal } from './terminal.js';

const EXIT_HELP = `
Exit codes: ${EXIT.OK} stopped as asked, ${EXIT.INTERNAL} a bug, ${EXIT.USAGE} wrong options, ${EXIT.FILES} a file is missing or wrong, ${EXIT.CONNECT} --once and no connection.
The broker's certificate is always verified; there is no option to do without.`;

/** Largest fleet of one process: what file handles and memory of a small machine carry. */
const MAX_FLEET = 20_000;

/** `stopped` resolves at the first SIGINT or SIGTERM, or when `stop` is called; a second signal kills. */
function stopSwitch(): { stopped: Promise<void>; stop: () => void } {
  let stop!: () => void;
  const stopped = new Promise<void>((resolve) => (stop = resolve));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop);
  return { stopped, stop };
}

function terminalFor({ control }: { control?: 'stdio' }): Terminal {
  const problem = (text: string): void => void process.stderr.write(`${text}\n`);
  return { line: control ? problem : (text) => void process.stdout.write(`${text}\n`), problem };
}

function buildProgram(finish: (code: number) => void): Command {
  const program = new Command('postern-simulator')
    .description('Simulated FT900 devices for a Postern gateway, over MQTTS or AMQPS')
    .addHelpText('after', EXIT_HELP)
    .exitOverride();
  addSharedOptions(
    program
      .command('run', { isDefault: true })
      .description('one device (the default)')
      .option('--dir <folder>', 'a registered device: device.json, chain.pem, key.pem, rootca.pem')
      .option('--id <deviceId>')
      .option('--ca <file>', 'root certificate of the gateway')
      .option('--cert <file>', "the device's certificate, then its issuer's")
      .option('--key <file>', 'its private key')
      .option('--username <name>', 'MQTT login beside the certificate, for old devices')
      .option('--password-file <file>', 'its password; never given as an option')
      .option('--mac <address>')
      .option('--ip <address>')
      .option('--subnet <mask>')
      .option('--gateway <address>')
      .option('--once', 'give up at the first failed connect'),
  )
    .addHelpText('after', EXIT_HELP)
    .action(async (values: RunOptionValues) => {
      finish(await run(values, { terminal: terminalFor(values), ...stopSwitch() }));
    });
  addSharedOptions(
    program
      .command('fleet')
      .description('many devices in one process')
      .option('--dir <folder>', 'holds a folder for each device, as for run')
      .option('--manifest <file>', 'or a JSON file: [{"id","cert","key","ca"?}, ...]')
      .option('--ca <file>', 'for a manifest that names none')
      .option('--count <number>', 'the first so many of them', wholeNumber(1, MAX_FLEET))
      .option('--connect-rate <number>', 'connects a second', wholeNumber(1, 10_000), DEFAULT_CONNECT_RATE),
  )
    .addHelpText('after', `\nPrints statistics as one line of JSON on SIGUSR1 and at the end.${EXIT_HELP}`)
    .action(async (values: FleetOptionValues) => {
      finish(await runFleet(values, { terminal: terminalFor(values), ...stopSwitch() }));
    });
  return program;
}

/** The command; resolves with its exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  let exitCode: number = EXIT.OK;
  try {
    await buildProgram((code) => (exitCode = code)).parseAsync([...argv]);
    return exitCode;
  } catch (error) {
    const { code, text } = exitFor(error);
    if (text !== null) process.stderr.write(`postern-simulator: ${text}\n`);
    return code;
  }
}
