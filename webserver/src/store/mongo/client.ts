import { MongoClient, MongoParseError } from 'mongodb';
import { StoreUnusableError } from '../../domain/store.js';

export interface MongoStoreOptions {
  /**
   * `mongodb://` or `mongodb+srv://`, with credentials, TLS and replica set as the driver takes them. Not logged.
   * Its timeouts go before those of {@link TIMEOUTS}; its write concern and read preference are not taken.
   */
  readonly url: string;
  /** PEM: the CA that signed the server's certificate. It goes before that of the URL, and asks for TLS. */
  readonly caFile?: string;
  /** Goes before the database of the URL; `postern` where neither names one. */
  readonly database?: string;
}

export const DEFAULT_DATABASE = 'postern';

/** In ms. They bound how long a call hangs on a server that is dead or deaf. */
export const TIMEOUTS = {
  /** For a primary to be found: longer than most elections would cost more calls than it saves. */
  serverSelectionTimeoutMS: 3_000,
  connectTimeoutMS: 3_000,
  /** Silence on a connection while an answer is due. */
  socketTimeoutMS: 5_000,
  /** For a free connection of the pool. */
  waitQueueTimeoutMS: 5_000,
} as const;

/** How long a write waits for the majority, in ms: less than the socket's timeout, so that the reason is told. */
const MAJORITY_TIMEOUT_MS = 4_000;

/** A client that acknowledges no write before a majority has it in its journal, and reads from the primary. */
export function createClient(options: MongoStoreOptions): { client: MongoClient; database: string } {
  const timeouts = Object.entries(TIMEOUTS).filter(
    ([name]) => !new RegExp(`[?&]${name}=`, 'i').test(options.url),
  );
  try {
    const client = new MongoClient(options.url, {
      ...Object.fromEntries(timeouts),
      ...(options.caFile !== undefined && { tls: true, tlsCAFile: options.caFile }),
      appName: 'postern',
      readPreference: 'primary',
      writeConcern: { w: 'majority', journal: true, wtimeoutMS: MAJORITY_TIMEOUT_MS },
      ignoreUndefined: false,
    });
    return { client, database: options.database ?? databaseOf(options.url) ?? DEFAULT_DATABASE };
  } catch (error) {
    // Neither the driver's text nor a cause: where a password has a `/` or `@` in it, they quote a part of it.
    const unknownOption =
      error instanceof MongoParseError && /^options? [\w, ]+ (is|are) not supported$/.test(error.message)
        ? `: ${error.message}`
        : '';
    throw new StoreUnusableError(
      `The MongoDB URL cannot be used${unknownOption}. It must read mongodb://[user:password@]host[:port][,host...]/[database][?options], with % : / ? # [ ] @ in user and password percent-encoded`,
    );
  }
}

function databaseOf(url: string): string | null {
  const name = /^mongodb(?:\+srv)?:\/\/[^/?]*\/([^?]+)/.exec(url)?.[1];
  return name === undefined ? null : decodeURIComponent(name);
}
