import { z } from 'zod';
import {
  ERRORS,
  TIMEOUT_MS,
  jsonObjectSchema,
  methodNameSchema,
  type ErrorCode,
  type JsonObject,
} from '@postern/protocol';
import { ExpectedError } from '../errors.js';
import type { MethodCall } from '../ports.js';

/** What gateway instances say to each other about a device that one of them owns. */

const callSchema = z.object({
  method: methodNameSchema,
  payload: jsonObjectSchema,
  timeoutMs: z.int().min(1).max(TIMEOUT_MS.max),
  requestId: z.string().max(64),
});
const answerSchema = z.union([
  z.object({ reply: jsonObjectSchema }),
  z.object({
    error: z.object({
      code: z.enum(Object.keys(ERRORS) as [ErrorCode, ...ErrorCode[]]),
      detail: z.string().optional(),
      retryAfterSeconds: z.number().optional(),
      notSent: z.boolean().optional(),
      deviceError: z.object({ code: z.string(), message: z.string() }).optional(),
      reply: z.string().optional(),
    }),
  }),
]);

type Answer = { ok: true; reply: JsonObject } | { ok: false; error: ExpectedError };

export function encodeForwardedCall(call: MethodCall): Buffer {
  const { method, payload, timeoutMs, requestId } = call;
  return Buffer.from(JSON.stringify({ method, payload, timeoutMs, requestId }));
}

/** Null where it is none. */
export function decodeForwardedCall(body: Buffer): Omit<MethodCall, 'deviceId'> | null {
  return parse(callSchema, body);
}

export function encodeAnswer(answer: Answer): Buffer {
  if (answer.ok) return Buffer.from(JSON.stringify({ reply: answer.reply }));
  const { code, detail, retryAfterSeconds, notSent, extra } = answer.error;
  return Buffer.from(
    JSON.stringify({
      error: { code, detail, retryAfterSeconds, notSent, deviceError: extra.deviceError, reply: extra.reply },
    }),
  );
}

export function decodeAnswer(body: Buffer): Answer {
  const answer = parse(answerSchema, body);
  if (!answer)
    return {
      ok: false,
      error: new ExpectedError('INTERNAL', { cause: 'an instance answered what this one cannot read' }),
    };
  if ('reply' in answer) return { ok: true, reply: answer.reply };
  const { code, ...options } = answer.error;
  return {
    ok: false,
    error: new ExpectedError(code, options as ConstructorParameters<typeof ExpectedError>[1]),
  };
}

function parse<T>(schema: z.ZodType<T>, body: Buffer): T | null {
  try {
    const result = schema.safeParse(JSON.parse(body.toString('utf8')));
    return result.success ? result.data : null;
  } catch {
    return null;
  }
}
