import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { parse as parseQuery } from 'node:querystring';
import helmet from 'helmet';
import type { Logger } from 'pino';
import type { Accounts, Principal } from '../domain/accounts.js';
import type { Origin } from '../domain/audit.js';
import { ExpectedError } from '../domain/errors.js';
import type { Idempotency } from '../domain/idempotency.js';
import type { IdempotentAnswer } from '../domain/model.js';
import { limitKey, type AddressReader } from './address.js';
import { bearerToken } from './bearer.js';
import { ClientGone, endAfterDrain, hasBody, parseJson, readBody } from './body.js';
import { MethodNotAllowedError } from './method-not-allowed.js';
import { flatRegistryStatus, flatStatus, problemDocument, PROBLEM_TYPE, toExpected } from './problem.js';
import type { RateLimit } from './rate-limit.js';
import type { Context, Reply, Route, RouteStyle } from './route.js';
import { validate } from './validate.js';

const JSON_TYPE = 'application/json; charset=utf-8';
const REQUEST_ID = /^[A-Za-z0-9_-]{1,64}$/;
const IDEMPOTENCY_KEY = /^[\x20-\x7e]{1,255}$/;
/** How long a call without a `timeoutMs` of its own may take before its Idempotency-Key tells of an unknown outcome. */
const DEFAULT_IDEMPOTENT_MS = 30_000;
const NO_QUERY = Object.freeze({});
/** Of a path, so many characters are written to the log. */
const PATH_LOGGED = 200;

/** Counts what passes; one implementation is `createMetrics()`. */
export interface RequestMeter {
  requestStarted(): void;
  requestFinished(route: string, status: number, seconds: number): void;
}

export interface PipelineOptions {
  readonly accounts: Accounts;
  readonly idempotency: Idempotency;
  readonly loginLimit: RateLimit;
  readonly meter: RequestMeter;
  readonly logger: Logger;
  readonly addressOf: AddressReader;
  /** The public URL's host is a name of the machine itself: no Strict-Transport-Security, which would bind all its ports. */
  readonly localOnly: boolean;
}

/** A request and what was found out by finding its route. */
export interface Exchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The request target as it came, query included. */
  readonly url: string;
  /** Parameters of the path, decoded. */
  readonly params: Readonly<Record<string, unknown>>;
}

interface Outgoing {
  readonly status: number;
  /** Text goes out in one write with the headers. */
  readonly body: string | Buffer | null;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** What every route passes through: headers, body, authentication, validation, answer, and the line in the log. */
export class Pipeline {
  private readonly secureApi: readonly string[];
  private readonly securePage: readonly string[];
  /**
   * For the line of a request, which holds nothing that could be a secret: to look for some would cost more than all
   * checks of a call.
   */
  private readonly requestLog: Logger;
  private shuttingDown = false;
  private open = 0;

