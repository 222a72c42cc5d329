import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { z } from 'zod';
import { CLI_EXIT, type Cli, type CliResult } from './cli.js';
import { readIfThere, writeDurably, type DataFolder } from './data-folder.js';
import { StackError } from './errors.js';
import type { Say } from './screen.js';
import { SealedFile } from './secrets.js';

/** The user and the device that a newcomer plays with. */
export const DEMO_USER = 'demo';
export const LAMP = 'lamp';

/** 15 bytes are 20 characters of base64url: 120 bits, more than anybody can try. */
const PASSWORD_BYTES = 15;

const stateSchema = z.object({ lampFolder: z.string() });

export interface DemoOptions {
  readonly folder: DataFolder;
  readonly cli: Cli;
  readonly mongodbUrl: string | undefined;
  /** Seals the password until user and lamp are there. */
  readonly keyFile: string;
  readonly say: Say;
}

export interface Demo {
  /** With what registration returned; null where there is no lamp. */
  readonly lampFolder: string | null;
  readonly loggedIn: boolean;
  /** Whether `postern` means this gateway where nothing says which; else the data folder must be named. */
  readonly isCurrent: boolean;
}

/**
 * The user `demo` and the device `lamp`, made once for each registry (SQLite, or a MongoDB). What was interrupted
 * goes on where it stopped: until all is done, the password is kept, sealed; then it is shown, and forgotten.
 */
export async function prepareDemo(options: DemoOptions): Promise<Demo> {
  const { folder, cli, say } = options;
  const registry = registryName(options.mongodbUrl);
  const statePath = folder.at('demo', `${registry}.json`);
  const state = readIfThere(statePath);
  if (state !== null) {
    const { lampFolder } = readState(statePath, state);
    const [loggedIn, isCurrent] = await Promise.all([isLoggedIn(cli), cli.isCurrent()]);
    return { lampFolder, loggedIn, isCurrent };
  }

  const pending = new SealedFile({
    path: folder.at('demo', `${registry}.pending`),
    keyPath: options.keyFile,
  });
  const known = pending.read();
  const password = known ?? randomBytes(PASSWORD_BYTES).toString('base64url');
  if (known === null) pending.write(password);
  if (!(await enter(cli, password))) {
    say(`There is a user ${DEMO_USER} with another password in this registry, so no ${LAMP} was registered.`);
    return { lampFolder: null, loggedIn: false, isCurrent: false };
  }
  const lampFolder = folder.at('devices', isFirstRegistry(folder, registry) ? LAMP : `${LAMP}-${registry}`);
  await registerLamp(cli, lampFolder);
  say(`Made the user ${DEMO_USER}, and logged the command \`postern\` in. The password is shown this once:`);
  say(`  ${password}`);
  say(`Registered the device ${LAMP}: ${lampFolder}`);
  writeDurably(statePath, `${JSON.stringify({ lampFolder })}\n`);
  rmSync(folder.at('demo', `${registry}.pending`), { force: true });
  return { lampFolder, loggedIn: true, isCurrent: true };
}

/** Each registry has a lamp of its own, since each has devices of its own; the first one's has the plain name. */
function isFirstRegistry(folder: DataFolder, registry: string): boolean {
  return readdirSync(folder.at('demo')).every((name) => name.startsWith(`${registry}.`));
}

/** One for each registry that this data folder was ever used with; of a URL without what is secret in it. */
function registryName(mongodbUrl: string | undefined): string {
  if (mongodbUrl === undefined) return 'sqlite';
  const place = mongodbUrl.replace(/^(mongodb(?:\+srv)?:\/\/)[^/]*@/, '$1').replace(/\?.*$/, '');
  return `mongodb-${createHash('sha256').update(place).digest('hex').slice(0, 8)}`;
}

function readState(path: string, text: string): z.infer<typeof stateSchema> {
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new StackError(
      'STATE_DAMAGED',
      `${path} is damaged. Put it back from a backup, or set POSTERN_DEMO=0.`,
      {
        cause: error,
      },
    );
  }
}

/** Makes the user, or logs in as it where an interrupted run made it. False where it is somebody else's. */
async function enter(cli: Cli, password: string): Promise<boolean> {
  const credentials = ['--username', DEMO_USER, '--password-stdin'];
  const signup = await cli.run(['signup', ...credentials], password);
  if (signup.exitCode === CLI_EXIT.done) return true;
  if (signup.exitCode !== CLI_EXIT.conflict) throw failed('The user demo could not be made', signup);
  const login = await cli.run(['login', ...credentials], password);
  if (login.exitCode === CLI_EXIT.done) return true;
  if (login.exitCode === CLI_EXIT.notLoggedIn) return false;
  throw failed('The user demo could not log in', login);
}

async function registerLamp(cli: Cli, folder: string): Promise<void> {
  // A folder without its description is of a registration that was cut off: its key is of no use to anybody.
  if (existsSync(folder) && !existsSync(`${folder}/device.json`)) rmSync(folder, { recursive: true });
  const register = (): Promise<CliResult> =>
    cli.run(['device', 'register', LAMP, '--out', folder, '--force']);
  let result = await register();
  if (result.exitCode === CLI_EXIT.conflict) {
    // Registered by a run that ended before the files, or the state of this run, were written.
    if (existsSync(`${folder}/device.json`)) return;
    await cli.run(['device', 'remove', LAMP, '--yes']);
    result = await register();
  }
  if (result.exitCode !== CLI_EXIT.done) throw failed(`The device ${LAMP} could not be registered`, result);
}

async function isLoggedIn(cli: Cli): Promise<boolean> {
  return (await cli.run(['whoami'])).exitCode === CLI_EXIT.done;
}

function failed(what: string, result: CliResult): StackError {
  return new StackError('DEMO_FAILED', `${what}.`, { details: result.problem.split('\n') });
}
