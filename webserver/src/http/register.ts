import express, { type Express, type Request, type Response } from 'express';
import { ExpectedError } from '../domain/errors.js';
import { MethodNotAllowedError } from './method-not-allowed.js';
import type { Exchange, Pipeline } from './pipeline.js';
import type { Route } from './route.js';

/** An express app that serves the table, in its order, and refuses the rest. */
export function expressApp(routes: readonly Route[], { pipeline }: { pipeline: Pipeline }): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');

  const byPath = new Map<string, Route[]>();
  for (const route of routes) byPath.set(route.path, [...(byPath.get(route.path) ?? []), route]);
  for (const [path, ofPath] of byPath) {
    const chain = app.route(path);
    for (const route of ofPath)
      chain[route.method.toLowerCase() as 'get' | 'post' | 'put' | 'delete'](served(pipeline.handler(route)));
    const methods = ofPath.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
    const allow = [...methods, 'OPTIONS'].join(', ');
    const style = ofPath[0]!.style;
    chain.all(
      served(
        pipeline.fallback({ style, close: () => style !== 'api' }, (method) => {
          if (method === 'OPTIONS') return { status: 204, headers: { Allow: allow } };
          throw new MethodNotAllowedError(allow);
        }),
      ),
    );
  }
  const isApi = (url: string): boolean => url.startsWith('/api/');
  app.use(
    served(
      pipeline.fallback({ style: 'api', close: (url) => !isApi(url) }, () => {
        throw new ExpectedError('NOT_FOUND', { detail: 'Nothing is served at this path; see /docs.' });
      }),
    ),
  );
  // What express itself refuses: a path with a broken percent-encoding.
  const onRouterError: express.ErrorRequestHandler = (error: unknown, req, res, _next) => {
    const status = (error as { status?: unknown }).status;
    void pipeline.fallback({ style: 'api', close: (url) => !isApi(url) }, () => {
      if (status !== 400) throw error;
      throw new ExpectedError('VALIDATION_FAILED', {
        detail: 'The path is not validly percent-encoded.',
        errors: [{ path: 'path', message: 'must be validly percent-encoded' }],
      });
    })(exchangeOf(req, res));
  };
  app.use(onRouterError);
  return app;
}

const exchangeOf = (req: Request, res: Response): Exchange => ({
  req,
  res,
  url: req.originalUrl,
  params: req.params,
});

const served =
  (serve: (exchange: Exchange) => Promise<void>) =>
  (req: Request, res: Response): Promise<void> =>
    serve(exchangeOf(req, res));
