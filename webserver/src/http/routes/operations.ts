import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { ExpectedError } from '../../domain/errors.js';
import type { Store } from '../../domain/store.js';
import { isLoopback } from '../address.js';
import { bearerToken } from '../bearer.js';
import { defineRoute, json, type Route } from '../route.js';
import { healthSchema, readySchema } from '../schemas.js';

/** A store that does not answer a ping within this is not ready. */
const PING_TIMEOUT_MS = 2_000;

export interface HealthCheck {
  readonly ok: boolean;
  /** What is wrong, for an operator; no names, no secrets. */
  readonly detail?: string;
}

export interface OperationsOptions {
  readonly store: Pick<Store, 'ping'>;
  /** Checks beside the store's, by name; `broker` is one. */
  readonly health: Readonly<Record<string, () => HealthCheck>>;
  readonly metrics: { readonly contentType: string; render(): Promise<string> };
  readonly metricsToken: string | null;
  readonly trustProxy: boolean;
}

const base = { tag: 'Operations', style: 'api', auth: 'none' } as const;

export function operationsRoutes(options: OperationsOptions): Route[] {
  const { store, health, metrics } = options;
  return [
    defineRoute({
      ...base,
      method: 'GET',
      path: '/healthz',
      operationId: 'healthz',
      summary: 'The process lives',
      responses: { 200: { description: 'It does', schema: healthSchema } },
      errors: [],
      handle: () => json({ status: 'ok' }),
    }),
    defineRoute({
      ...base,
      method: 'GET',
      path: '/readyz',
      operationId: 'readyz',
      summary: 'The gateway can serve: broker and store are there',
      responses: { 200: { description: 'All checks are good', schema: readySchema } },
      errors: ['BROKER_UNAVAILABLE', 'STORE_UNAVAILABLE'],
      async handle() {
        const checks: Record<string, HealthCheck> = { store: await pingStore(store) };
        for (const [name, check] of Object.entries(health)) checks[name] = check();
        const bad = Object.entries(checks).filter(([, { ok }]) => !ok);
        if (bad.length === 0) return json({ status: 'ready', checks });
        throw new ExpectedError(checks['store']?.ok ? 'BROKER_UNAVAILABLE' : 'STORE_UNAVAILABLE', {
          detail: `${bad.map(([name, { detail }]) => `${name}: ${detail ?? 'not available'}`).join('; ')}.`,
          retryAfterSeconds: 1,
        });
      },
    }),
    defineRoute({
      ...base,
      method: 'GET',
      path: '/metrics',
      operationId: 'metrics',
      summary: 'Prometheus metrics',
      description:
        'For loopback addresses, or with the bearer token of POSTERN_METRICS_TOKEN_FILE where that is set.',
      responses: {
        200: { description: 'Prometheus text format', schema: z.string(), contentType: 'text/plain' },
      },
      errors: ['FORBIDDEN', 'UNAUTHENTICATED'],
      async handle({ req, origin }) {
        admitToMetrics(req, origin.address, options);
        return {
          status: 200,
          bytes: Buffer.from(await metrics.render()),
          contentType: metrics.contentType,
        };
      },
    }),
  ];
}

async function pingStore(store: Pick<Store, 'ping'>): Promise<HealthCheck> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<HealthCheck>((resolve) => {
    timer = setTimeout(() => resolve({ ok: false, detail: 'no answer in time' }), PING_TIMEOUT_MS);
  });
  const asked = store.ping().then(
    () => ({ ok: true }),
    () => ({ ok: false, detail: 'it cannot be reached' }),
  );
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}

function admitToMetrics(req: IncomingMessage, address: string | null, options: OperationsOptions): void {
  const { metricsToken, trustProxy } = options;
  if (metricsToken !== null) {
    const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
    if (timingSafeEqual(digest(bearerToken(req)), digest(metricsToken))) return;
    throw new ExpectedError('UNAUTHENTICATED', { detail: 'This is not the metrics token.' });
  }
  // A proxy on this machine that nobody told us of would make the whole world look local.
  const proxied = req.headers['x-forwarded-for'] !== undefined || req.headers['forwarded'] !== undefined;
  if (isLoopback(address) && (trustProxy || !proxied)) return;
  throw new ExpectedError('FORBIDDEN', { detail: 'Metrics are for this machine, or for who has the token.' });
}
