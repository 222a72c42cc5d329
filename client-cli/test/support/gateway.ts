import { randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { X509Certificate } from 'node:crypto';
import {
  ERRORS,
  credentialsSchema,
  jsonObjectSchema,
  loginSchema,
  newDeviceId,
  postUartSchema,
  problemType,
  putGpioSchema,
  putMacSchema,
  putRtcSchema,
  refreshSchema,
  registerDeviceSchema,
  renewCertificateSchema,
  revokeCertificateSchema,
  type ErrorCode,
  type JsonObject,
} from '@postern/protocol';
import type { z } from 'zod';
import { execFileSync } from 'node:child_process';
import { signRequest, type ServerCertificate, type TestCa } from './certificates.js';

/**
 * The gateway's side of /api/v1 after the schemas of @postern/protocol, over real TLS, with what a real gateway
 * cannot be made to do on demand: expire a token, break a connection, answer any error.
 */
interface RefusalDetails {
  detail?: string;
  headers?: Record<string, string>;
  extra?: object | undefined;
}

class Refusal extends Error {
  constructor(
    readonly code: ErrorCode,
    readonly more: RefusalDetails = {},
  ) {
    super(code);
  }
}

interface Certificate {
  serial: string;
  pem: string;
  state: 'active' | 'revoked';
  revokedAt: string | null;
  reason: string | null;
}
interface Device {
  id: string;
  name: string;
  owner: string;
  connected: boolean;
  certificates: Certificate[];
  pins: Map<number, 0 | 1>;
  rtc: number;
  mac: string;
}
interface Seen {
  method: string;
  path: string;
  body: unknown;
  idempotencyKey: string | undefined;
  socket: object;
}
interface Login {
  username: string;
  access: Set<string>;
  refresh: string;
}

export class TestGateway {
  readonly users = new Map<string, string>();
  readonly devices: Device[] = [];
  readonly seen: Seen[] = [];
  /** What the next calls meet instead of their route. */
  readonly faults: ((request: IncomingMessage, response: ServerResponse) => boolean)[] = [];
  readonly executions = new Map<string, { status: number; body: unknown }>();
  readonly logins: Login[] = [];
  refreshes = 0;
  /** Seconds that access tokens are said to last. */
  expiresIn = 900;
  pageSize = 200;

  private constructor(
    private readonly server: Server,
    private readonly ca: TestCa,
  ) {}

  static async start(ca: TestCa, certificate: ServerCertificate, port = 0): Promise<TestGateway> {
    const server = createServer({ ...certificate });
    const gateway = new TestGateway(server, ca);
    server.on('request', (request, response) => void gateway.handle(request, response));
    // A client that does not trust us ends the handshake; that is its right.
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    gateway.port = (server.address() as AddressInfo).port;
    return gateway;
  }

  port = 0;
  get url(): string {
    return `https://localhost:${this.port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** Makes every access token that was given out unknown. */
  forgetAccessTokens(): void {
    for (const login of this.logins) login.access.clear();
  }

  failNext(code: ErrorCode, more: RefusalDetails = {}): void {
    this.faults.push((_request, response) => {
      this.refuse(response, new Refusal(code, more));
      return true;
    });
  }

  addDevice(owner: string, name: string, connected = true): Device {
    const device: Device = {
      id: newDeviceId(),
      name,
      owner,
      connected,
      certificates: [],
      pins: new Map(),
      rtc: 1_561_700_000,
      mac: '02:00:00:12:34:56',
    };
    this.devices.push(device);
    return device;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const text = Buffer.concat(parts).toString('utf8');
    const key = request.headers['idempotency-key'];
    const body: unknown = text === '' ? undefined : JSON.parse(text);
    this.seen.push({
      method: request.method ?? '',
      path: request.url ?? '',
      body,
      idempotencyKey: typeof key === 'string' ? key : undefined,
      socket: request.socket,
    });
    const fault = this.faults.shift();
    if (fault?.(request, response) === true) return;
    try {
      const known = typeof key === 'string' ? this.executions.get(key) : undefined;
      const answer = known ?? this.route(request, body);
      if (typeof key === 'string') this.executions.set(key, answer);
      response.writeHead(answer.status, { 'content-type': 'application/json', 'x-request-id': 'req-test' });
      response.end(answer.status === 204 ? undefined : JSON.stringify(answer.body));
    } catch (error) {
      this.refuse(
        response,
        error instanceof Refusal ? error : new Refusal('INTERNAL', { detail: String(error) }),
      );
    }
  }

  /** Lets a request that a fault has kept go on to its route. */
  answer(request: IncomingMessage, response: ServerResponse, body: unknown): void {
    const { status, body: content } = this.route(request, body);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(content));
  }

  private refuse(response: ServerResponse, { code, more }: Refusal): void {
    const { status, title } = ERRORS[code];
    response.writeHead(status, { 'content-type': 'application/problem+json', ...more.headers });
    response.end(
      JSON.stringify({
        type: problemType(code),
        title,
        status,
        code,
        detail: more.detail,
        requestId: 'req-test',
        ...more.extra,
      }),
    );
  }

  private route(request: IncomingMessage, body: unknown): { status: number; body: unknown } {
    const url = new URL(request.url ?? '', this.url);
    const [api, v1, room, ...rest] = url.pathname.split('/').slice(1).map(decodeURIComponent);
    if (api !== 'api' || v1 !== 'v1') throw new Refusal('NOT_FOUND');
    if (room === 'auth') return this.auth(request, rest[0] ?? '', body);
    if (room !== 'devices') throw new Refusal('NOT_FOUND');
    const user = this.user(request);
    if (rest.length === 0) return request.method === 'GET' ? this.list(user, url) : this.register(user, body);
    const device = this.devices.find(({ owner, name }) => owner === user && name === rest[0]);
    if (device === undefined) throw new Refusal('DEVICE_NOT_FOUND');
    return this.device(device, `${request.method} ${rest[1] ?? ''}`, rest.slice(2), body);
  }

  private auth(request: IncomingMessage, verb: string, body: unknown): { status: number; body: unknown } {
    if (verb === 'signup') {
      const { username, password } = parse(credentialsSchema, body);
      if (this.users.has(username)) throw new Refusal('USERNAME_TAKEN');
      this.users.set(username, password);
      return { status: 201, body: { username, createdAt: new Date().toISOString() } };
    }
    if (verb === 'login') {
      const { username, password } = parse(loginSchema, body);
      if (this.users.get(username) !== password) throw new Refusal('BAD_CREDENTIALS');
      const login: Login = { username, access: new Set(), refresh: '' };
      this.logins.push(login);
      return { status: 200, body: this.tokens(login) };
    }
    if (verb === 'refresh') {
      const { refreshToken } = parse(refreshSchema, body);
      const login = this.logins.find(({ refresh }) => refresh === refreshToken);
      if (login === undefined)
        throw new Refusal('UNAUTHENTICATED', { detail: 'The refresh token was used already' });
      this.refreshes += 1;
      return { status: 200, body: this.tokens(login) };
    }
    const username = this.user(request);
    if (verb === 'whoami') return { status: 200, body: { username, createdAt: new Date().toISOString() } };
    if (verb !== 'logout') throw new Refusal('NOT_FOUND');
    this.logins.splice(
      this.logins.findIndex((login) => login.access.has(bearer(request))),
      1,
    );
    return { status: 204, body: null };
  }

  private tokens(login: Login): object {
    const access = randomBytes(16).toString('hex');
    login.access.add(access);
    login.refresh = randomBytes(16).toString('hex');
    return {
      accessToken: access,
      tokenType: 'Bearer',
      expiresIn: this.expiresIn,
      refreshToken: login.refresh,
      refreshExpiresIn: 2_592_000,
      username: login.username,
    };
  }

  private user(request: IncomingMessage): string {
    const login = this.logins.find(({ access }) => access.has(bearer(request)));
    if (login === undefined) throw new Refusal('TOKEN_EXPIRED');
    return login.username;
  }

  private list(user: string, url: URL): { status: number; body: unknown } {
    const limit = Math.min(Number(url.searchParams.get('limit') ?? 50), this.pageSize);
    const own = this.devices.filter(({ owner }) => owner === user).sort((a, b) => (a.name < b.name ? -1 : 1));
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const devices = own.slice(from, from + limit).map(view);
    return {
      status: 200,
      body: { devices, nextCursor: from + limit < own.length ? String(from + limit) : null },
    };
  }

  private register(user: string, body: unknown): { status: number; body: unknown } {
    const request = parse(registerDeviceSchema, body);
    if (this.devices.some(({ owner, name }) => owner === user && name === request.name))
      throw new Refusal('DEVICE_NAME_TAKEN');
    return { status: 201, body: this.issue(this.addDevice(user, request.name, false), request.csr) };
  }

  private issue(device: Device, csr: string | undefined): object {
    let key: string | undefined;
    let request = csr;
    if (request === undefined) {
      const made = execFileSync(
        'openssl',
        ['req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=x', '-keyout', '-', '-out', '-'],
        {
          stdio: ['ignore', 'pipe', 'ignore'],
        },
      ).toString();
      key = made.slice(0, made.indexOf('-----BEGIN CERTIFICATE REQUEST'));
      request = made.slice(made.indexOf('-----BEGIN CERTIFICATE REQUEST'));
    }
    const pem = signRequest(this.ca, request, device.id);
    const certificate: Certificate = {
      serial: new X509Certificate(pem).serialNumber.toLowerCase(),
      pem,
      state: 'active',
      revokedAt: null,
      reason: null,
    };
    device.certificates.unshift(certificate);
    return {
      device: view(device),
      certificate: certificateView(certificate),
      certificatePem: pem,
      chainPem: pem + this.ca.caPem,
      rootCaPem: this.ca.caPem,
      ...(key === undefined ? {} : { privateKeyPem: key }),
      connection: {
        clientId: device.id,
        mqtts: { host: 'localhost', port: 8883 },
        amqps: { host: 'localhost', port: 5671 },
        subscribe: `${device.id}/#`,
        publish: `server/${device.id}/<method>`,
      },
    };
  }

  private device(
    device: Device,
    verb: string,
    rest: string[],
    body: unknown,
  ): { status: number; body: unknown } {
    const ok = (value: unknown): { status: number; body: unknown } => ({ status: 200, body: value });
    switch (verb) {
      case 'GET ':
        return ok(view(device));
      case 'DELETE ':
        this.devices.splice(this.devices.indexOf(device), 1);
        return { status: 204, body: null };
      case 'GET certificates':
        return ok({ certificates: device.certificates.map(certificateView) });
      case 'POST certificates': {
        if (rest[0] === 'renew')
          return { status: 201, body: this.issue(device, parse(renewCertificateSchema, body).csr) };
        const { reason } = parse(revokeCertificateSchema, body);
        const certificate = device.certificates.find(({ serial }) => serial === rest[0]);
        if (certificate === undefined) throw new Refusal('CERTIFICATE_NOT_FOUND');
        if (certificate.state === 'revoked') throw new Refusal('CERTIFICATE_ALREADY_REVOKED');
        Object.assign(certificate, {
          state: 'revoked',
          revokedAt: new Date().toISOString(),
          reason: reason ?? 'unspecified',
        });
        return ok(certificateView(certificate));
      }
    }
    if (!device.connected) throw new Refusal('DEVICE_OFFLINE', { detail: `${device.name} is not connected` });
    const pin = Number(rest[0]);
    switch (verb) {
      case 'GET gpio':
        return ok({ number: pin, value: device.pins.get(pin) ?? 0 });
      case 'PUT gpio':
        device.pins.set(pin, parse(putGpioSchema, body).value);
        return ok({ number: pin, value: device.pins.get(pin) });
      case 'PUT rtc':
        device.rtc = parse(putRtcSchema, body).value;
        return ok({ value: device.rtc });
      case 'GET rtc':
        return ok({ value: device.rtc });
      case 'PUT mac':
        device.mac = parse(putMacSchema, body).value;
        return ok({ value: device.mac });
      case 'GET mac':
        return ok({ value: device.mac });
      case 'GET network':
        return ok({ ip: '192.168.1.7', subnet: '255.255.255.0', gateway: '192.168.1.1', mac: device.mac });
      case 'GET status':
        return ok({ status: 'running' });
      case 'POST reset':
        return ok({ status: 'restarting' });
      case 'POST uart':
        return ok(parse(postUartSchema, body));
      case 'POST methods':
        return ok({ method: rest[0], got: parse(jsonObjectSchema, body) satisfies JsonObject });
      default:
        throw new Refusal('NOT_FOUND');
    }
  }
}

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map(({ path, message }) => ({
    path: `body.${path.join('.')}`,
    message,
  }));
  throw new Refusal('VALIDATION_FAILED', { extra: { errors } });
}

const bearer = (request: IncomingMessage): string =>
  (request.headers.authorization ?? '').replace(/^Bearer /, '');

const view = (device: Device): object => ({
  name: device.name,
  id: device.id,
  createdAt: '2026-01-01T00:00:00.000Z',
  keyType: 'ec-p256',
  presence: {
    connected: device.connected,
    lastSeenAt: device.connected ? new Date().toISOString() : null,
    address: device.connected ? '192.168.1.7:49152' : null,
    transport: device.connected ? 'MQTT 3.1.1' : null,
    protocol: device.connected ? 2 : null,
    model: null,
    version: null,
  },
});

const certificateView = ({ serial, pem, state, revokedAt, reason }: Certificate): object => {
  const x509 = new X509Certificate(pem);
  const iso = (text: string): string => new Date(text).toISOString();
  return {
    serial,
    fingerprintSha256: x509.fingerprint256.replaceAll(':', '').toLowerCase(),
    notBefore: iso(x509.validFrom),
    notAfter: iso(x509.validTo),
    issuedAt: iso(x509.validFrom),
    state,
    revokedAt,
    revocationReason: reason,
  };
};
