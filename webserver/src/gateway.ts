import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { AddressInfo, Server } from 'node:net';
import { join, resolve } from 'node:path';
import type { Logger } from 'pino';
import { openAuthority, readKeyFile, readPrivateFile, writeCrlToFolder } from '@postern/certs';
import { buildApp, type App } from './app.js';
import { createCertificateIssuer } from './authority/certificate-issuer.js';
import { createKeySealer } from './authority/key-sealer.js';
import { BrokerLink, ManagementClient, type Change } from './broker/index.js';
import { httpConfig, type Settings } from './config.js';
import { DeviceAccess, MANAGEMENT_USERNAME } from './domain/device-access.js';
import { DirectMethodEngine } from './domain/direct-methods/index.js';
import { systemClock, type SessionCloser } from './domain/ports.js';
import { PresenceDirectory } from './domain/presence.js';
import type { CrlPublisher } from './domain/revocation.js';
import type { Store } from './domain/store.js';
import { createBrokerAuthServer } from './http/broker-auth.js';
import { closeGracefully, createHttpsServer } from './http/server.js';
import { createMetrics } from './metrics.js';
import { openSqliteStore } from './store/sqlite/index.js';

/** How long changes of other instances are gathered before the CRL is made anew, in ms. */
const CRL_GATHER_MS = 250;
/** How often what has expired is deleted, and the broker's CRL made anew, in ms. */
const HOUSEKEEPING_MS = 60 * 60_000;

export interface Gateway {
  /** `https://<host>:<port>` that it listens on. */
  readonly url: string;
  /** Ends calls in flight within the configured time and closes everything. */
  close(): Promise<void>;
}

/** Where the gateway's files are, unless a setting says otherwise. */
function filesOf(settings: Settings) {
  const at = (...parts: string[]): string => resolve(join(settings.POSTERN_DATA_DIR, ...parts));
  return {
    caDir: at('ca'),
    registry: at('registry.db'),
    keyFile: settings.POSTERN_KEY_FILE ?? at('secrets', 'key-encryption.key'),
    tokenKeyFile: settings.POSTERN_TOKEN_KEY_FILE ?? at('secrets', 'token.key'),
    httpsCert: settings.POSTERN_HTTPS_CERT_FILE ?? at('tls', 'https.pem'),
    httpsKey: settings.POSTERN_HTTPS_KEY_FILE ?? at('tls', 'https.key.pem'),
    amqpsCert: settings.POSTERN_AMQPS_CERT_FILE ?? at('tls', 'gateway.pem'),
    amqpsKey: settings.POSTERN_AMQPS_KEY_FILE ?? at('tls', 'gateway.key.pem'),
    authCert: settings.POSTERN_BROKER_AUTH_CERT_FILE ?? at('tls', 'broker-auth.pem'),
    authKey: settings.POSTERN_BROKER_AUTH_KEY_FILE ?? at('tls', 'broker-auth.key.pem'),
    crlDir: settings.POSTERN_CRL_DIR ?? at('crl'),
  };
}

const secretText = async (path: string, what: string): Promise<string> =>
  (await readPrivateFile(path, what)).trim();

