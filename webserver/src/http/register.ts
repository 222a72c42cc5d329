import express, { type Express } from 'express';
import { ExpectedError } from '../domain/errors.js';
import { MethodNotAllowedError } from './method-not-allowed.js';
import type { Pipeline } from './pipeline.js';
import type { Route } from './route.js';

/** An express app that serves the table, in its order, and refuses the rest. */
export function expressApp(
  routes: readonly Route[],
  options: { pipeline: Pipeline; trustProxy: false | number | string[] },
): Express {
  const { pipeline, trustProxy } = options;
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.enable('case sensitive routing');
  app.enable('strict routing');
  app.set('query parser', 'simple');
  app.set('trust proxy', trustProxy);

  const byPath = new Map<string, Route[]>();
  for (const route of routes) byPath.set(route.path, [...(byPath.get(route.path) ?? []), route]);
  for (const [path, served] of byPath) {
    const chain = app.route(path);
    for (const route of served)
      chain[route.method.toLowerCase() as 'get' | 'post' | 'put' | 'delete'](pipeline.handler(route));
    const methods = served.flatMap(({ method }) => (method === 'GET' ? ['GET', 'HEAD'] : [method]));
    const allow = [...methods, 'OPTIONS'].join(', ');
    const style = served[0]!.style;
    chain.all(
      pipeline.fallback({ style, close: () => style !== 'api' }, (req) => {
        if (req.method === 'OPTIONS') return { status: 204, headers: { Allow: allow } };
        throw new MethodNotAllowedError(allow);
      }),
    );
  }
  const isApi = (url: string): boolean => url.startsWith('/api/');
  app.use(
    pipeline.fallback({ style: 'api', close: (req) => !isApi(req.originalUrl) }, () => {
      throw new ExpectedError('NOT_FOUND', { detail: 'Nothing is served at this path; see /docs.' });
    }),
  );
  // What express itself refuses: a path with a broken percent-encoding.
  const onRouterError: express.ErrorRequestHandler = (error: unknown, req, res, _next) => {
    const status = (error as { status?: unknown }).status;
    void pipeline.fallback({ style: 'api', close: () => !isApi(req.originalUrl) }, () => {
      if (status !== 400) throw error;
      throw new ExpectedError('VALIDATION_FAILED', {
        detail: 'The path is not validly percent-encoded.',
        errors: [{ path: 'path', message: 'must be validly percent-encoded' }],
      });
    })(req, res);
  };
  app.use(onRouterError);
  return app;
}
