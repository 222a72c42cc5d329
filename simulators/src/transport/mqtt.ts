import type { SecureContext } from 'node:tls';
import mqtt, { type IClientOptions } from 'mqtt';
import { requestTopicFilter } from '@postern/protocol';
import type { IncomingMessage, OutgoingMessage } from '../device/simulated-device.js';
import { CLOSE_TIMEOUT_MS, CONNECT_TIMEOUT_MS, type Session, type SessionOptions } from './session.js';

export type MqttVersion = '3.1' | '3.1.1' | '5';

export interface MqttSessionOptions extends SessionOptions {
  version: MqttVersion;
  /** QoS of replies. */
  replyQos: 0 | 1;
  username?: string | undefined;
  password?: string | undefined;
  /** True keeps the session at the broker while the device is away (MQTT-3.1.2-4). */
  persistentSession: boolean;
}

/** Protocol name and level of each version (MQTT 3.1 section 3.1; MQTT-3.1.2-1). */
const VERSIONS = {
  '3.1': { protocolId: 'MQIsdp', protocolVersion: 3 },
  '3.1.1': { protocolId: 'MQTT', protocolVersion: 4 },
  '5': { protocolId: 'MQTT', protocolVersion: 5 },
} as const;

/** How long the broker keeps a persistent MQTT 5 session, in seconds; 24 h, as our brokers allow. */
const SESSION_EXPIRY_SECONDS = 86_400;

/** Connects over MQTTS, subscribes to `<deviceId>/#` at QoS 1, and only then counts as open. */
export function openMqttSession(options: MqttSessionOptions): Promise<Session> {
  // mqtt.js hands what it does not know to tls.connect, and so the context; its types do not say so.
  const connectOptions: IClientOptions & { secureContext: SecureContext } = {
    protocol: 'mqtts',
    host: options.endpoint.host,
    port: options.endpoint.port,
    secureContext: options.identity.secureContext,
    rejectUnauthorized: true,
    clientId: options.deviceId,
    ...VERSIONS[options.version],
    clean: !options.persistentSession,
    ...(options.version === '5' && options.persistentSession
      ? { properties: { sessionExpiryInterval: SESSION_EXPIRY_SECONDS } }
      : {}),
    ...(options.username === undefined ? {} : { username: options.username }),
    ...(options.password === undefined ? {} : { password: options.password }),
    keepalive: options.keepAliveSeconds,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // The connection loop reconnects, with backoff of its own.
    reconnectPeriod: 0,
    resubscribe: false,
    queueQoSZero: false,
  };
  const client = mqtt.connect(connectOptions);

  let failure: Error | null = null;
  let gone = false;
  let opened = false;
  const closed = new Promise<Error | null>((resolve) => {
    client.on('close', () => {
      gone = true;
      resolve(failure);
    });
  });
  client.on('error', (error) => {
    failure ??= error;
    // A refused handshake does not always end in `close` (mqtt.js): make sure that it does.
    if (!opened) client.end(true);
  });
  client.on('disconnect', (packet) => {
    failure ??= new Error(`the broker sent DISCONNECT, reason 0x${(packet.reasonCode ?? 0).toString(16)}`);
  });
  client.on('message', (topic, payload, packet) => {
    const properties = packet.properties;
    const message: IncomingMessage = {
      topic,
      payload,
      responseTopic: properties?.responseTopic,
      correlationData: properties?.correlationData?.toString('utf8'),
    };
    void options.onMessage(message);
  });

  const session: Session = {
    closed,
    send: (message: OutgoingMessage, { qos = options.replyQos } = {}) => {
      if (gone || !client.connected) return Promise.resolve(false);
      const published = new Promise<boolean>((resolve) => {
        client.publish(
          message.topic,
          message.payload,
          {
            qos,
            ...(options.version === '5' && message.correlationData !== null
              ? { properties: { correlationData: Buffer.from(message.correlationData) } }
              : {}),
          },
          (error) => resolve(!error),
        );
      });
      // mqtt.js keeps a QoS 1 publish for a reconnect that never comes with this client object.
      return Promise.race([published, closed.then(() => false)]);
    },
    close: async () => {
      const timer = setTimeout(() => client.stream?.destroy(), CLOSE_TIMEOUT_MS);
      client.end();
      await closed;
      clearTimeout(timer);
    },
    drop: () => {
      client.stream.destroy();
    },
  };

  return new Promise<Session>((resolve, reject) => {
    client.once('connect', () => {
      client.subscribe(requestTopicFilter(options.deviceId), { qos: 1 }, (error, granted) => {
        const refused = granted?.some(({ qos }) => Number(qos) >= 0x80);
        if (error || refused) {
          failure ??= new Error('the broker refused the subscription', { cause: error });
          client.end(true);
          return;
        }
        opened = true;
        resolve(session);
      });
    });
    void closed.then((reason) => {
      if (!opened) reject(reason ?? new Error('the broker closed the connection without a word'));
    });
  });
}
