import { existsSync, readdirSync, realpathSync, statSync, type Stats } from 'node:fs';
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { BrokerNotFoundError, BrokerUnusableError } from './errors.js';
import {
  compareVersions,
  isAtLeast,
  OLDEST_SUPPORTED_VERSION,
  parseBrokerVersion,
  type BrokerVersion,
} from './version.js';

const run = promisify(execFile);

/** How the broker's programs are run. */
export type BrokerRunner =
  /** As they are, with the `erl` that PATH (or `erlangBin`) has. */
  | { readonly kind: 'direct'; readonly erlangBin: string }
  /** With the userland of another Debian in `root` (`make broker-4`), in a mount namespace of their own. */
  | { readonly kind: 'rooted'; readonly root: string; readonly userNamespace: boolean };

export interface BrokerInstallation {
  readonly version: BrokerVersion;
  /** The release's folder, `.../rabbitmq_server-<version>`; for a rooted one as seen from inside `root`. */
  readonly home: string;
  /** `<home>/sbin`. */
  readonly sbin: string;
  readonly runner: BrokerRunner;
}

const HOW_TO_INSTALL =
  'On Debian or Ubuntu: apt-get install rabbitmq-server. For RabbitMQ 4 beside it: make broker-4. ' +
  'Elsewhere: unpack the generic-unix release, or brew install rabbitmq, and name its folder in POSTERN_RABBITMQ_HOME.';

/** Folders that hold `rabbitmq_server-<version>` folders, or are one. */
const USUAL_PLACES = [
  '/usr/lib/rabbitmq/lib',
  '/usr/local/lib/rabbitmq/lib',
  '/usr/local/sbin',
  '/opt',
  '/opt/rabbitmq',
  '/usr/local/opt/rabbitmq',
  '/opt/homebrew/opt/rabbitmq',
];

/** Null where there is nothing, or nothing that this user may look at. */
function statOrNull(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null;
  }
}

const isDirectory = (path: string): boolean => statOrNull(path)?.isDirectory() ?? false;

/** The release's own version: the name of its `rabbit` plugin, packed (`.ez`) or not. */
function versionOf(home: string): BrokerVersion | null {
  const plugins = join(home, 'plugins');
  if (!existsSync(join(home, 'sbin', 'rabbitmq-server')) || !isDirectory(plugins)) return null;
  for (const entry of readdirSync(plugins)) {
    const version = /^rabbit-(\d[\w.+-]*?)(?:\.ez)?$/.exec(entry)?.[1];
    if (version) return parseBrokerVersion(version);
  }
  return null;
}

/** `folder` itself, or the newest `rabbitmq_server-*` in it. */
function releaseIn(folder: string): { home: string; version: BrokerVersion } | null {
  if (!isDirectory(folder)) return null;
  const candidates = [
    folder,
    ...readdirSync(folder)
      .filter(isReleaseName)
      .map((name) => join(folder, name)),
  ];
  const found = candidates
    .map((home) => ({ home, version: versionOf(home) }))
    .filter((entry): entry is { home: string; version: BrokerVersion } => entry.version !== null);
  return found.sort((a, b) => compareVersions(b.version, a.version))[0] ?? null;
}

const isReleaseName = (name: string): boolean => name.startsWith('rabbitmq_server-');

