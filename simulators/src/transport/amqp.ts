import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { connect, credentials, type ConsumeMessage } from 'amqplib';
import {
  EXCHANGE,
  deviceQueue,
  requestBindingKey,
  routingKeyToTopic,
  topicToRoutingKey,
} from '@postern/protocol';
import type { DeviceStyle, OutgoingMessage } from '../device/simulated-device.js';
import { CLOSE_TIMEOUT_MS, CONNECT_TIMEOUT_MS, type Session, type SessionOptions } from './session.js';

export interface AmqpSessionOptions extends SessionOptions {
  style: DeviceStyle;
}

/**
 * Connects over AMQPS, logs in by certificate (EXTERNAL), declares and binds the device's queue and consumes it.
 * The old kind declares `amq.topic` too and never acknowledges; protocol 2 acknowledges what it has dealt with.
 */
export async function openAmqpSession(options: AmqpSessionOptions): Promise<Session> {
  const socketOptions: { secureContext: SecureContext } & Record<string, unknown> = {
    secureContext: options.identity.secureContext,
    rejectUnauthorized: true,
    credentials: credentials.external(),
    timeout: CONNECT_TIMEOUT_MS,
    noDelay: true,
    clientProperties: { connection_name: options.deviceId },
  };
  const connection = await connect(
    {
      protocol: 'amqps',
      hostname: options.endpoint.host,
      port: options.endpoint.port,
      vhost: '/',
      heartbeat: options.keepAliveSeconds,
    },
    socketOptions,
  );
  let failure: Error | null = null;
  let gone = false;
  /** We are closing it: amqplib throws on anything that is sent from then on. */
  let ending = false;
  const closed = new Promise<Error | null>((resolve) => {
    connection.on('close', () => {
      gone = true;
      resolve(failure);
    });
  });
  connection.on('error', (error: Error) => {
    failure ??= error;
  });
  // amqplib does not give its socket to callers; a power cut needs it. It listens for the socket's `error` and
  // `end`, not for `close`: destroyed without an error, the connection would never be seen to end.
  const cut = (): void => {
    const { stream } = connection.connection as unknown as { stream: Socket };
    stream.destroy(new Error('cut by the device'));
  };

  try {
    // Confirms, so that a reply is known to be at the broker before a restart ends the connection: amqplib sends
    // its close ahead of publishes that are still queued.
    const channel = await connection.createConfirmChannel();
    channel.on('error', (error: Error) => {
      failure ??= error;
    });
    // The broker closed the channel (a right is missing): without it the device is deaf, so begin again.
    let channelOpen = true;
    const usable = (): boolean => channelOpen && !ending && !gone;
    channel.on('close', () => {
      channelOpen = false;
      if (gone || ending) return;
      ending = true;
      connection.close().catch(cut);
    });
    if (options.style === 'old') await channel.assertExchange(EXCHANGE, 'topic', { durable: true });
    const queue = deviceQueue(options.deviceId);
    await channel.assertQueue(queue, { durable: false, autoDelete: true, exclusive: false });
    await channel.bindQueue(queue, EXCHANGE, requestBindingKey(options.deviceId));
    const receive = (message: ConsumeMessage | null): void => {
      if (message === null) {
        // The broker cancelled the consumer: the queue is gone.
        failure ??= new Error('the broker took the queue away');
        ending = true;
        connection.close().catch(cut);
        return;
      }
      const { correlationId, replyTo } = message.properties as { correlationId?: string; replyTo?: string };
      void options
        .onMessage({
          topic: routingKeyToTopic(message.fields.routingKey),
          payload: message.content,
          responseTopic: replyTo === undefined ? undefined : routingKeyToTopic(replyTo),
          correlationData: correlationId,
        })
        .then(() => {
          if (options.style === 'protocol2' && usable()) channel.ack(message);
        });
    };
    await channel.consume(queue, receive, { noAck: false });

    return {
      closed,
      send: (message: OutgoingMessage) => {
        if (!usable()) return Promise.resolve(false);
        const confirmed = new Promise<boolean>((resolve) => {
          channel.publish(
            EXCHANGE,
            topicToRoutingKey(message.topic),
            message.payload,
            {
              contentType: 'application/json',
              ...(message.correlationData === null ? {} : { correlationId: message.correlationData }),
            },
            (error) => resolve(error === null || error === undefined),
          );
        });
        return Promise.race([confirmed, closed.then(() => false)]);
      },
      close: async () => {
        ending = true;
        const timer = setTimeout(cut, CLOSE_TIMEOUT_MS);
        await connection.close().catch(cut);
        await closed;
        clearTimeout(timer);
      },
      drop: cut,
    };
  } catch (error) {
    await connection.close().catch(cut);
    throw failure ?? error;
  }
}
