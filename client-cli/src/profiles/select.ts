import { CliError, UsageError } from '../errors.js';
import { caFingerprint, readDataFolder, type GatewayEnvironment } from './environment.js';
import { ProfileNotFoundError, normalGateway, type NamedProfile, type ProfileStore } from './store.js';

/** There is no login that fits. */
export class NotLoggedInError extends CliError {
  readonly code = 'NOT_LOGGED_IN';
}

export interface SelectOptions {
  readonly store: ProfileStore;
  readonly environment: GatewayEnvironment;
  /** `--profile` */
  readonly profile?: string | undefined;
  /** `--gateway` */
  readonly gateway?: string | undefined;
}
/** A login, and where its gateway listens now: a gateway of this machine may have moved to another port. */
export interface Selected extends NamedProfile {
  readonly url: string;
}

/**
 * The profile that a command acts for. In this order: `--profile`, `--gateway`, the gateway that the
 * environment names, the current one. Where several users fit, the current one, else the latest login.
 */
export function selectProfile(options: SelectOptions): Selected {
  const { store, environment } = options;
  if (options.profile !== undefined) {
    const named = findNamed(store, options.profile);
    return {
      ...named,
      url: options.gateway === undefined ? urlOf(named, environment) : gatewayOf(options.gateway),
    };
  }
  if (options.gateway !== undefined) {
    const url = gatewayOf(options.gateway);
    return pick(
      store,
      (found) => found.profile.gateway === url,
      `You are not logged in on ${url}.`,
      () => url,
    );
  }
  if (environment.dataFolder !== null) {
    const folder = environment.dataFolder;
    return pick(
      store,
      (found) => belongsTo(found, folder),
      `You are not logged in on the gateway of ${folder.path} (POSTERN_DATA_DIR).`,
      (found) => urlOf(found, environment),
    );
  }
  if (environment.port !== null) {
    const url = localGateway(environment.port);
    return pick(
      store,
      (found) => urlOf(found, { dataFolder: null, port: null }) === url,
      `You are not logged in on ${url} (POSTERN_HTTPS_PORT).`,
      () => url,
    );
  }
  const current = store.current();
  const found = current === null ? null : store.find(current);
  if (found === null) {
    const others = store.names();
    throw new NotLoggedInError('You are not logged in.', {
      hints: [
        'Log in: postern login',
        ...(others.length === 0 ? [] : [`Or take up an earlier login: postern profile use ${others[0]}`]),
      ],
    });
  }
  return { ...found, url: urlOf(found, environment) };
}

export const localGateway = (port: number): string => `https://localhost:${port}`;

/** `--gateway` in its normal form. */
export function gatewayOf(text: string): string {
  const url = normalGateway(text.includes('://') ? text : `https://${text}`);
  if (url === null)
    throw new UsageError(
      `"${text}" is not the URL of a gateway; one looks like https://gateway.example:8443.`,
    );
  return url;
}

/** Whether a profile is a login on the gateway of this data folder. */
export function belongsTo(
  { profile }: NamedProfile,
  folder: { path: string; caPem: string | null },
): boolean {
  if (profile.dataDir !== null) return profile.dataDir === folder.path;
  const ca = caFingerprint(folder.caPem);
  return ca !== null && caFingerprint(profile.caPem) === ca;
}

function findNamed(store: ProfileStore, name: string): NamedProfile {
  const found = store.find(name);
  if (found !== null) return found;
  const names = store.names();
  throw new ProfileNotFoundError(`There is no profile "${name}".`, {
    hints: [names.length === 0 ? 'Log in: postern login' : `There are: ${names.join(', ')}`],
  });
}

/**
 * Where a profile's gateway listens. A gateway of this machine may have been moved by POSTERN_HTTPS_PORT and
 * said so in its data folder; its CA is pinned, so that another one in its place gets nothing.
 */
function urlOf({ profile }: NamedProfile, environment: GatewayEnvironment): string {
  const host = new URL(profile.gateway).hostname;
  if (profile.dataDir === null || !['localhost', '127.0.0.1', '[::1]'].includes(host)) return profile.gateway;
  if (environment.dataFolder?.path === profile.dataDir && environment.port !== null)
    return `https://${host}:${environment.port}`;
  const folder =
    environment.dataFolder?.path === profile.dataDir
      ? environment.dataFolder
      : readDataFolder(profile.dataDir);
  if (folder.gateway === null || caFingerprint(folder.caPem) !== caFingerprint(profile.caPem))
    return profile.gateway;
  return folder.gateway;
}

function pick(
  store: ProfileStore,
  fits: (found: NamedProfile) => boolean,
  otherwise: string,
  url: (found: NamedProfile) => string,
): Selected {
  const { profiles, corrupt } = store.all();
  const fitting = profiles.filter(fits).sort((a, b) => b.profile.loggedInAt - a.profile.loggedInAt);
  const current = store.current();
  const found = fitting.find(({ name }) => name === current) ?? fitting[0];
  if (found !== undefined) return { ...found, url: url(found) };
  // The profile that is looked for may be the one that cannot be read.
  if (corrupt[0] !== undefined) throw corrupt[0];
  throw new NotLoggedInError(otherwise, { hints: ['Log in: postern login'] });
}
