import { isDeviceId } from '@postern/protocol';
import type { DeviceConnection } from '../domain/presence.js';

export type ConnectionEvent =
  { kind: 'opened'; connection: DeviceConnection } | { kind: 'closed'; name: string };

const DEVICE_QUEUE = /^mqtt-subscription-(d[a-z2-7]{20})qos[01]$/;

/** Whether a device's queue hands on what it gets, by its name and its arguments as the broker tells them. */
export function trapOf(queue: unknown, queueArguments: unknown): { deviceId: string; queue: string } | null {
  if (typeof queue !== 'string' || queueArguments === undefined) return null;
  const deviceId = DEVICE_QUEUE.exec(queue)?.[1];
  return deviceId !== undefined && JSON.stringify(queueArguments).includes('x-dead-letter')
    ? { deviceId, queue }
    : null;
}

/** A device's queue was declared with dead-lettering; null for every other event. */
export function readTrapEvent(
  routingKey: string,
  headers: Record<string, unknown>,
): { deviceId: string; queue: string } | null {
  return routingKey === 'queue.created' ? trapOf(headers['name'], headers['arguments']) : null;
}

/** Reads an event of RabbitMQ's event exchange, of which all is in the headers; null for what does not concern devices. */
export function readConnectionEvent(
  routingKey: string,
  headers: Record<string, unknown>,
): ConnectionEvent | null {
  const name = headers['name'];
  if (typeof name !== 'string') return null;
  if (routingKey !== 'connection.created' && routingKey !== 'connection.closed') return null;
  if (routingKey === 'connection.closed') return { kind: 'closed', name };
  const user = headers['user'];
  if (typeof user !== 'string' || !isDeviceId(user)) return null;
  return {
    kind: 'opened',
    connection: {
      deviceId: user,
      connection: name,
      address: peerAddress(headers['peer_host'], name),
      transport: transportName(headers['protocol']),
    },
  };
}

/**
 * The protocol in one spelling. RabbitMQ has several: `{'MQTT',"3.1.1"}`, `{'MQTT',{5,0}}`, `MQTT 3-1-1`, `{0,9,1}`,
 * `AMQP 0-9-1`; MQTT 3.1 is told as 3.1.0.
 */
export function transportName(protocol: unknown): string | null {
  if (typeof protocol !== 'string') return null;
  const digits = protocol.match(/\d+/g)?.join('.') ?? '';
  if (/mqtt/i.test(protocol)) {
    if (digits.startsWith('5')) return 'MQTT 5.0';
    if (digits === '3.1.1' || digits === '4') return 'MQTT 3.1.1';
    if (digits.startsWith('3')) return 'MQTT 3.1';
    return 'MQTT';
  }
  return digits === '0.9.1' ? 'AMQP 0-9-1' : protocol;
}

/** Events spell the peer as text or not at all; the connection's name (`host:port -> host:port`) always has it. */
export function peerAddress(host: unknown, name: string): string | null {
  if (typeof host === 'string' && /^[0-9a-fA-F.:]+$/.test(host)) return host;
  const peer = /^(.+):\d+ -> /.exec(name)?.[1];
  return peer ?? null;
}
