import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

/** An answer as it was seen on the wire. `path` may have a query; header names are lower case. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer | string;
}

interface MediaType {
  readonly schema: object;
}
interface ResponseObject {
  readonly content?: Readonly<Record<string, MediaType>>;
}
interface Operation {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, ResponseObject>>;
}
interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: object;
}

export type ExchangeValidator = (exchange: Exchange) => string[];

/**
 * Holds recorded answers against an OpenAPI document: says what is wrong with one, or nothing. An answer to a
 * path or method that the document does not know must be 404, 405 or 204 (OPTIONS), or come before routing (408, 413, 431).
 */
export function createExchangeValidator(document: unknown): ExchangeValidator {
  const { paths, components } = document as OpenApi;
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  const compiled = new Map<object, ValidateFunction>();
  const templates = Object.keys(paths)
    .map((template) => ({
      template,
      pattern: new RegExp(`^${template.replace(/\./g, '\\.').replace(/\{[^}]+\}/g, '[^/]+')}$`),
      variables: template.split('{').length,
    }))
    .sort((a, b) => a.variables - b.variables);

  const compile = (schema: object): ValidateFunction => {
    let validate = compiled.get(schema);
    if (!validate) compiled.set(schema, (validate = ajv.compile({ ...schema, components })));
    return validate;
  };

  return ({ method, path, status, headers, body }) => {
    const bare = path.split('?')[0]!;
    const template = templates.find(({ pattern }) => pattern.test(bare))?.template;
    const verb = method === 'HEAD' ? 'get' : method.toLowerCase();
    const operation = template === undefined ? undefined : paths[template]?.[verb];
    const name = `${method} ${bare} -> ${status}`;
    if (!operation)
      return [204, 404, 405, 408, 413, 431].includes(status)
        ? []
        : [`${name}: the document has no such operation`];
    const response = operation.responses[String(status)];
    if (!response) return [`${name}: ${operation.operationId} documents no ${status}`];
    const length = Buffer.byteLength(body);
    if (!response.content) return length === 0 ? [] : [`${name}: a body where the document has none`];
    if (method === 'HEAD') return length === 0 ? [] : [`${name}: a body in answer to HEAD`];
    const type = String(headers['content-type'] ?? '')
      .split(';')[0]!
      .trim();
    const media = response.content[type] ?? response.content['*/*'];
    if (!media) return [`${name}: content type ${type}, not ${Object.keys(response.content).join(' or ')}`];
    if (!/[/+]json$/.test(type)) return [];
    let value: unknown;
    try {
      value = JSON.parse(body.toString());
    } catch {
      return [`${name}: the body is not JSON`];
    }
    const validate = compile(media.schema);
    if (validate(value)) return [];
    return (validate.errors ?? []).map((error) => `${name}: ${error.instancePath || '/'} ${error.message}`);
  };
}