/** Starts a gateway instance; resolves when it answers over HTTPS. The broker may come later: /readyz tells. */
export async function startGateway(settings: Settings, logger: Logger): Promise<Gateway> {
  const files = filesOf(settings);
  const closers: (() => Promise<unknown> | void)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return await assemble(settings, files, logger, closers, close);
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

async function assemble(
  settings: Settings,
  files: ReturnType<typeof filesOf>,
  logger: Logger,
  closers: (() => Promise<unknown> | void)[],
  close: () => Promise<void>,
): Promise<Gateway> {
  const key = await readKeyFile(files.keyFile);
  const tokenKey = Buffer.from(await readKeyFile(files.tokenKeyFile), 'base64');
  const token = settings.POSTERN_METRICS_TOKEN_FILE;
  const config = httpConfig(
    settings,
    token === undefined ? null : await secretText(token, 'The metrics token file'),
  );
  const authority = await openAuthority({
    dir: files.caDir,
    keyEncryptionKey: key,
    crlUrl: `${config.publicUrl}/ca/issuing.crl`,
  });

  const store = await openStore(settings, files.registry);
  closers.push(() => store.close());

  const metrics = createMetrics();
  let engine: DirectMethodEngine | null = null;
  let app: App | null = null;
  const presence = new PresenceDirectory({
    store,
    onConnected: (deviceId) => engine?.onDeviceConnected(deviceId),
    onCount: (count) => metrics.setConnectedDevices(count),
    onError: (error) => logger.error({ err: error }, 'presence could not be written'),
  });
  const management = await managementClient(settings);
  let crlTimer: NodeJS.Timeout | null = null;
  const crlSoon = (): void => {
    crlTimer ??= setTimeout(() => {
      crlTimer = null;
      refreshCrl(revocation, publisher, store).catch((error: unknown) =>
        logger.error({ err: error }, 'the CRL could not be made anew'),
      );
    }, CRL_GATHER_MS);
  };
  const onChange = (change: Change, own: boolean): void => {
    if (change.kind === 'session') app?.sessionEnded(change.sessionId);
    else {
      // Who made the change has published for the brokers that read its folder; others read ours.
      if (!own) crlSoon();
      app?.deviceChanged(change.deviceId);
      void forgetIfRemoved(store, presence, change.deviceId).catch((error: unknown) =>
        logger.warn({ err: error }, 'a removed device stays in memory'),
      );
    }
  };
  const link = new BrokerLink({
    url: `amqps://${settings.POSTERN_AMQPS_HOST}:${settings.POSTERN_AMQPS_PORT}`,
    tls: { caFile: join(files.caDir, 'rootca.pem'), certFile: files.amqpsCert, keyFile: files.amqpsKey },
    instanceId: randomBytes(6).toString('hex'),
    management: management.client,
    presence,
    logger,
    onChange,
    onUp: (up) => metrics.setBrokerUp(up),
    onReconnect: () => metrics.brokerReconnected(),
  });
  engine = new DirectMethodEngine({
    transport: link,
    presence,
    onBug: (error) => logger.error({ err: error }, 'a direct method failed in a way that was not foreseen'),
  });

  const publisher: CrlPublisher = {
    publish: async (list) => void (await writeCrlToFolder(files.crlDir, list)),
  };
  app = buildApp({
    config,
    store,
    issuer: createCertificateIssuer(authority),
    sealer: createKeySealer(Buffer.from(key, 'base64')),
    methods: engine,
    sessions: management.closer,
    notifier: link,
    crlPublisher: publisher,
    presence,
    health: { broker: () => (link.fault === null ? { ok: true } : { ok: false, detail: link.fault }) },
    tokenKey,
    clock: systemClock,
    logger,
    metrics,
  });
  const { revocation } = app;
  await refreshCrl(revocation, publisher, store);

  const access = new DeviceAccess({
    devices: store,
    ...(management.password !== null && { managementPassword: management.password }),
  });
  const auth = createBrokerAuthServer({
    access,
    logger,
    tls: {
      cert: await readFile(files.authCert, 'utf8'),
      key: await secretText(files.authKey, "The key for the broker's questions"),
      ca: authority.trustBundlePem,
    },
  });
  await listen(
    auth,
    { port: settings.POSTERN_BROKER_AUTH_PORT, host: '127.0.0.1' },
    'POSTERN_BROKER_AUTH_PORT',
  );
  closers.push(() => {
    auth.closeAllConnections();
    return new Promise<void>((done) => auth.close(() => done()));
  });

  const https = createHttpsServer(app.listener, {
    tls: {
      cert: await readFile(files.httpsCert, 'utf8'),
      key: await secretText(files.httpsKey, 'The HTTPS key'),
    },
    limits: config.limits,
  });
  await listen(
    https,
    { port: settings.POSTERN_HTTPS_PORT, host: settings.POSTERN_HTTPS_HOST },
    'POSTERN_HTTPS_PORT',
  );
  const port = (https.address() as AddressInfo).port;

  const housekeeping = setInterval(() => {
    store
      .purge(Date.now())
      .catch((error: unknown) => logger.error({ err: error }, 'what has expired could not be deleted'));
    refreshCrl(revocation, publisher, store).catch((error: unknown) =>
      logger.error({ err: error }, 'the CRL could not be made anew'),
    );
  }, HOUSEKEEPING_MS);
  housekeeping.unref();

  await link.start(engine);
  // In reverse: no new requests, answers finish, then what they need goes.
  closers.push(
    () => presence.flush(),
    () => app.close(),
    () => link.close(),
    () => engine.close(),
    () => clearInterval(housekeeping),
    () => clearTimeout(crlTimer ?? undefined),
    async () => {
      app.beginShutdown();
      await closeGracefully(https, config.limits.shutdownMs);
    },
  );
  logger.info({ port, store: store.kind, instanceId: link.instanceId }, 'the gateway listens');
  return { url: `https://localhost:${port}`, close };
}

async function openStore(settings: Settings, file: string): Promise<Store> {
  const { POSTERN_MONGODB_URL: url, POSTERN_MONGODB_CA_FILE: caFile } = settings;
  if (url === undefined) return openSqliteStore({ file });
  // Its driver takes 12 MB of memory: loaded where it is used.
  const { openMongoStore } = await import('./store/mongo/index.js');
  return openMongoStore({ url, ...(caFile !== undefined && { caFile }) });
}

/** Without the API nothing closes sessions: what is revoked ends at its next login. */
const noSessions: SessionCloser = { closeSessions: () => Promise.resolve() };

async function managementClient(
  settings: Settings,
): Promise<{ client: ManagementClient | null; closer: SessionCloser; password: string | null }> {
  const { POSTERN_MANAGEMENT_URL: url, POSTERN_MANAGEMENT_PASSWORD_FILE: file } = settings;
  const password = file === undefined ? null : await secretText(file, 'The management password file');
  if (url === undefined || password === null) return { client: null, closer: noSessions, password };
  const client = new ManagementClient({ url, username: MANAGEMENT_USERNAME, password });
  return { client, closer: client, password };
}

/**
 * Publishes a list of what is revoked now. Another instance may publish at the same time: whoever wrote last looks
 * once more, so that no list that lacks a revocation stays.
 */
async function refreshCrl(
  revocation: App['revocation'],
  publisher: CrlPublisher,
  store: Pick<Store, 'listRevoked'>,
): Promise<void> {
  const serials = async (): Promise<string> =>
    (await store.listRevoked(Date.now()))
      .map(({ serial }) => serial)
      .sort()
      .join();
  for (let attempt = 0; attempt < 5; attempt++) {
    const before = await serials();
    await publisher.publish(await revocation.renew());
    if ((await serials()) === before) return;
  }
}

async function forgetIfRemoved(store: Store, presence: PresenceDirectory, deviceId: string): Promise<void> {
  const device = await store.findDeviceById(deviceId);
  if (!device || device.removedAt !== null) presence.forget(deviceId);
}

/** A port cannot be listened on. */
export class ListenError extends Error {
  readonly code = 'PORT_UNAVAILABLE';
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ListenError';
  }
}

function listen(server: Server, at: { port: number; host: string }, setting: string): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'it is taken' : error.message;
      fail(
        new ListenError(
          `Cannot listen on port ${at.port} of ${at.host}: ${why}. Choose another with ${setting}.`,
          { cause: error },
        ),
      );
    });
    server.listen(at, () => done());
  });
}
