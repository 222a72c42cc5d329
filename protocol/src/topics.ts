/**
 * Addresses of the wire contract. RabbitMQ's MQTT plugin turns `/` of a topic into `.` of a routing key on
 * the exchange {@link EXCHANGE} and back, so each address exists in both spellings.
 */

/** The exchange that RabbitMQ's MQTT plugin publishes to and binds from. */
export const EXCHANGE = 'amq.topic';

/** First level of all that devices publish. */
export const SERVER_LEVEL = 'server';

export const topicToRoutingKey = (topic: string): string => topic.replaceAll('/', '.');
export const routingKeyToTopic = (key: string): string => key.replaceAll('.', '/');

/** Topic on which a device receives calls of `method`. */
export const requestTopic = (deviceId: string, method: string): string => `${deviceId}/${method}`;
export const requestRoutingKey = (deviceId: string, method: string): string => `${deviceId}.${method}`;

/** Topic filter that a device subscribes to. */
export const requestTopicFilter = (deviceId: string): string => `${deviceId}/#`;
export const requestBindingKey = (deviceId: string): string => `${deviceId}.#`;

/** Topic on which a device of the seed's kind answers `method`. */
export const replyTopic = (deviceId: string, method: string): string =>
  `${SERVER_LEVEL}/${deviceId}/${method}`;
export const replyRoutingKey = (deviceId: string, method: string): string =>
  `${SERVER_LEVEL}.${deviceId}.${method}`;

/** Topic on which a protocol 2 device announces itself after each connect and subscribe. */
export const helloTopic = (deviceId: string): string => `${SERVER_LEVEL}/${deviceId}/hello`;
export const helloRoutingKey = (deviceId: string): string => `${SERVER_LEVEL}.${deviceId}.hello`;

/** Matches every device's hello. */
export const HELLO_BINDING_KEY = `${SERVER_LEVEL}.*.hello`;

/**
 * Topic on which a protocol 2 device answers the gateway instance `instanceId`.
 * One binding, {@link instanceReplyBindingKey}, serves all devices of that instance.
 */
export const instanceReplyTopic = (deviceId: string, instanceId: string): string =>
  `${SERVER_LEVEL}/${deviceId}/reply/${instanceId}`;
export const instanceReplyRoutingKey = (deviceId: string, instanceId: string): string =>
  `${SERVER_LEVEL}.${deviceId}.reply.${instanceId}`;
export const instanceReplyBindingKey = (instanceId: string): string =>
  `${SERVER_LEVEL}.*.reply.${instanceId}`;

/** The queue in which RabbitMQ's MQTT plugin keeps what a QoS 1 subscriber receives; AMQP devices declare it. */
export const deviceQueue = (deviceId: string): string => `mqtt-subscription-${deviceId}qos1`;

/** Who sent this: the device id of a routing key below `server.`, and the rest of the key; null for any other key. */
export function parseServerRoutingKey(key: string): { deviceId: string; rest: string } | null {
  if (!key.startsWith('server.')) return null;
  const end = key.indexOf('.', 7);
  if (end < 0 || end === 7 || end === key.length - 1) return null;
  return { deviceId: key.slice(7, end), rest: key.slice(end + 1) };
}
