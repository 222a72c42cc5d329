import type { CertificateIssuer, ChangeNotifier, Clock, SessionCloser } from './ports.js';
import type { DeviceStore } from './store.js';

export interface CertificateRevocationList {
  readonly pem: string;
  readonly der: Uint8Array;
  readonly number: number;
  /** Milliseconds since 1970. */
  readonly builtAt: number;
}

/** Puts the list where the broker reads it. Called before a revocation is answered. */
export interface CrlPublisher {
  publish(list: CertificateRevocationList): Promise<void>;
}

/** A list is made anew when it is this old: long before its nextUpdate (the authority's 7 days). In ms. */
const MAX_AGE_MS = 24 * 60 * 60_000;
/** Up to this age a list is served where no newer one can be made. Short of its nextUpdate. In ms. */
const LAST_RESORT_AGE_MS = 6 * 24 * 60 * 60_000;
/** A list that another instance's revocation made stale is made anew at the earliest this long after the last. In ms. */
const MIN_INTERVAL_MS = 1_000;
/** Tries to close a revoked device's sessions after the first one failed, and the pauses between them, in ms. */
const CLOSE_RETRIES_MS = [500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000] as const;

export interface RevocationOptions {
  readonly store: DeviceStore;
  readonly issuer: CertificateIssuer;
  readonly publisher: CrlPublisher;
  readonly sessions: SessionCloser;
  readonly notifier: ChangeNotifier;
  readonly clock: Clock;
  readonly onError: (error: unknown, what: string) => void;
}

/** The CRL, and what must follow a revocation so that it bites at once. */
export class Revocation {
  private list: CertificateRevocationList | null = null;
  private building: Promise<CertificateRevocationList> | null = null;
  private stale = false;
  private readonly retries = new Set<NodeJS.Timeout>();

  constructor(private readonly options: RevocationOptions) {}

  /** The list as it is served: made anew when something was revoked or it gets old. */
  current(): Promise<CertificateRevocationList> {
    const { list } = this;
    const age = list ? this.options.clock.now() - list.builtAt : Infinity;
    if (list && age >= 0 && age < MAX_AGE_MS && !(this.stale && age >= MIN_INTERVAL_MS))
      return Promise.resolve(list);
    return this.build().catch((error: unknown) => {
      // A list that is a little old says more than none.
      if (!list || age > LAST_RESORT_AGE_MS) throw error;
      this.options.onError(error, 'the CRL could not be made anew; the one before is served');
      return list;
    });
  }

  /** A list of what is revoked now, whatever the age of the last one. */
  async renew(): Promise<CertificateRevocationList> {
    // One that is being built may have read the store before the last revocation.
    await this.building?.catch(() => undefined);
    return this.build();
  }

  /** Something was revoked elsewhere. */
  markStale(): void {
    this.stale = true;
  }

  /**
   * The device's rights have shrunk and the store says so already. In this order: nobody answers from a cache,
   * the broker's TLS refuses the certificate, and the sessions that live end (to come back only if they may).
   */
  async enforce(deviceId: string): Promise<void> {
    this.options.notifier.deviceChanged(deviceId);
    this.stale = true;
    try {
      await this.options.publisher.publish(await this.renew());
    } catch (error) {
      // The broker asks the gateway at each login as well, and that answer is no already.
      this.options.onError(error, 'the CRL could not be published');
    }
    await this.closeSessions(deviceId, 0);
  }

  close(): void {
    for (const timer of this.retries) clearTimeout(timer);
    this.retries.clear();
  }

  private async closeSessions(deviceId: string, attempt: number): Promise<void> {
    try {
      await this.options.sessions.closeSessions(deviceId);
    } catch (error) {
      this.options.onError(error, `the sessions of ${deviceId} could not be closed`);
      const pause = CLOSE_RETRIES_MS[attempt];
      if (pause === undefined) return;
      const timer = setTimeout(() => {
        this.retries.delete(timer);
        void this.closeSessions(deviceId, attempt + 1);
      }, pause);
      timer.unref();
      this.retries.add(timer);
    }
  }

  private build(): Promise<CertificateRevocationList> {
    this.building ??= this.make().finally(() => {
      this.building = null;
    });
    return this.building;
  }

  private async make(): Promise<CertificateRevocationList> {
    const { store, issuer, clock } = this.options;
    this.stale = false;
    const builtAt = clock.now();
    try {
      const entries = await store.listRevoked(builtAt);
      const number = await store.nextCrlNumber();
      const { pem, der } = await issuer.buildCrl({ number, entries });
      this.list = { pem, der, number, builtAt };
      return this.list;
    } catch (error) {
      this.stale = true;
      throw error;
    }
  }
}