  constructor(private readonly options: PipelineOptions) {
    this.requestLog = options.logger.child({}, { redact: [] });
    this.secureApi = secureHeaders(options.localOnly, {
      defaultSrc: ["'none'"],
      frameAncestors: ["'none'"],
    });
    this.securePage = secureHeaders(options.localOnly, {
      defaultSrc: ["'none'"],
      scriptSrc: ["'self'"],
      // Swagger UI sets style attributes.
      styleSrc: ["'self'", "'unsafe-inline'"],
      imgSrc: ["'self'", 'data:'],
      connectSrc: ["'self'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
      frameAncestors: ["'none'"],
    });
  }

  /** Requests that are not answered yet. */
  get inFlight(): number {
    return this.open;
  }

  /** From now on each answer closes its connection, and new requests get SHUTTING_DOWN. */
  beginShutdown(): void {
    this.shuttingDown = true;
  }

  handler(route: Route): (exchange: Exchange) => Promise<void> {
    const secure = route.page ? this.securePage : this.secureApi;
    return (exchange) =>
      this.serve(exchange, route, secure, (requestId, address) =>
        this.handle(exchange, route, { requestId, address }),
      );
  }

  /** For what no route serves: `decide` throws or answers. */
  fallback(
    kind: { style: RouteStyle; close: (url: string) => boolean },
    decide: (method: string | undefined) => Reply,
  ): (exchange: Exchange) => Promise<void> {
    return (exchange) => {
      const { req, url } = exchange;
      const pseudo = { style: kind.style, path: '(none)', close: kind.close(url) };
      return this.serve(exchange, pseudo, this.secureApi, async () => {
        if (hasBody(req)) await readBody(req);
        return this.outgoing(decide(req.method));
      });
    };
  }

  private async serve(
    { req, res, url }: Exchange,
    route: Pick<Route, 'style' | 'path' | 'ngFields'> & { close?: boolean },
    secure: readonly string[],
    work: (requestId: string, address: string | null) => Promise<Outgoing>,
  ): Promise<void> {
    const startedAt = performance.now();
    const { meter, logger } = this.options;
    const address = this.options.addressOf(req);
    const given = req.headers['x-request-id'];
    const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
    this.open += 1;
    meter.requestStarted();
    let status = 0;
    let code: string | undefined;
    try {
      let outgoing: Outgoing;
      try {
        outgoing = await work(requestId, address);
      } catch (thrown) {
        if (thrown instanceof ClientGone) return;
        const error = toExpected(thrown);
        code = error.code;
        if (code === 'INTERNAL')
          logger.error({ requestId, err: error.cause ?? error }, 'a request failed by a bug');
        else if (error.status >= 500 && error.cause !== undefined)
          logger.warn({ requestId, code, err: error.cause }, 'a request failed');
        outgoing = this.errorAnswer(route, error, requestId);
      }
      status = outgoing.status;
      if (res.destroyed || res.headersSent) return;
      const close = (route.style !== 'api' || route.close === true) && status !== 200;
      this.send(req, res, outgoing, { close, fixed: [...secure, 'X-Request-Id', requestId] });
    } finally {
      this.open -= 1;
      const ms = performance.now() - startedAt;
      meter.requestFinished(route.path, status, ms / 1000);
      this.requestLog.info({
        requestId,
        method: req.method,
        path: pathOf(url).slice(0, PATH_LOGGED),
        status,
        ...(code !== undefined && { code }),
        ms: Math.round(ms * 100) / 100,
        address,
      });
    }
  }

  private async handle({ req, url, params }: Exchange, route: Route, origin: Origin): Promise<Outgoing> {
    const { accounts, idempotency, loginLimit } = this.options;
    const raw = hasBody(req) ? await readBody(req) : null;
    if (this.shuttingDown) throw new ExpectedError('SHUTTING_DOWN', { retryAfterSeconds: 1, notSent: true });
    if (route.loginLimited) loginLimit.take(limitKey(origin.address));

    const body = this.bodyOf(req, route, raw);
    const principal =
      route.auth === 'bearer'
        ? await accounts.authenticateToken(bearerToken(req))
        : route.auth === 'flat'
          ? await flatPrincipal(accounts, body as Record<string, unknown>)
          : null;
    const ctx = new RequestContext(route.operationId, principal, {
      req,
      params: route.params ? validate(route.params, params, 'path') : undefined,
      query: route.query ? validate(route.query, queryOf(url), 'query') : undefined,
      body: route.body ? validate(route.body, body, 'body') : undefined,
      origin,
    });

    const key = route.idempotent ? idempotencyKey(req) : null;
    if (key === null || !principal) return this.located(route, ctx, this.outgoing(await route.handle(ctx)));
    const timeoutMs = (ctx.query as { timeoutMs?: number } | undefined)?.timeoutMs ?? DEFAULT_IDEMPOTENT_MS;
    const { answer, replayed } = await idempotency.run(
      {
        userId: principal.userId,
        key,
        fingerprint: fingerprint(`${req.method} ${pathOf(url)}`, ctx),
        timeoutMs,
      },
      async () => toAnswer(this.outgoing(await route.handle(ctx))),
      (error) => toAnswer(this.errorAnswer(route, error, origin.requestId)),
    );
    const outgoing: Outgoing = {
      status: answer.status,
      body: answer.status === 204 ? null : answer.body,
      contentType: answer.contentType,
      headers: replayed ? { 'Idempotency-Replayed': 'true' } : undefined,
    };
    return this.located(route, ctx, outgoing);
  }

  private bodyOf(req: IncomingMessage, route: Route, raw: Buffer | null): unknown {
    if (route.style === 'api') {
      if (!raw || raw.length === 0) return route.bodyOptional ? {} : undefined;
      if (!route.body) return undefined;
      if (!/^application\/json\s*(?:;|$)/i.test(req.headers['content-type'] ?? '') || encoded(req))
        throw new ExpectedError('UNSUPPORTED_MEDIA_TYPE');
      return parseJson(raw);
    }
    // The flat calls' clients are not asked for a media type; their bodies are objects, on GET as well.
    if (encoded(req)) throw new ExpectedError('UNSUPPORTED_MEDIA_TYPE');
    const parsed = raw ? parseJson(raw) : undefined;
    const value = parsed === undefined ? {} : parsed;
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new ExpectedError('MALFORMED_JSON', { detail: 'The body must be one JSON object.' });
    return value;
  }

  private located(route: Route, ctx: Context, outgoing: Outgoing): Outgoing {
    if (!route.location || outgoing.status !== 201) return outgoing;
    return { ...outgoing, headers: { ...outgoing.headers, Location: route.location(ctx) } };
  }

  private outgoing(reply: Reply): Outgoing {
    const { status, bytes, headers } = reply;
    if (bytes)
      return { status, body: bytes, contentType: reply.contentType ?? 'application/octet-stream', headers };
    if (reply.json === undefined) return { status, body: null, contentType: '', headers };
    const contentType = reply.contentType ?? JSON_TYPE;
    return { status, body: JSON.stringify(reply.json), contentType, headers };
  }

  private errorAnswer(
    route: Pick<Route, 'style' | 'ngFields'>,
    error: ExpectedError,
    requestId: string,
  ): Outgoing {
    const headers: Record<string, string> = {};
    if (error.retryAfterSeconds !== undefined) headers['Retry-After'] = String(error.retryAfterSeconds);
    if (error instanceof MethodNotAllowedError) headers['Allow'] = error.allow;
    if (route.style === 'api') {
      if (error.status === 401) headers['WWW-Authenticate'] = 'Bearer realm="postern"';
      const body = JSON.stringify(problemDocument(error, requestId));
      return { status: error.status, body, contentType: PROBLEM_TYPE, headers };
    }
    const status = route.style === 'flat-registry' ? flatRegistryStatus(error) : error.status;
    // With 200 what the contract says and no more; the request id is in the headers.
    const answer = {
      status: flatStatus(error),
      ...route.ngFields,
      ...(status !== 200 && { code: error.code, requestId }),
    };
    return { status, body: JSON.stringify(answer), contentType: JSON_TYPE, headers };
  }

  /** `fixed` are header names and values in turn: node takes such a list as it is, which setHeader() would check one by one. */
  private send(
    req: IncomingMessage,
    res: ServerResponse,
    outgoing: Outgoing,
    options: { close: boolean; fixed: string[] },
  ): void {
    const { status, body, contentType, headers } = outgoing;
    const list = options.fixed;
    if (headers) for (const name of Object.keys(headers)) list.push(name, headers[name]!);
    if (headers?.['Cache-Control'] === undefined) list.push('Cache-Control', 'no-store');
    if (body !== null)
      list.push('Content-Type', contentType, 'Content-Length', String(Buffer.byteLength(body)));
    const unread = !req.complete && hasBody(req);
    if (options.close || unread || this.shuttingDown) list.push('Connection', 'close');
    res.writeHead(status, list);
    if (!unread) {
      res.end(body ?? undefined);
      return;
    }
    if (body !== null) res.write(body);
    else res.flushHeaders();
    endAfterDrain(req, res);
  }
}

/** A class, since a getter in an object literal gives each object a hidden class of its own, which is slow throughout. */
class RequestContext implements Context {
  readonly req: IncomingMessage;
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly origin: Origin;

