import { readFileSync } from 'node:fs';
import { ERRORS } from '@postern/protocol';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createExchangeValidator } from '../../src/http/exchange-validator.js';
import { openApiPath } from '../../src/http/openapi.js';
import { startGateway, type Gateway } from './support/gateway.js';

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.stop());

interface Layer {
  route?: { path: string; methods: Record<string, boolean> };
}

describe('the OpenAPI document', () => {
  it('is served, and names every route that express serves, and no other', async () => {
    const { status, body } = await gateway.client.get('/openapi.json');
    expect(status).toBe(200);
    expect(body.openapi).toBe('3.1.0');
    const { stack } = (gateway.app.express as unknown as { router: { stack: Layer[] } }).router;
    const served = stack.flatMap(({ route }) =>
      route
        ? Object.keys(route.methods)
            .filter((method) => method !== '_all')
            .map((method) => `${method} ${openApiPath(route.path)}`)
        : [],
    );
    const documented = Object.entries(body.paths as Record<string, object>).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method} ${path}`),
    );
    expect(served.length).toBeGreaterThan(45);
    expect(served.sort()).toEqual(documented.sort());
  });

  it('has the flat calls of the wire contract', async () => {
    const { body } = await gateway.client.get('/openapi.json');
    for (const call of [
      'post /signup',
      'post /login',
      'post /register_device',
      'post /unregister_device',
      'get /get_device_list',
      'get /get_gpio',
      'post /set_gpio',
      'get /get_rtc',
      'post /set_rtc',
      'get /get_mac',
      'post /set_mac',
      'get /get_ip',
      'get /get_subnet',
      'get /get_gateway',
      'get /get_status',
      'post /set_status',
      'post /reset_device',
      'post /write_uart',
    ]) {
      const [method, path] = call.split(' ') as [string, string];
      expect(body.paths[path]?.[method], call).toBeDefined();
      if (!['/signup', '/login'].includes(path)) {
        const { schema } = body.paths[path][method].requestBody.content['application/json'];
        expect(schema.required).toEqual(expect.arrayContaining(['username', 'secret']));
      }
    }
  });

  it('says what a pin, a timeout and a page size may be', async () => {
    const { body } = await gateway.client.get('/openapi.json');
    const { parameters } = body.paths['/api/v1/devices/{name}/gpio/{pin}'].put;
    const named = (name: string) => parameters.find((parameter: { name: string }) => parameter.name === name);
    expect(named('pin')).toMatchObject({
      in: 'path',
      required: true,
      schema: { type: 'integer', minimum: 0, maximum: 66 },
    });
    expect(named('timeoutMs')).toMatchObject({
      in: 'query',
      required: false,
      schema: { type: 'integer', minimum: 100, maximum: 300_000 },
    });
    expect(named('Idempotency-Key')).toMatchObject({ in: 'header' });
  });

  it('has unique operation ids, and references that resolve', async () => {
    const { body, text } = await gateway.client.get('/openapi.json');
    const ids = [...text.matchAll(/"operationId":"([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const [, name] of text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g))
      expect(body.components.schemas).toHaveProperty(name!);
  });
});

describe('the answers’ validator', () => {
  const check = (over: object) =>
    createExchangeValidator(gateway.app.openApi)({
      method: 'GET',
      path: '/api/v1/devices/lamp/gpio/1',
      status: 200,
      headers: { 'content-type': 'application/json; charset=utf-8' },
      body: '{"number":1,"value":0}',
      ...over,
    });

  it('passes what the document says', () => {
    expect(check({})).toEqual([]);
    expect(check({ method: 'PATCH', status: 405 })).toEqual([]);
  });

  it.each([
    ['a status that is not documented', { status: 418 }],
    ['a body of another shape', { body: '{"number":1}' }],
    ['a value out of range', { body: '{"number":99,"value":0}' }],
    ['another content type', { headers: { 'content-type': 'text/html' } }],
    ['a body that is no JSON', { body: '{' }],
    ['a route that is not documented', { path: '/secret/backdoor' }],
    [
      'a code that does not go with the status',
      {
        status: 404,
        headers: { 'content-type': 'application/problem+json' },
        body: '{"type":"x","title":"x","status":404,"code":"DEVICE_BUSY"}',
      },
    ],
  ])('finds %s', (_, over) => {
    expect(check(over).length).toBeGreaterThan(0);
  });
});

describe('/docs', () => {
  it('is a page that loads from this gateway alone, with no script inside', async () => {
    const page = await gateway.client.get('/docs');
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.headers['content-security-policy']).toContain("script-src 'self'");
    expect(page.headers['content-security-policy']).not.toMatch(/script-src[^;]*unsafe/);
    expect(page.text).not.toMatch(/<script>|https?:\/\/|\son\w+=/);
    const parts = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
    expect(parts).toHaveLength(4);
    for (const path of parts) {
      const part = await gateway.client.get(path);
      expect(part.status).toBe(200);
      expect(part.text.length).toBeGreaterThan(50);
    }
    expect(gateway.client.violations).toEqual([]);
  });
});

describe('docs/api.md', () => {
  it('has a row for each error code with its status and title, and none besides', () => {
    const text = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');
    const rows = [...text.matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \| (.+?) \|/gm)].map(
      ([, code, status, title]) => ({ code, status: Number(status), title }),
    );
    expect(rows).toEqual(
      Object.entries(ERRORS).map(([code, { status, title }]) => ({ code, status, title })),
    );
  });

  it('names every route', () => {
    const text = readFileSync(new URL('../../../docs/api.md', import.meta.url), 'utf8');
    for (const { method, path } of gateway.app.routes) {
      if (path.startsWith('/docs/')) continue;
      expect(text).toContain(`\`${method} ${openApiPath(path)}\``);
    }
  });
});

describe('operations', () => {
  it('/healthz and /readyz tell of the process and of what it needs', async () => {
    expect((await gateway.client.get('/healthz')).body).toEqual({ status: 'ok' });
    const ready = await gateway.client.get('/readyz');
    expect(ready.body).toEqual({ status: 'ready', checks: { store: { ok: true }, broker: { ok: true } } });
    gateway.health.ok = false;
    gateway.health.detail = 'reconnecting';
    const lost = await gateway.client.get('/readyz');
    expect([lost.status, lost.body.code]).toEqual([503, 'BROKER_UNAVAILABLE']);
    expect(lost.body.detail).toContain('reconnecting');
    gateway.health.ok = true;
  });

  it('/metrics asks for the token where there is one', async () => {
    const guarded = await startGateway({ config: { metricsToken: 'metrics-token' } });
    try {
      expect((await guarded.client.get('/metrics')).status).toBe(401);
      expect((await guarded.client.get('/metrics', { token: 'wrong' })).status).toBe(401);
      const { status, headers, text } = await guarded.client.get('/metrics', { token: 'metrics-token' });
      expect(status).toBe(200);
      expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
      for (const name of [
        'postern_calls_total',
        'postern_call_duration_seconds',
        'postern_calls_in_flight',
        'postern_connected_devices',
        'postern_broker_reconnects_total',
      ])
        expect(text).toContain(`# TYPE ${name} `);
      expect(guarded.client.violations).toEqual([]);
    } finally {
      await guarded.stop();
    }
  });
});
