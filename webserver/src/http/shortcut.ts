import type { IncomingMessage, RequestListener } from 'node:http';
import type { Express } from 'express';
import type { Exchange, Pipeline } from './pipeline.js';
import type { Route } from './route.js';

interface Row {
  /** Of the path; null where it has a parameter. */
  readonly segments: readonly (string | null)[];
  readonly parameters: readonly { readonly at: number; readonly name: string }[];
  readonly handle: (exchange: Exchange) => Promise<void>;
}

/**
 * Finds the route of a plain request by its segments and hands it to the pipeline. Express asks one route after
 * the other, each by a regular expression, and gives each request and answer another prototype, which costs more
 * than all the checks of a call. What is not plain is express's to decide: an unknown path or method, HEAD and OPTIONS, percent-encoding, an absolute URL.
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
  return (req, res) => {
    const found = find(table, req);
    if (!found) return app(req, res);
    const exchange: Exchange = { req, res, url: req.url!, params: found.params };
    found.row.handle(exchange).catch((error: unknown) => {
      // A bug in the pipeline itself: answered as express would have it answered.
      const answer = pipeline.fallback({ style: 'api', close: () => true }, () => {
        throw error;
      });
      void answer(exchange);
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