  constructor(
    private readonly operationId: string,
    private readonly caller: Principal | null,
    { req, params, query, body, origin }: Omit<Context, 'principal'>,
  ) {
    this.req = req;
    this.params = params;
    this.query = query;
    this.body = body;
    this.origin = origin;
  }

  get principal(): Principal {
    if (!this.caller) throw new Error(`${this.operationId} asks who calls, and has no authentication`);
    return this.caller;
  }
}

/** Helmet's headers, which are the same for every answer, as names and values in turn. */
function secureHeaders(localOnly: boolean, directives: Record<string, string[]>): string[] {
  const apply = helmet({
    contentSecurityPolicy: { useDefaults: false, directives },
    strictTransportSecurity: localOnly ? false : { maxAge: 31_536_000, includeSubDomains: false },
    xXssProtection: false,
  });
  const list: string[] = [];
  const recorder = {
    setHeader: (name: string, value: string) => list.push(name, value),
    removeHeader: () => undefined,
  };
  apply({} as IncomingMessage, recorder as unknown as ServerResponse, (error?: unknown) => {
    if (error) throw error;
  });
  if (list.length === 0) throw new Error('helmet set no headers');
  return list;
}

const pathOf = (url: string): string => {
  const end = url.indexOf('?');
  return end < 0 ? url : url.slice(0, end);
};

const queryOf = (url: string): unknown => {
  const at = url.indexOf('?');
  return at < 0 ? NO_QUERY : { ...parseQuery(url.slice(at + 1)) };
};

const encoded = (req: IncomingMessage): boolean => {
  const encoding = req.headers['content-encoding'];
  return encoding !== undefined && encoding !== 'identity';
};

function flatPrincipal(accounts: Accounts, body: Record<string, unknown>): Promise<Principal> {
  const { username, secret } = body;
  if (typeof username !== 'string' || typeof secret !== 'string') throw new ExpectedError('UNAUTHENTICATED');
  return accounts.authenticateSecret(username, secret);
}

function idempotencyKey(req: IncomingMessage): string | null {
  const key = req.headers['idempotency-key'];
  if (key === undefined) return null;
  if (typeof key === 'string' && IDEMPOTENCY_KEY.test(key)) return key;
  throw new ExpectedError('VALIDATION_FAILED', {
    detail: 'Idempotency-Key must hold 1 to 255 printable ASCII characters.',
    errors: [{ path: 'header.Idempotency-Key', message: 'must be 1 to 255 printable ASCII characters' }],
  });
}

/** What makes a request the same one: resource and validated body, without the credentials and the wait. */
function fingerprint(resource: string, ctx: Context): string {
  const body = { ...(ctx.body as object | undefined) } as Record<string, unknown>;
  delete body['secret'];
  delete body['username'];
  return `${resource}\n${JSON.stringify(body)}`;
}

const toAnswer = ({ status, body, contentType }: Outgoing): IdempotentAnswer => ({
  status,
  body: body?.toString() ?? '',
  contentType,
});
