import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Express, Request, Response } from 'express';
import type { Pipeline } from './pipeline.js';
import type { Route } from './route.js';

interface Row {
  /** Of the path; null where it has a parameter. */
  readonly segments: readonly (string | null)[];
  readonly parameters: readonly { readonly at: number; readonly name: string }[];
  readonly handle: (req: Request, res: Response) => Promise<void>;
}

/**
 * Finds the route of a plain request by its segments and hands it to the pipeline as express would. Express asks one
 * route after the other, each by a regular expression, which costs more than all the checks of a call. What is not
 * plain is express's to decide: an unknown path or method, HEAD and OPTIONS, percent-encoding, an absolute URL.
 */
export function withShortcut(
  app: Express,
  routes: readonly Route[],
  pipeline: Pick<Pipeline, 'handler' | 'fallback'>,
): RequestListener {
  // By method and number of segments; within one in the order of the table, as express has it.
  const table = new Map<string, Row[]>();
  for (const route of routes) {
    const names = split(route.path);
    const key = `${route.method} ${names.length}`;
    const row: Row = {
      segments: names.map((name) => (name.startsWith(':') ? null : name)),
      parameters: names.flatMap((name, at) => (name.startsWith(':') ? [{ at, name: name.slice(1) }] : [])),
      handle: pipeline.handler(route),
    };
    table.set(key, [...(table.get(key) ?? []), row]);
  }
  return (message: IncomingMessage, response: ServerResponse) => {
    const found = find(table, message);
    if (!found) return app(message, response);
    const req = message as Request;
    const res = response as Response;
    // What express does before its router.
    Object.setPrototypeOf(req, app.request as object);
    Object.setPrototypeOf(res, app.response as object);
    req.res = res;
    res.req = req;
    req.originalUrl = message.url!;
    req.baseUrl = '';
    req.params = found.params;
    found.row.handle(req, res).catch((error: unknown) => {
      // A bug in the pipeline itself: answered as express would have it answered.
      const answer = pipeline.fallback({ style: 'api', close: () => true }, () => {
        throw error;
      });
      void answer(req, res);
    });
  };
}

const split = (path: string): string[] => path.slice(1).split('/');

function find(
  table: ReadonlyMap<string, readonly Row[]>,
  { url, method }: IncomingMessage,
): { row: Row; params: Record<string, string> } | null {
  if (url === undefined || !url.startsWith('/') || url.includes('%') || url.includes('#')) return null;
  const queryAt = url.indexOf('?');
  const given = split(queryAt < 0 ? url : url.slice(0, queryAt));
  const rows = table.get(`${method} ${given.length}`);
  const row = rows?.find(({ segments }) =>
    segments.every((name, at) => (name === null ? given[at] !== '' : name === given[at])),
  );
  if (!row) return null;
  const params: Record<string, string> = Object.create(null) as Record<string, string>;
  for (const { at, name } of row.parameters) params[name] = given[at]!;
  return { row, params };
}
