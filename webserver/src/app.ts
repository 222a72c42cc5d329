import type { RequestListener } from 'node:http';
import type { Express } from 'express';
import type { Logger } from 'pino';
import { createAccessTokens } from './authority/access-tokens.js';
import type { HttpConfig } from './config.js';
import { Accounts } from './domain/accounts.js';
import { AuditTrail } from './domain/audit.js';
import { Control, type PresenceReader } from './domain/control.js';
import { Idempotency } from './domain/idempotency.js';
import { ScryptPasswords } from './domain/passwords.js';
import type {
  CertificateIssuer,
  ChangeNotifier,
  Clock,
  DirectMethods,
  KeySealer,
  SessionCloser,
} from './domain/ports.js';
import { Provisioning } from './domain/provisioning.js';
import { Revocation, type CrlPublisher } from './domain/revocation.js';
import type { Store } from './domain/store.js';
import { RefreshTokens } from './domain/tokens.js';
import { addressReader, isLoopback } from './http/address.js';
import { openApiDocument } from './http/openapi.js';
import { Pipeline } from './http/pipeline.js';
import { RateLimit } from './http/rate-limit.js';
import { expressApp } from './http/register.js';
import type { Route } from './http/route.js';
import { auditRoutes } from './http/routes/audit.js';
import { authRoutes } from './http/routes/auth.js';
import { caRoutes } from './http/routes/ca.js';
import { deviceRoutes } from './http/routes/devices.js';
import { docsRoutes } from './http/routes/docs.js';
import { flatControlRoutes, flatRegistryRoutes } from './http/routes/flat.js';
import { methodRoutes } from './http/routes/methods.js';
import { operationsRoutes, type HealthCheck } from './http/routes/operations.js';
import { withShortcut } from './http/shortcut.js';
import type { Metrics } from './metrics.js';

export interface AppDeps {
  readonly config: HttpConfig;
  readonly store: Store;
  readonly issuer: CertificateIssuer;
  readonly sealer: KeySealer;
  readonly methods: DirectMethods;
  readonly sessions: SessionCloser;
  readonly notifier: ChangeNotifier;
  readonly crlPublisher: CrlPublisher;
  readonly presence: PresenceReader;
  /** Checks for `/readyz` beside the store's; `broker` at least. */
  readonly health: Readonly<Record<string, () => HealthCheck>> & { readonly broker: () => HealthCheck };
  /** 256 bits that all instances share; signs access and refresh tokens. */
  readonly tokenKey: Uint8Array;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export interface App {
  readonly express: Express;
  /** What an HTTPS server is given: {@link express}, with a shorter way to the routes. */
  readonly listener: RequestListener;
  readonly routes: readonly Route[];
  readonly openApi: unknown;
  readonly accounts: Accounts;
  readonly control: Control;
  readonly provisioning: Provisioning;
  readonly revocation: Revocation;
  readonly audit: AuditTrail;
  /** Another instance says that rights or registration of a device have changed. */
  deviceChanged(deviceId: string): void;
  /** Another instance says that a login has ended. */
  sessionEnded(sessionId: string): void;
  /** New requests get SHUTTING_DOWN, answers close their connection. */
  beginShutdown(): void;
  /** After the last answer: writes what waits. The store is the caller's to close. */
  close(): Promise<void>;
}

/** Wires use cases and routes; listens to nothing. */
export function buildApp(deps: AppDeps): App {
  const { config, store, clock, logger, metrics, presence, issuer, sealer } = deps;

  const audit = new AuditTrail({
    store,
    clock,
    onError: (error, dropped) =>
      logger.error({ err: error, dropped }, 'the audit record could not be written'),
  });
  const control = new Control({ store, methods: deps.methods, presence, audit, meter: metrics, clock });
  // What this instance remembers goes first; the others hear of it through the broker.
  const notifier: ChangeNotifier = {
    deviceChanged(deviceId) {
      control.forgetDevice(deviceId);
      deps.notifier.deviceChanged(deviceId);
    },
    sessionEnded: (sessionId) => deps.notifier.sessionEnded(sessionId),
  };
  const accounts = new Accounts({
    store,
    passwords: new ScryptPasswords({ logN: config.scryptCost }),
    accessTokens: createAccessTokens({ key: deps.tokenKey, issuer: 'postern' }),
    refreshTokens: new RefreshTokens(deps.tokenKey),
    notifier,
    audit,
    clock,
    signupOpen: config.signupOpen,
    loginGuard: { freeFailures: config.loginFreeFailures, maxDelayMs: config.loginMaxDelayMs },
  });
  const revocation = new Revocation({
    store,
    issuer,
    publisher: deps.crlPublisher,
    sessions: deps.sessions,
    notifier,
    clock,
    onError: (error, what) => logger.error({ err: error }, what),
  });
  const provisioning = new Provisioning({
    store,
    issuer,
    sealer,
    presence,
    revocation,
    notifier,
    audit,
    clock,
    maxDevicesPerUser: config.maxDevicesPerUser,
    flatKeyType: config.flatKeyType,
  });
  const idempotency = new Idempotency({
    store,
    clock,
    sealer,
    onError: (error) => logger.error({ err: error }, 'an idempotent answer could not be written down'),
  });

  const pipeline = new Pipeline({
    accounts,
    idempotency,
    loginLimit: new RateLimit(config.loginRatePerMinute, clock),
    meter: metrics,
    logger,
    addressOf: addressReader(config.trustProxy),
    localOnly: isLocalName(new URL(config.publicUrl).hostname),
  });
  // Express looks at its routes one after the other: those that are called most come first.
  const routes: Route[] = [
    ...methodRoutes(control),
    ...flatControlRoutes(control),
    ...deviceRoutes({ provisioning, clock, broker: config.broker }),
    ...authRoutes(accounts),
    ...flatRegistryRoutes(accounts, provisioning),
    ...auditRoutes(audit),
    ...caRoutes(provisioning, revocation),
    ...operationsRoutes({
      store,
      health: deps.health,
      metrics,
      metricsToken: config.metricsToken,
      trustProxy: config.trustProxy !== false,
    }),
    ...docsRoutes(() => openApi),
  ];
  const openApi = openApiDocument(routes, config.publicUrl);

  const app = expressApp(routes, { pipeline });
  return {
    express: app,
    listener: withShortcut(app, routes, pipeline),
    routes,
    openApi,
    accounts,
    control,
    provisioning,
    revocation,
    audit,
    deviceChanged(deviceId) {
      control.forgetDevice(deviceId);
      revocation.markStale();
    },
    sessionEnded: (sessionId) => accounts.forgetSession(sessionId),
    beginShutdown: () => pipeline.beginShutdown(),
    async close() {
      revocation.close();
      await audit.close();
    },
  };
}

const isLocalName = (host: string): boolean =>
  host === 'localhost' || host.endsWith('.localhost') || isLoopback(host.replace(/^\[|\]$/g, ''));
