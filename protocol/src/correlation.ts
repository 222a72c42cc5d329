import { z } from 'zod';
import { HELLO_LIMITS } from './limits.js';
import { correlationIdSchema } from './ids.js';

/** What a protocol 2 device publishes to `server/<deviceId>/hello` after each connect and subscribe. */
export const helloSchema = z.looseObject({
  protocol: z.literal(2),
  methods: z.array(z.string().min(1).max(HELLO_LIMITS.methodLength)).max(HELLO_LIMITS.methods),
  model: z.string().max(HELLO_LIMITS.textLength).optional(),
  version: z.string().max(HELLO_LIMITS.textLength).optional(),
});
export type Hello = z.infer<typeof helloSchema>;

/** The two fields that a request to a protocol 2 device over MQTT 3.1.1 carries beside its own. */
export const PAYLOAD_CORRELATION_FIELDS = {
  responseTopic: 'responseTopic',
  correlationId: 'correlationId',
} as const;

/** The AMQP header that RabbitMQ 4 maps to and from MQTT 5's Response Topic. */
export const REPLY_TO_TOPIC_HEADER = 'x-reply-to-topic';

/** How a protocol 2 device says that it failed. */
export const deviceErrorSchema = z.looseObject({
  error: z.looseObject({ code: z.string().min(1).max(64), message: z.string().max(1024) }),
});

export const payloadCorrelationSchema = z.looseObject({
  responseTopic: z.string().min(1).max(256),
  correlationId: correlationIdSchema,
});

/** Codes that our own devices put into `error.code`; a device may have others. */
export const DEVICE_ERROR_CODES = {
  BAD_REQUEST: 'the request is no JSON object, or a field is missing or out of range',
  METHOD_UNKNOWN: 'the device does not know the method',
  REQUEST_TOO_LARGE: 'the request is larger than the device can hold',
  REPLY_TOO_LARGE: 'the reply would be larger than the device can hold',
  BUSY: 'the device has too much to do',
  FAILED: 'the device tried and failed',
} as const;
