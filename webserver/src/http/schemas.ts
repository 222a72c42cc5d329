import { z } from 'zod';
import {
  METHODS,
  PAGE_SIZE,
  pinSchema,
  TIMEOUT_MS,
  type JsonObject,
  type MethodSpec,
} from '@postern/protocol';

/** Schemas of the HTTP side alone: path and query parameters, and the flat calls' bodies and answers. */

const decimal = (digits: number, message: string) =>
  z
    .string()
    .regex(new RegExp(`^\\d{1,${digits}}$`), message)
    .transform(Number);

export const deviceParams = z.object({ name: z.string() });
export const pinParams = z.object({
  name: z.string(),
  pin: decimal(3, 'must be a pin number in decimal digits').pipe(pinSchema),
});
export const methodParams = z.object({ name: z.string(), method: z.string() });
export const serialParams = z.object({ name: z.string(), serial: z.string() });

const timeoutRange = `must be ${TIMEOUT_MS.min} to ${TIMEOUT_MS.max} (milliseconds)`;
export const timeoutQuery = z.strictObject({
  timeoutMs: decimal(6, timeoutRange)
    .pipe(z.int().min(TIMEOUT_MS.min, timeoutRange).max(TIMEOUT_MS.max, timeoutRange))
    .optional(),
});

const limitRange = `must be ${PAGE_SIZE.min} to ${PAGE_SIZE.max}`;
export const pageQuery = z.strictObject({
  limit: decimal(4, limitRange)
    .pipe(z.int().min(PAGE_SIZE.min, limitRange).max(PAGE_SIZE.max, limitRange))
    .optional(),
  cursor: z.string().max(512).optional(),
});

export const emptyBody = z.strictObject({});
export const logoutBody = z.strictObject({ refreshToken: z.string().max(256).optional() });

export const auditEntrySchema = z.looseObject({
  at: z.iso.datetime(),
  action: z.string(),
  target: z.string().nullable(),
  outcome: z.string(),
  address: z.string().nullable(),
  requestId: z.string().nullable(),
});
export const auditListSchema = z.looseObject({
  entries: z.array(auditEntrySchema),
  nextCursor: z.string().nullable(),
});
const checkSchema = z.looseObject({ ok: z.boolean(), detail: z.string().optional() });
export const healthSchema = z.looseObject({ status: z.string() });
export const readySchema = z.looseObject({
  status: z.string(),
  checks: z.record(z.string(), checkSchema),
});

/** The reply of a method that the table knows. */
export const methodSpec = (name: string): MethodSpec => {
  const spec = METHODS.get(name);
  if (!spec) throw new Error(`the table has no method ${name}`);
  return spec;
};
export const replySchema = (name: string): z.ZodType => methodSpec(name).reply;

/** Old clients send numbers as strings now and then; they reach the device as numbers. */
const looseNumber = (schema: z.ZodType<number>) =>
  z.preprocess(
    (value) => (typeof value === 'string' && /^\s*\d{1,15}\s*$/.test(value) ? Number(value) : value),
    schema,
  );
const LOOSE_NUMBERS: ReadonlySet<string> = new Set(['number', 'value']);

/** `username` and `secret` are checked before the body is validated; here they are for the document. */
export const flatCredentials = { username: z.string(), secret: z.string() };
const flatDevice = { ...flatCredentials, devicename: z.string({ error: 'must be a string' }) };

/** The body of a flat control call: the method's fields, numbers as strings allowed, what else comes is ignored. */
export function flatControlBody(fields: Record<string, z.ZodType>): z.ZodType<JsonObject> {
  const shape: Record<string, z.ZodType> = { ...flatDevice };
  for (const [name, schema] of Object.entries(fields)) {
    const numeric = LOOSE_NUMBERS.has(name) && !schema.safeParse('02:00:00:12:34:56').success;
    shape[name] = numeric ? looseNumber(schema as z.ZodType<number>) : schema;
  }
  return z.object(shape) as unknown as z.ZodType<JsonObject>;
}

export const flatStatusSchema = z.looseObject({ status: z.string().regex(/^(?:OK$|NG, )/) });
export const flatErrorSchema = z.looseObject({
  status: z.string().regex(/^NG, /),
  /** These two where the HTTP status is not 200. */
  code: z.string().optional(),
  requestId: z.string().optional(),
});
export const flatLoginSchema = flatStatusSchema.extend({ secret: z.string() });
const flatDeviceSchema = z.looseObject({
  devicename: z.string(),
  deviceid: z.string(),
  rootca: z.string(),
  devicecert: z.string(),
  devicepkey: z.string(),
});
export const flatListSchema = flatStatusSchema.extend({ devices: z.array(flatDeviceSchema).optional() });
export const flatRegisteredSchema = flatStatusSchema.extend({
  ...flatDeviceSchema.partial().shape,
  username: z.string().optional(),
  password: z.string().optional(),
});
