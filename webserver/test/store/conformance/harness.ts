import type { Store } from '../../../src/domain/store.js';

/** Where one suite's records live: a file, or a database on a server. */
export interface StorePlace {
  /** Opens it, as one gateway instance does. Every store opened is closed by {@link remove} at the latest. */
  open(): Promise<Store>;
  remove(): Promise<void>;
}

export interface StoreHarness {
  readonly name: string;
  /** A new, empty place. */
  create(): Promise<StorePlace>;
}

/** The two instances that share a place, and what to open more with. */
export interface StoreUnderTest {
  readonly a: Store;
  readonly b: Store;
  readonly place: StorePlace;
}
