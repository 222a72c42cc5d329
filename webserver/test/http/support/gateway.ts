import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAuthority, type Authority } from '@postern/certs';
import { METHODS, type JsonObject } from '@postern/protocol';
import { buildApp, type App, type AppDeps } from '../../../src/app.js';
import { createCertificateIssuer } from '../../../src/authority/certificate-issuer.js';
import { createKeySealer } from '../../../src/authority/key-sealer.js';
import { httpConfig, loadSettings, type HttpConfig } from '../../../src/config.js';
import { ExpectedError } from '../../../src/domain/errors.js';
import type { Presence } from '../../../src/domain/model.js';
import type { MethodCall } from '../../../src/domain/ports.js';
import type { CertificateRevocationList } from '../../../src/domain/revocation.js';
import type { Store } from '../../../src/domain/store.js';
import { createExchangeValidator } from '../../../src/http/exchange-validator.js';
import { closeGracefully, createHttpsServer } from '../../../src/http/server.js';
import { createLogger } from '../../../src/logging.js';
import { createMetrics } from '../../../src/metrics.js';
import { openSqliteStore } from '../../../src/store/sqlite/index.js';
import { Client } from './client.js';

/** Devices in the test's own process, behind the DirectMethods port; the broker has its own tests. */
export class ScriptedDevices {
  readonly calls: MethodCall[] = [];
  /** By method; falls back to an FT900 that works. */
  answers = new Map<string, (call: MethodCall) => Promise<JsonObject> | JsonObject>();
  private readonly pins = new Map<number, number>();

  async call(call: MethodCall): Promise<JsonObject> {
    this.calls.push(call);
    const scripted = this.answers.get(call.method);
    if (scripted) return scripted(call);
    if (!METHODS.has(call.method)) return { echo: call.payload };
    const { payload } = call;
    switch (call.method) {
      case 'set_gpio':
        this.pins.set(Number(payload['number']), Number(payload['value']));
        return { ...payload };
      case 'get_gpio':
        return { number: payload['number'], value: this.pins.get(Number(payload['number'])) ?? 0 };
      case 'get_status':
        return { status: 'running' };
      case 'set_status':
        return { status: 'restarting' };
      case 'get_rtc':
        return { value: 1_561_700_000 };
      case 'get_mac':
        return { value: '02:00:00:12:34:56' };
      case 'get_ip':
        return { value: '192.168.1.2' };
      case 'get_subnet':
        return { value: '255.255.255.0' };
      case 'get_gateway':
        return { value: '192.168.1.1' };
      default:
        return { ...payload };
    }
  }

  fail(method: string, code: ConstructorParameters<typeof ExpectedError>[0], options = {}): void {
    this.answers.set(method, () => Promise.reject(new ExpectedError(code, options)));
  }
}

export class TestClock {
  private skewMs = 0;
  private frozenAt: number | null = null;
  now = (): number => (this.frozenAt ?? Date.now()) + this.skewMs;
  advance(ms: number): void {
    this.skewMs += ms;
  }
  /** From now on time passes by {@link advance} alone, however slow the machine is. */
  freeze(): void {
    this.frozenAt = Date.now();
  }
}

export interface Gateway {
  app: App;
  client: Client;
  server: Server;
  port: number;
  devices: ScriptedDevices;
  presence: Map<string, Presence>;
  clock: TestClock;
  store: Store;
  authority: Authority;
  published: CertificateRevocationList[];
  closedSessions: string[];
  events: string[];
  logs: string[];
  health: { ok: boolean; detail?: string };
  config: HttpConfig;
  dir: string;
  /** A new user with its tokens. */
  user(name?: string): Promise<{ username: string; password: string; token: string; refreshToken: string }>;
  stop(): Promise<void>;
}

export interface GatewayOptions {
  env?: Record<string, string>;
  config?: Partial<HttpConfig>;
  deps?: Partial<AppDeps>;
}

let names = 0;

/** The HTTP side with a real certificate, TLS and SQLite file, on a free port. */
export async function startGateway(options: GatewayOptions = {}): Promise<Gateway> {
  const dir = mkdtempSync(join(tmpdir(), 'postern-http-'));
  const authority = await createAuthority({
    dir: join(dir, 'ca'),
    keyFile: join(dir, 'ca.key'),
    crlUrl: 'https://localhost:8443/ca/issuing.crl',
  });
  const store = await openSqliteStore({ file: join(dir, 'registry.db') });
  const config: HttpConfig = {
    // Hashing at its real cost would take most of the test's time.
    ...httpConfig(loadSettings({ POSTERN_LOGIN_RATE: '10000', POSTERN_SCRYPT_COST: '15', ...options.env })),
    ...options.config,
  };
  const devices = new ScriptedDevices();
  const presence = new Map<string, Presence>();
  const clock = new TestClock();
  const published: CertificateRevocationList[] = [];
  const closedSessions: string[] = [];
  const events: string[] = [];
  const logs: string[] = [];
  const health: Gateway['health'] = { ok: true };
  const app = buildApp({
    config,
    store,
    issuer: createCertificateIssuer(authority),
    sealer: createKeySealer(randomBytes(32)),
    methods: devices,
    sessions: {
      closeSessions: async (deviceId) => {
        closedSessions.push(deviceId);
        events.push('sessions closed');
      },
    },
    notifier: {
      deviceChanged: () => events.push('device changed'),
      sessionEnded: () => events.push('session ended'),
    },
    crlPublisher: {
      publish: async (list) => {
        published.push(list);
        events.push('crl published');
      },
    },
    presence: {
      get: async (id) => presence.get(id) ?? null,
      getMany: async () => presence,
    },
    health: { broker: () => health },
    tokenKey: randomBytes(32),
    clock,
    logger: createLogger({ level: 'info', stream: { write: (line) => void logs.push(line) } }),
    metrics: createMetrics({ processMetrics: false }),
    ...options.deps,
  });
  const https = await authority.issueHttpsServer({ dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] });
  const server = createHttpsServer(app.listener, {
    tls: { cert: https.chainPem, key: https.privateKeyPem! },
    limits: config.limits,
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = new Client(port, authority.rootCaPem, createExchangeValidator(app.openApi));

  return {
    app,
    client,
    server,
    port,
    devices,
    presence,
    clock,
    store,
    authority,
    published,
    closedSessions,
    events,
    logs,
    health,
    config,
    dir,
    async user(name) {
      names += 1;
      const username = name ?? `user${names}`;
      const password = `password of ${username}`;
      const made = await client.post('/api/v1/auth/signup', { username, password });
      if (made.status !== 201) throw new Error(`signup: ${made.text}`);
      const { body } = await client.post('/api/v1/auth/login', { username, password });
      return { username, password, token: body.accessToken, refreshToken: body.refreshToken };
    },
    async stop() {
      client.close();
      if (server.listening) await closeGracefully(server, 0);
      await app.close();
      await store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
