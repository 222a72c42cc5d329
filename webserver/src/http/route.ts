import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import type { ErrorCode } from '@postern/protocol';
import type { Principal } from '../domain/accounts.js';
import type { Origin } from '../domain/audit.js';

/** What a handler gets: all of it validated. */
export interface Context<P = unknown, Q = unknown, B = unknown> {
  readonly req: IncomingMessage;
  /** Throws on a route without authentication. */
  readonly principal: Principal;
  readonly params: P;
  readonly query: Q;
  readonly body: B;
  readonly origin: Origin;
}

/** What a handler answers: `json`, or `bytes` with their type, or nothing (204). */
export interface Reply {
  readonly status: number;
  readonly json?: unknown;
  readonly bytes?: Buffer;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ResponseSpec {
  readonly description: string;
  readonly schema?: z.ZodType;
  /** Default `application/json`; only where there is a schema or bytes. */
  readonly contentType?: string;
}

/** How errors are said: problem documents, or the flat calls' two ways (see wire-contract.md). */
export type RouteStyle = 'api' | 'flat-registry' | 'flat-control';

interface RouteBase {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** As express writes it: `/devices/:name`. */
  readonly path: string;
  readonly operationId: string;
  readonly summary: string;
  readonly description?: string;
  readonly tag: string;
  readonly style: RouteStyle;
  /** `bearer`: an access token; `flat`: `username` and `secret` in the body. */
  readonly auth: 'none' | 'bearer' | 'flat';
  /** The body may be left out and is `{}` then. */
  readonly bodyOptional?: boolean;
  /** Takes an Idempotency-Key. */
  readonly idempotent?: boolean;
  /** Counts against the login limit of the address. */
  readonly loginLimited?: boolean;
  /** Fields beside `status` of a flat answer that is `NG`. */
  readonly ngFields?: Readonly<Record<string, string>>;
  readonly responses: Readonly<Record<number, ResponseSpec>>;
  /** Codes beside those that every route of its kind has. */
  readonly errors: readonly ErrorCode[];
  /** Looser Content-Security-Policy, for the page that shows the document. */
  readonly page?: boolean;
}

/** A row of the route table: express serves it and the OpenAPI document describes it. */
export interface Route extends RouteBase {
  readonly params?: z.ZodType | undefined;
  readonly query?: z.ZodType | undefined;
  readonly body?: z.ZodType | undefined;
  /** `Location` of what a 201 created. */
  readonly location?: ((ctx: Context) => string) | undefined;
  handle(ctx: Context): Promise<Reply> | Reply;
}

type Out<T> = T extends z.ZodType ? z.output<T> : undefined;

/** A {@link Route} whose handler knows the types of its schemas. */
export function defineRoute<
  P extends z.ZodType | undefined = undefined,
  Q extends z.ZodType | undefined = undefined,
  B extends z.ZodType | undefined = undefined,
>(
  route: RouteBase & {
    readonly params?: P;
    readonly query?: Q;
    readonly body?: B;
    readonly location?: (ctx: Context<Out<P>, Out<Q>, Out<B>>) => string;
    handle(ctx: Context<Out<P>, Out<Q>, Out<B>>): Promise<Reply> | Reply;
  },
): Route {
  return route as unknown as Route;
}

export const json = (value: unknown): Reply => ({ status: 200, json: value });
export const noContent: Reply = { status: 204 };
