import {
  PAYLOAD_CORRELATION_FIELDS,
  SERVER_LEVEL,
  correlationIdSchema,
  type JsonObject,
} from '@postern/protocol';

/** Correlation that came outside the payload: MQTT 5 properties or AMQP `reply_to` and `correlation_id`. */
export interface MessageCorrelation {
  /** A topic (AMQP keys are turned into one before). */
  responseTopic?: string | undefined;
  correlationData?: string | undefined;
}

/** How a request wants to be answered. */
export interface ReplyAddress {
  topic: string;
  /** The id to remember; null for a request without one. */
  id: string | null;
  /** Goes back beside the payload. */
  correlationData: string | null;
  /** Goes back inside the payload (MQTT 3.1.1). */
  payloadFields: JsonObject;
  /** Set where the request must be refused. */
  refusal: string | null;
}

/** What a topic name must not hold (MQTT-3.3.2-2, MQTT-1.5.4-2). */
const FORBIDDEN = ['+', '#', '\u0000'];

/** True for a topic below `server/<deviceId>/`, which is where a device may publish. */
export function isOwnResponseTopic(deviceId: string, topic: string): boolean {
  const prefix = `${SERVER_LEVEL}/${deviceId}/`;
  return (
    topic.startsWith(prefix) &&
    topic.length > prefix.length &&
    topic.length <= 256 &&
    !FORBIDDEN.some((character) => topic.includes(character))
  );
}

/**
 * Reads a request's correlation. What stands beside the payload outranks what stands in it; the two payload
 * fields are taken out of `request` and an id among them goes back in the reply, wherever that is sent.
 */
export function readCorrelation(options: {
  deviceId: string;
  defaultTopic: string;
  message: MessageCorrelation;
  request: JsonObject;
}): { address: ReplyAddress; request: JsonObject } {
  const { deviceId, defaultTopic, message } = options;
  const {
    [PAYLOAD_CORRELATION_FIELDS.responseTopic]: payloadTopic,
    [PAYLOAD_CORRELATION_FIELDS.correlationId]: payloadId,
    ...request
  } = options.request;
  const address: ReplyAddress = {
    topic: defaultTopic,
    id: null,
    correlationData: null,
    payloadFields: {},
    refusal: null,
  };

  if (payloadId !== undefined) {
    const id = correlationIdSchema.safeParse(payloadId);
    if (id.success) {
      address.id = id.data;
      address.payloadFields = { [PAYLOAD_CORRELATION_FIELDS.correlationId]: id.data };
    } else address.refusal = `correlationId ${id.error.issues[0]!.message}`;
  }
  if (message.correlationData !== undefined) {
    const id = correlationIdSchema.safeParse(message.correlationData);
    if (id.success) {
      address.id = id.data;
      address.correlationData = id.data;
    } else address.refusal = `the correlation id ${id.error.issues[0]!.message}`;
  }

  const topic = message.responseTopic ?? payloadTopic;
  if (topic !== undefined) {
    if (typeof topic === 'string' && isOwnResponseTopic(deviceId, topic)) address.topic = topic;
    else address.refusal = `the response topic must lie below ${SERVER_LEVEL}/${deviceId}/`;
    if (address.id === null) address.refusal ??= 'a response topic needs a correlation id beside it';
  }
  return { address, request };
}
