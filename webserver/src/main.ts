import { ConfigError, loadSettings, type Settings } from './config.js';
import { startGateway, type Gateway } from './gateway.js';
import { createLogger } from './logging.js';

/** The process: settings from the environment, JSON log on standard output, SIGTERM and SIGINT end it in order. */

/** Exit codes: 0 asked to end, 1 failed, 2 settings that cannot be used. */
const EXIT = { failed: 1, settings: 2 } as const;

function settingsOrExit(): Settings {
  try {
    return loadSettings(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(EXIT.settings);
  }
}

const settings = settingsOrExit();
const logger = createLogger({ level: settings.POSTERN_LOG_LEVEL });

const fail = (error: unknown, message: string): never => {
  logger.fatal({ err: error }, message);
  logger.flush();
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(EXIT.failed);
};
// A bug has left the process in a state that nobody knows: whoever supervises starts a new one.
process.on('uncaughtException', (error) => fail(error, 'a bug: uncaught exception'));
process.on('unhandledRejection', (error) => fail(error, 'a bug: unhandled rejection'));

let gateway: Gateway | null = null;
let ending = false;
const end = (signal: string): void => {
  if (ending) return;
  ending = true;
  logger.info({ signal }, 'the gateway ends');
  Promise.resolve(gateway?.close())
    .then(() => {
      logger.flush();
      process.exit(0);
    })
    .catch((error: unknown) => fail(error, 'the gateway did not end in order'));
};
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => end(signal));

try {
  gateway = await startGateway(settings, logger);
} catch (error) {
  fail(error, 'the gateway cannot start');
}
