import { z } from 'zod';
import { MAX_EPOCH_SECONDS, MAX_PIN, MAX_UART_BYTES } from './limits.js';

/** A JSON object, the only shape that a request or a reply may have. */
export type JsonObject = Record<string, unknown>;

export const pinSchema = z
  .int('must be a whole number')
  .min(0, `must be 0 to ${MAX_PIN}`)
  .max(MAX_PIN, `must be 0 to ${MAX_PIN}`);
export const pinValueSchema = z.union([z.literal(0), z.literal(1)], { error: 'must be 0 or 1' });
export const epochSecondsSchema = z
  .int('must be a whole number of seconds since 1970-01-01T00:00:00Z')
  .min(0, `must be 0 to ${MAX_EPOCH_SECONDS}`)
  .max(MAX_EPOCH_SECONDS, `must be 0 to ${MAX_EPOCH_SECONDS} (32 bits unsigned)`);
export const macSchema = z
  .string()
  .regex(
    /^[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}$/,
    'must be six pairs of hex digits with : or - between, such as 02:00:00:12:34:56',
  );
const addressTextSchema = z.string().min(1).max(64);

const utf8Bytes = (text: string): number => Buffer.byteLength(text, 'utf8');
export const uartTextSchema = z
  .string()
  .refine((text) => utf8Bytes(text) <= MAX_UART_BYTES, `must be at most ${MAX_UART_BYTES} bytes of UTF-8`)
  .refine((text) => text.isWellFormed(), 'must be well-formed Unicode');
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
export const uartBase64Schema = z
  .string()
  .max(Math.ceil(MAX_UART_BYTES / 3) * 4, `must be at most ${MAX_UART_BYTES} bytes once decoded`)
  .regex(BASE64, 'must be base64 (RFC 4648 4) with padding')
  .refine(
    (text) => Buffer.from(text, 'base64').length <= MAX_UART_BYTES,
    `must be at most ${MAX_UART_BYTES} bytes once decoded`,
  );

/**
 * `write_uart` carries text. Bytes that are no text reach protocol 2 devices only, as
 * `{"data":"<base64>","encoding":"base64"}`.
 */
const writeUartRequest = z.union([
  z.strictObject({ data: uartTextSchema }),
  z.strictObject({ data: uartBase64Schema, encoding: z.literal('base64') }),
]);

const none = z.strictObject({});

export interface MethodSpec {
  readonly name: string;
  /** True where the call changes something on the device (so it may carry an Idempotency-Key and is audited). */
  readonly changes: boolean;
  /** What a request holds: these fields and nothing else. */
  readonly request: z.ZodType<JsonObject>;
  /** What a reply must hold; it may carry more fields. */
  readonly reply: z.ZodType<JsonObject>;
  /**
   * The fields that a request and its reply share, as one string; '' where they share none, so that a reply
   * alone cannot tell which request of this method it answers.
   */
  readonly signature: (message: JsonObject) => string;
}

const shared =
  (...fields: string[]) =>
  (message: JsonObject): string =>
    fields.map((field) => JSON.stringify(message[field])).join(',');
const noSignature = (): string => '';

const value = <T extends z.ZodType>(schema: T) => z.looseObject({ value: schema });

const specs: MethodSpec[] = [
  {
    name: 'get_status',
    changes: false,
    request: none,
    reply: z.looseObject({ status: z.string().min(1).max(64) }),
    signature: noSignature,
  },
  {
    name: 'set_status',
    changes: true,
    request: z.strictObject({
      status: z.literal('restart', { error: 'must be "restart", the only status that can be set' }),
    }),
    reply: z.looseObject({ status: z.string().min(1).max(64) }),
    signature: noSignature,
  },
  {
    name: 'get_gpio',
    changes: false,
    request: z.strictObject({ number: pinSchema }),
    reply: z.looseObject({ number: pinSchema, value: pinValueSchema }),
    signature: shared('number'),
  },
  {
    name: 'set_gpio',
    changes: true,
    request: z.strictObject({ number: pinSchema, value: pinValueSchema }),
    reply: z.looseObject({ number: pinSchema, value: pinValueSchema }),
    signature: shared('number', 'value'),
  },
  {
    name: 'get_rtc',
    changes: false,
    request: none,
    reply: value(epochSecondsSchema),
    signature: noSignature,
  },
  {
    name: 'set_rtc',
    changes: true,
    request: z.strictObject({ value: epochSecondsSchema }),
    reply: value(epochSecondsSchema),
    signature: shared('value'),
  },
  { name: 'get_mac', changes: false, request: none, reply: value(addressTextSchema), signature: noSignature },
  {
    name: 'set_mac',
    changes: true,
    request: z.strictObject({ value: macSchema }),
    reply: value(addressTextSchema),
    signature: (message) => String(message['value']).toLowerCase().replaceAll('-', ':'),
  },
  { name: 'get_ip', changes: false, request: none, reply: value(addressTextSchema), signature: noSignature },
  {
    name: 'get_subnet',
    changes: false,
    request: none,
    reply: value(addressTextSchema),
    signature: noSignature,
  },
  {
    name: 'get_gateway',
    changes: false,
    request: none,
    reply: value(addressTextSchema),
    signature: noSignature,
  },
  {
    name: 'write_uart',
    changes: true,
    request: writeUartRequest as z.ZodType<JsonObject>,
    reply: z.looseObject({ data: z.string() }),
    signature: shared('data'),
  },
];

/** The methods of the wire contract's table, by name. */
export const METHODS: ReadonlyMap<string, MethodSpec> = new Map(specs.map((spec) => [spec.name, spec]));

/** What any JSON object must be for a method that the table does not know. */
export const jsonObjectSchema: z.ZodType<JsonObject> = z.record(z.string(), z.unknown());
