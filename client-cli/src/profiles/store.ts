import { createHash } from 'node:crypto';
import { chmodSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { CliError } from '../errors.js';
import { FileError, privateFolder, systemReason, writeDurably } from '../files/durable.js';
import type { Io } from '../io.js';
import { withLock } from './lock.js';

const profileSchema = z.strictObject({
  version: z.literal(1),
  /** `https://host:port`, as {@link normalGateway} writes it. */
  gateway: z.url({ protocol: /^https$/ }),
  username: z.string().min(1),
  /** The one CA that the gateway's certificate must lead to; null: the system's trust store. */
  caPem: z.string().nullable(),
  /** The real path of the data folder of the gateway, where it runs on this machine. */
  dataDir: z.string().nullable(),
  accessToken: z.string().min(1),
  /** Milliseconds since 1970, by this machine's clock. */
  accessExpiresAt: z.number(),
  refreshToken: z.string().min(1),
  refreshExpiresAt: z.number(),
  loggedInAt: z.number(),
});
/** One login on one gateway. Holds secrets: never printed. */
export type Profile = z.infer<typeof profileSchema>;
export interface NamedProfile {
  readonly name: string;
  readonly profile: Profile;
}

/** A file of the config folder holds what `postern` did not write. It is kept for a look at it. */
export class ProfileCorruptError extends CliError {
  readonly code = 'PROFILE_CORRUPT';
}
/** There is no profile of that name. */
export class ProfileNotFoundError extends CliError {
  readonly code = 'PROFILE_NOT_FOUND';
}

const PROFILE_NAME = /^[A-Za-z0-9._@+-]{1,200}$/;

/** Where credentials live: POSTERN_CONFIG_DIR, else the user's config folder by the platform's custom. */
export function configFolder(io: Pick<Io, 'env' | 'home' | 'platform'>): string {
  const { env } = io;
  const own = env['POSTERN_CONFIG_DIR'];
  if (own !== undefined && own !== '') return own;
  if (io.platform === 'win32') return join(env['APPDATA'] ?? join(io.home, 'AppData', 'Roaming'), 'postern');
  const xdg = env['XDG_CONFIG_HOME'];
  // XDG Base Directory 0.8: a relative path is invalid and is to be ignored.
  return join(xdg?.startsWith('/') ? xdg : join(io.home, '.config'), 'postern');
}

/**
 * The profiles of this user: `profiles/<name>.json` each, and the name of the current one in `current.json`.
 * Every write is atomic; a change of tokens also holds the profile's lock.
 */
export class ProfileStore {
  constructor(
    readonly folder: string,
    private readonly warn: (text: string) => void,
  ) {}

  private get profiles(): string {
    return join(this.folder, 'profiles');
  }
  pathOf(name: string): string {
    return join(this.profiles, `${name}.json`);
  }

  /** Null where there is none. Throws {@link ProfileCorruptError}. */
  find(name: string): NamedProfile | null {
    if (!PROFILE_NAME.test(name)) return null;
    const path = this.pathOf(name);
    const text = this.readOwnFile(path);
    return text === null ? null : { name, profile: this.parse(path, text, profileSchema) };
  }

  names(): string[] {
    try {
      return readdirSync(this.profiles)
        .filter((file) => file.endsWith('.json'))
        .map((file) => file.slice(0, -'.json'.length))
        .sort();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw new FileError(`Cannot read ${this.profiles}: ${systemReason(error)}.`, { cause: error });
    }
  }

  /** All that can be read, and the errors of those that cannot. */
  all(): { profiles: NamedProfile[]; corrupt: ProfileCorruptError[] } {
    const profiles: NamedProfile[] = [];
    const corrupt: ProfileCorruptError[] = [];
    for (const name of this.names()) {
      try {
        const found = this.find(name);
        if (found !== null) profiles.push(found);
      } catch (error) {
        if (!(error instanceof ProfileCorruptError)) throw error;
        corrupt.push(error);
      }
    }
    return { profiles, corrupt };
  }

  save({ name, profile }: NamedProfile): void {
    this.write(this.pathOf(name), profile);
  }

  remove(name: string): void {
    rmSync(this.pathOf(name), { force: true });
  }

  /** The name of the current profile; it may have been removed since. */
  current(): string | null {
    const path = join(this.folder, 'current.json');
    const text = this.readOwnFile(path);
    return text === null
      ? null
      : this.parse(path, text, z.strictObject({ profile: z.string().nullable() })).profile;
  }

  setCurrent(name: string | null): void {
    this.write(join(this.folder, 'current.json'), { profile: name });
  }

  /** Runs `work` while no other process changes this profile's tokens. */
  async locked<T>(name: string, work: (stillOurs: () => boolean) => Promise<T>): Promise<T> {
    try {
      privateFolder(this.profiles);
    } catch (error) {
      throw new FileError(`Cannot use ${this.profiles}: ${systemReason(error)}.`, { cause: error });
    }
    return withLock(join(this.profiles, `${name}.lock`), work);
  }

  private write(path: string, value: unknown): void {
    try {
      privateFolder(this.folder);
      privateFolder(this.profiles);
      writeDurably(path, `${JSON.stringify(value, null, 2)}\n`);
    } catch (error) {
      throw new FileError(`Cannot write ${path}: ${systemReason(error)}.`, {
        cause: error,
        hints: ['POSTERN_CONFIG_DIR names another folder for credentials.'],
      });
    }
  }

  private readOwnFile(path: string): string | null {
    try {
      const text = readFileSync(path, 'utf8');
      if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0) {
        chmodSync(path, 0o600);
        this.warn(`${path} was open to other users of this machine; it is now 0600.`);
      }
      return text;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw new FileError(`Cannot read ${path}: ${systemReason(error)}.`, { cause: error });
    }
  }

  private parse<T>(path: string, text: string, schema: z.ZodType<T>): T {
    let problem: string;
    try {
      const parsed = schema.safeParse(JSON.parse(text));
      if (parsed.success) return parsed.data;
      const issue = parsed.error.issues[0];
      problem = `${issue?.path.join('.') || 'the file'}: ${issue?.message ?? 'not as written by postern'}`;
    } catch {
      // The parser's message would quote the file, and the file holds tokens.
      problem = 'it is not valid JSON';
    }
    throw new ProfileCorruptError(`${path} is damaged (${problem}). It was left as it is.`, {
      hints: [`Move it away or delete it, then log in again: rm '${path}' && postern login`],
    });
  }
}

/** `https://host:port`, or null where it is no such URL. Paths, queries and credentials are refused. */
export function normalGateway(text: string): string | null {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return null;
  }
  if (url.protocol !== 'https:' || url.username !== '' || url.password !== '') return null;
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') return null;
  return `https://${url.hostname}:${url.port === '' ? '443' : url.port}`;
}

/** The name of a new profile: `<host>-<port>-<user>`, with a mark where that would be ambiguous. */
export function profileName(
  identity: { gateway: string; username: string; dataDir: string | null },
  taken: (name: string) => boolean,
): string {
  const { hostname, port } = new URL(identity.gateway);
  const plain = `${hostname}-${port === '' ? '443' : port}-${identity.username}`.replace(
    /[^A-Za-z0-9._@+-]/g,
    '_',
  );
  if (!taken(plain)) return plain;
  const mark = createHash('sha256')
    .update(JSON.stringify([identity.gateway, identity.username, identity.dataDir]))
    .digest('hex');
  return `${plain}-${mark.slice(0, 8)}`;
}