/** The file of a program on PATH, or null. */
export function findProgram(name: string, path = process.env['PATH'] ?? ''): string | null {
  const folders = [...path.split(delimiter).filter(Boolean), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  for (const folder of folders) {
    const file = join(folder, name);
    if (statOrNull(file)?.isFile()) return file;
  }
  return null;
}

/** The folder below which `home` is a whole system with an Erlang of its own, or null if that is this machine's. */
function rootOf(home: string): string | null {
  const tail = /^(.*)\/usr\/lib\/rabbitmq\/lib\/[^/]+$/.exec(home);
  const root = tail?.[1];
  return root && isDirectory(join(root, 'usr/lib/erlang')) && isDirectory(join(root, 'etc')) ? root : null;
}

async function rootedRunner(root: string): Promise<BrokerRunner> {
  const userNamespace = process.getuid?.() !== 0;
  if (process.platform !== 'linux' || !findProgram('unshare')) {
    throw new BrokerUnusableError(
      `The broker in ${root} is a Debian folder, which runs on Linux with "unshare" (package util-linux) alone.`,
    );
  }
  const namespace = userNamespace ? ['--user', '--map-root-user', '--mount'] : ['--mount'];
  try {
    await run('unshare', [...namespace, 'true']);
  } catch (error) {
    throw new BrokerUnusableError(
      `The broker in ${root} needs a mount namespace of its own, and this ${userNamespace ? 'user' : 'machine'} may ` +
        'not make one (unshare failed). Run as root outside a restricted container, or allow user namespaces ' +
        '(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0).',
      { cause: error },
    );
  }
  return { kind: 'rooted', root, userNamespace };
}

function directRunner(): BrokerRunner {
  const erl = findProgram('erl');
  if (!erl) {
    throw new BrokerNotFoundError(
      `RabbitMQ is here, but its Erlang ("erl") is not on PATH. ${HOW_TO_INSTALL}`,
    );
  }
  return { kind: 'direct', erlangBin: dirname(erl) };
}

async function describe(found: { home: string; version: BrokerVersion }): Promise<BrokerInstallation> {
  const { version } = found;
  if (!isAtLeast(version, OLDEST_SUPPORTED_VERSION)) {
    throw new BrokerUnusableError(
      `RabbitMQ ${version.text} in ${found.home} is too old: ${OLDEST_SUPPORTED_VERSION} or newer is needed. ${HOW_TO_INSTALL}`,
    );
  }
  const root = rootOf(found.home);
  const home = root ? found.home.slice(root.length) : found.home;
  const runner = root ? await rootedRunner(root) : directRunner();
  return { version, home, sbin: join(home, 'sbin'), runner };
}

/** Where `rabbitmq-server` on PATH leads to: not a wrapper script, but the release's own. */
function releaseOnPath(): { home: string; version: BrokerVersion } | null {
  const program = findProgram('rabbitmq-server');
  return program ? releaseIn(resolve(dirname(realpathSync(program)), '..')) : null;
}

/**
 * Finds a RabbitMQ that can be started here.
 *
 * @param home a release's folder (`.../rabbitmq_server-3.10.8`), or the Debian folder that `make broker-4` made.
 *   By default what `POSTERN_RABBITMQ_HOME` names, and else the newest in the usual places.
 * @throws BrokerNotFoundError when there is none; its message says how to get one
 * @throws BrokerUnusableError when there is one that is too old, or that this user may not run
 */
export async function detectBroker(
  home: string | undefined = process.env['POSTERN_RABBITMQ_HOME'],
): Promise<BrokerInstallation> {
  if (home) {
    if (!isAbsolute(home)) {
      throw new BrokerNotFoundError(`POSTERN_RABBITMQ_HOME must be an absolute path, and "${home}" is not.`);
    }
    const folder = home.replace(/\/+$/, '') || '/';
    const found = releaseIn(folder) ?? releaseIn(join(folder, 'usr/lib/rabbitmq/lib'));
    if (!found) {
      throw new BrokerNotFoundError(
        `There is no RabbitMQ in ${folder}: neither sbin/rabbitmq-server nor usr/lib/rabbitmq/lib/rabbitmq_server-*. ${HOW_TO_INSTALL}`,
      );
    }
    return describe(found);
  }
  const found = USUAL_PLACES.map(releaseIn)
    .filter((entry) => entry !== null)
    .sort((a, b) => compareVersions(b.version, a.version))[0];
  const chosen = found ?? releaseOnPath();
  if (!chosen) throw new BrokerNotFoundError(`No RabbitMQ was found on this machine. ${HOW_TO_INSTALL}`);
  return describe(chosen);
}
