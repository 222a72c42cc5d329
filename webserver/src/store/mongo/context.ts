import type { Collections } from './collections.js';

/** What the parts of the store share. */
export interface MongoContext extends Collections {
  /** Runs one method of the port: refuses after close, makes the driver's errors the port's. */
  run<T>(action: () => Promise<T>): Promise<T>;
}
