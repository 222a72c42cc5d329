import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { ExpectedError } from '../../domain/errors.js';
import { defineRoute, type Route } from '../route.js';

const TYPES: Readonly<Record<string, string>> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
  'start.js': 'text/javascript; charset=utf-8',
};

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Postern API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="swagger-ui"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;
/** `validatorUrl: null`: the page asks nobody but this gateway. */
const START =
  "SwaggerUIBundle({ url: '/openapi.json', dom_id: '#swagger-ui', deepLinking: true, validatorUrl: null });\n";

const base = { tag: 'Documentation', style: 'api', auth: 'none' } as const;
const cached = { 'Cache-Control': 'public, max-age=3600' };

/** `document` makes the OpenAPI document; it is asked once, when all routes are known. */
export function docsRoutes(document: () => unknown): Route[] {
  let rendered: Buffer | null = null;
  const files = new Map<string, Buffer>([['start.js', Buffer.from(START)]]);
  const folder = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));
  const file = (name: string): Buffer => {
    let bytes = files.get(name);
    if (!bytes) files.set(name, (bytes = readFileSync(join(folder, name))));
    return bytes;
  };
  return [
    defineRoute({
      ...base,
      method: 'GET',
      path: '/openapi.json',
      operationId: 'openapi',
      summary: 'This document',
      responses: { 200: { description: 'OpenAPI 3.1', schema: z.looseObject({ openapi: z.string() }) } },
      errors: [],
      handle: () => ({
        status: 200,
        bytes: (rendered ??= Buffer.from(JSON.stringify(document()))),
        contentType: 'application/json; charset=utf-8',
        headers: cached,
      }),
    }),
    defineRoute({
      ...base,
      method: 'GET',
      path: '/docs',
      operationId: 'docs',
      summary: 'This document, to read',
      page: true,
      responses: { 200: { description: 'The page', schema: z.string(), contentType: 'text/html' } },
      errors: [],
      handle: () => ({
        status: 200,
        bytes: Buffer.from(PAGE),
        contentType: 'text/html; charset=utf-8',
        headers: cached,
      }),
    }),
    defineRoute({
      ...base,
      method: 'GET',
      path: '/docs/:file',
      operationId: 'docsFile',
      summary: 'A part of the page',
      page: true,
      params: z.object({ file: z.string() }),
      responses: { 200: { description: 'The part', schema: z.string(), contentType: '*/*' } },
      errors: ['NOT_FOUND'],
      handle({ params }) {
        const contentType = Object.hasOwn(TYPES, params.file) ? TYPES[params.file] : undefined;
        if (contentType === undefined) throw new ExpectedError('NOT_FOUND');
        return { status: 200, bytes: file(params.file), contentType, headers: cached };
      },
    }),
  ];
}
