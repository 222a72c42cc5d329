import {
  MongoBulkWriteError,
  MongoClientClosedError,
  MongoDriverError,
  MongoExpiredSessionError,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoOperationTimeoutError,
  MongoServerClosedError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
  MongoWriteConcernError,
} from 'mongodb';
import { StoreUnavailableError, StoreUnusableError } from '../../domain/store.js';

/** Codes of a server that cannot serve now: no primary, shutting down, interrupted, timed out, out of disk. */
const UNAVAILABLE_CODES = new Set<unknown>([
  6, 7, 50, 64, 79, 89, 91, 100, 112, 133, 134, 175, 189, 202, 262, 317, 384, 462, 9001, 10107, 11600, 11602,
  13435, 13436, 14031,
]);
/** Unauthorized, AuthenticationFailed. */
const CREDENTIAL_CODES = new Set<unknown>([13, 18]);
const DUPLICATE_KEY = 11000;
/** IndexOptionsConflict, IndexKeySpecsConflict. */
const INDEX_CONFLICTS = new Set<unknown>([85, 86]);

/** The name of the unique index that refused a write; null where the error is another. */
export function duplicateIndex(error: unknown): string | null {
  if (!(error instanceof MongoServerError) || error.code !== DUPLICATE_KEY) return null;
  return /index: (\S+)/.exec(error.message)?.[1] ?? '';
}

/**
 * The driver's error as the port's; the rest are bugs, and stay as they are. `place` is host and database,
 * never the URL. Driver errors hold no credentials (a test looks).
 */
export function translate(error: unknown, place: string): unknown {
  if (error instanceof MongoServerError && CREDENTIAL_CODES.has(error.code)) {
    return new StoreUnusableError(
      `The MongoDB registry ${place} refuses the gateway's credentials or denies it a right (${error.codeName ?? error.code}). Check the user of the URL, its authSource, and that it may read and write the database`,
      { cause: error },
    );
  }
  if (isUnavailable(error)) {
    return new StoreUnavailableError(`The MongoDB registry ${place} cannot be used now: ${error.message}`, {
      cause: error,
    });
  }
  if (error instanceof MongoServerError && INDEX_CONFLICTS.has(error.code)) {
    return new StoreUnusableError(
      `The MongoDB database ${place} has an index in the place of one of Postern's: ${error.message}. Name a database of Postern's own`,
      { cause: error },
    );
  }
  if (error instanceof MongoServerError && duplicateIndex(error) !== null) {
    // The server's text quotes the key's value, which may be a hash that should stay here.
    return new Error(`A record with the same unique key (index ${duplicateIndex(error)}) is there already`);
  }
  return error;
}

function isUnavailable(error: unknown): error is Error {
  if (error instanceof MongoWriteConcernError) return true;
  // The driver puts a lost connection within insertMany and bulkWrite into this one too: it has no code then.
  if (error instanceof MongoBulkWriteError && error.result.getWriteErrorCount() === 0) {
    return error.code === undefined || UNAVAILABLE_CODES.has(error.code);
  }
  if (error instanceof MongoServerError) {
    return UNAVAILABLE_CODES.has(error.code) || error.hasErrorLabel('RetryableWriteError');
  }
  return (
    error instanceof MongoNetworkError ||
    error instanceof MongoServerSelectionError ||
    error instanceof MongoNotConnectedError ||
    error instanceof MongoServerClosedError ||
    error instanceof MongoTopologyClosedError ||
    error instanceof MongoClientClosedError ||
    error instanceof MongoExpiredSessionError ||
    error instanceof MongoOperationTimeoutError ||
    // Not exported by the driver: no connection of the pool came free in time.
    (error instanceof MongoDriverError && error.name === 'MongoWaitQueueTimeoutError')
  );
}
