import { z } from 'zod';
import {
  accountSchema,
  certificateListSchema,
  certificateSchema,
  deviceListSchema,
  deviceSchema,
  ERRORS,
  issuedSchema,
  networkSchema,
  problemSchema,
  tokensSchema,
  type ErrorCode,
} from '@postern/protocol';
import { flatRegistryStatus, PROBLEM_TYPE } from './problem.js';
import { ExpectedError } from '../domain/errors.js';
import type { Route } from './route.js';
import {
  auditListSchema,
  flatErrorSchema,
  flatListSchema,
  flatLoginSchema,
  flatStatusSchema,
} from './schemas.js';

type JsonSchema = Record<string, unknown>;

const COMPONENTS = new Map<z.ZodType, string>([
  [problemSchema, 'Problem'],
  [accountSchema, 'Account'],
  [tokensSchema, 'Tokens'],
  [deviceSchema, 'Device'],
  [deviceListSchema, 'DeviceList'],
  [issuedSchema, 'Issued'],
  [certificateSchema, 'Certificate'],
  [certificateListSchema, 'CertificateList'],
  [networkSchema, 'Network'],
  [auditListSchema, 'AuditList'],
  [flatStatusSchema, 'FlatStatus'],
  [flatErrorSchema, 'FlatError'],
  [flatLoginSchema, 'FlatLogin'],
  [flatListSchema, 'FlatDeviceList'],
]);

function convert(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as JsonSchema;
  return rest;
}
const reference = (schema: z.ZodType, io: 'input' | 'output'): JsonSchema => {
  const name = COMPONENTS.get(schema);
  return name === undefined ? convert(schema, io) : { $ref: `#/components/schemas/${name}` };
};

/** Codes that a route may answer with: its own, and those of its kind. */
export function routeErrors(route: Route): ErrorCode[] {
  const codes = new Set<ErrorCode>(route.errors);
  const { style } = route;
  if (route.auth === 'bearer') codes.add('UNAUTHENTICATED').add('TOKEN_EXPIRED');
  if (route.auth === 'flat') codes.add('UNAUTHENTICATED');
  if (route.params || route.query || route.body) codes.add('VALIDATION_FAILED');
  if (route.body) codes.add('MALFORMED_JSON').add('UNSUPPORTED_MEDIA_TYPE');
  if (route.idempotent)
    codes.add('VALIDATION_FAILED').add('IDEMPOTENCY_KEY_REUSED').add('IDEMPOTENCY_OUTCOME_UNKNOWN');
  if (style !== 'api') codes.add('MALFORMED_JSON').add('UNSUPPORTED_MEDIA_TYPE');
  codes.add('BODY_TOO_LARGE').add('INTERNAL').add('STORE_UNAVAILABLE').add('SHUTTING_DOWN');
  return [...codes];
}

/** Status codes of a route's errors; a flat registry call says most of them with 200. */
export function errorStatuses(route: Route): Map<number, ErrorCode[]> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of routeErrors(route)) {
    const status =
      route.style === 'flat-registry' ? flatRegistryStatus(new ExpectedError(code)) : ERRORS[code].status;
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return byStatus;
}

const HEADERS = { 'X-Request-Id': { description: 'Names the log entry', schema: { type: 'string' } } };

function responses(route: Route): Record<string, JsonSchema> {
  const out: Record<string, JsonSchema> = {};
  for (const [status, spec] of Object.entries(route.responses)) {
    const replayed = route.idempotent
      ? { 'Idempotency-Replayed': { description: '`true`: kept from before', schema: { const: 'true' } } }
      : {};
    const location = status === '201' ? { Location: { schema: { type: 'string' } } } : {};
    out[status] = {
      description: spec.description,
      headers: { ...HEADERS, ...replayed, ...location },
      ...(spec.schema && {
        content: { [spec.contentType ?? 'application/json']: { schema: reference(spec.schema, 'output') } },
      }),
    };
  }
  const flat = route.style !== 'api';
  for (const [status, codes] of errorStatuses(route)) {
    if (out[String(status)]) continue;
    const retry = [429, 503].includes(status) ? { 'Retry-After': { schema: { type: 'integer' } } } : {};
    out[String(status)] = {
      description: codes.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join('. '),
      headers: { ...HEADERS, ...retry },
      content: {
        [flat ? 'application/json' : PROBLEM_TYPE]: {
          schema: flat
            ? reference(flatErrorSchema, 'output')
            : { allOf: [reference(problemSchema, 'output'), { properties: { code: { enum: codes } } }] },
        },
      },
    };
  }
  return out;
}

function parameters(route: Route): JsonSchema[] {
  const list: JsonSchema[] = [];
  const add = (where: 'path' | 'query', schema: z.ZodType | undefined): void => {
    if (!schema) return;
    const { properties = {}, required = [] } = convert(schema, 'output') as {
      properties?: Record<string, JsonSchema>;
      required?: string[];
    };
    for (const [name, property] of Object.entries(properties))
      list.push({
        name,
        in: where,
        required: where === 'path' || required.includes(name),
        schema: property,
      });
  };
  add('path', route.params);
  add('query', route.query);
  if (route.idempotent)
    list.push({
      name: 'Idempotency-Key',
      in: 'header',
      required: false,
      description:
        'The same key with the same request gives the same answer and one execution, for 24 hours.',
      schema: { type: 'string', minLength: 1, maxLength: 255 },
    });
  return list;
}

function operation(route: Route): JsonSchema {
  return {
    operationId: route.operationId,
    summary: route.summary,
    ...(route.description !== undefined && { description: route.description }),
    tags: [route.tag],
    security: route.auth === 'bearer' ? [{ accessToken: [] }] : [],
    parameters: parameters(route),
    ...(route.body && {
      requestBody: {
        required: !route.bodyOptional,
        content: { 'application/json': { schema: convert(route.body, 'input') } },
      },
    }),
    responses: responses(route),
  };
}

export const openApiPath = (path: string): string => path.replace(/:([A-Za-z]+)/g, '{$1}');

/** The OpenAPI 3.1 document of a route table: what express serves, and nothing else. */
export function openApiDocument(routes: readonly Route[], publicUrl: string): JsonSchema {
  const paths: Record<string, Record<string, JsonSchema>> = {};
  for (const route of routes)
    (paths[openApiPath(route.path)] ??= {})[route.method.toLowerCase()] = operation(route);
  const schemas = Object.fromEntries(
    [...COMPONENTS].map(([schema, name]) => [name, convert(schema, 'output')]),
  );
  return {
    openapi: '3.1.0',
    info: {
      title: 'Postern',
      version: '1',
      description:
        'Control devices over HTTPS. `/api/v1` is for new clients; the flat calls are for clients that exist. Errors of `/api/v1` are RFC 9457 problem documents with a stable `code`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: publicUrl }],
    paths,
    components: {
      schemas,
      securitySchemes: { accessToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  };
}
