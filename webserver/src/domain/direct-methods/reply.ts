import {
  MAX_REPLY_BYTES,
  METHODS,
  PAYLOAD_CORRELATION_FIELDS,
  deviceErrorSchema,
  type JsonObject,
  type MethodSpec,
} from '@postern/protocol';
import { ExpectedError } from '../errors.js';

/** How much of a bad reply is shown to the caller, in characters: enough to see what it is. */
const QUOTE_LENGTH = 200;

export type ParsedReply = { ok: true; value: JsonObject } | { ok: false; why: string; quote: string };

const quote = (body: Buffer): string => {
  const text = body.subarray(0, QUOTE_LENGTH * 4).toString('utf8');
  return text.length > QUOTE_LENGTH ? `${text.slice(0, QUOTE_LENGTH)}...` : text;
};

/** Reads a device's reply as a JSON object; says what is wrong where it is none. */
export function parseReply(body: Buffer): ParsedReply {
  if (body.length > MAX_REPLY_BYTES) {
    return {
      ok: false,
      why: `it has ${body.length} bytes, the limit is ${MAX_REPLY_BYTES}`,
      quote: quote(body),
    };
  }
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    return { ok: false, why: 'it is not JSON', quote: quote(body) };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { ok: false, why: 'it is not a JSON object', quote: quote(body) };
  }
  return { ok: true, value: value as JsonObject };
}

/** Says what is wrong with a reply under the method's contract; null where nothing is. */
export function contractFault(spec: MethodSpec | undefined, reply: JsonObject): string | null {
  if (!spec) return null;
  const checked = spec.reply.safeParse(reply);
  if (checked.success) return null;
  const issue = checked.error.issues[0];
  return issue
    ? `${issue.path.join('.') || 'reply'}: ${issue.message}`
    : 'it does not have the expected fields';
}

export const badReply = (method: string, why: string, quoted: string): ExpectedError =>
  new ExpectedError('DEVICE_BAD_REPLY', {
    detail: `The device's answer to ${method} breaks its contract: ${why}.`,
    reply: quoted,
  });

/**
 * The outcome of a call whose reply surely belongs to it: the reply, without the correlation field.
 * `parsed` is what {@link parseReply} made of `body`. Throws DEVICE_ERROR or DEVICE_BAD_REPLY.
 */
export function correlatedOutcome(
  method: string,
  request: JsonObject,
  body: Buffer,
  parsed: ParsedReply,
): JsonObject {
  if (!parsed.ok) throw badReply(method, parsed.why, parsed.quote);
  const { [PAYLOAD_CORRELATION_FIELDS.correlationId]: _id, ...reply } = parsed.value;
  throwDeviceError(reply);
  const spec = METHODS.get(method);
  const fault = contractFault(spec, reply) ?? mismatch(spec, request, reply);
  if (fault) throw badReply(method, fault, quote(body));
  return reply;
}

/** Throws DEVICE_ERROR where the reply says that the device failed. */
export function throwDeviceError(reply: JsonObject): void {
  if (!('error' in reply)) return;
  const failed = deviceErrorSchema.safeParse(reply);
  if (!failed.success) return;
  const { code, message } = failed.data.error;
  throw new ExpectedError('DEVICE_ERROR', {
    detail: `The device says ${code}: ${message}`,
    deviceError: { code, message },
  });
}

function mismatch(spec: MethodSpec | undefined, request: JsonObject, reply: JsonObject): string | null {
  if (!spec || spec.signature(request) === spec.signature(reply)) return null;
  return 'it speaks of other values than the request';
}
