import { readFileSync } from 'node:fs';
import { connect, credentials, type Channel, type ChannelModel, type Options } from 'amqplib';
import { EXCHANGE, requestRoutingKey, type JsonObject } from '@postern/protocol';
import type { PrivateBroker } from './private-broker.js';
import { until } from './until.js';

export interface Received {
  key: string;
  text: string;
  correlationId: string | undefined;
  contentType: string | undefined;
  /** What RabbitMQ makes of the QoS of an MQTT publisher: 1 of QoS 0, 2 of QoS 1. */
  deliveryMode: number | undefined;
}

/** The gateway's end of the wire, as little as the contract asks: publish requests, read `server.#`. */
export class GatewayClient {
  readonly received: Received[] = [];
  readonly returned: string[] = [];
  readonly #connection: ChannelModel;
  readonly #channel: Channel;

  private constructor(connection: ChannelModel, channel: Channel) {
    this.#connection = connection;
    this.#channel = channel;
    connection.on('error', () => undefined);
    channel.on('return', (message) => this.returned.push(message.fields.routingKey));
  }

  static async connect(broker: PrivateBroker): Promise<GatewayClient> {
    const { cert, key } = broker.pki.issueDevice('postern-gateway');
    const connection = await connect(
      { protocol: 'amqps', hostname: 'localhost', port: broker.amqpsPort, vhost: '/' },
      {
        ca: readFileSync(broker.pki.rootPath),
        cert: readFileSync(cert),
        key: readFileSync(key),
        credentials: credentials.external(),
      },
    );
    const channel = await connection.createChannel();
    const client = new GatewayClient(connection, channel);
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, EXCHANGE, 'server.#');
    await channel.consume(
      queue,
      (message) => {
        if (!message) return;
        const { correlationId, contentType, deliveryMode } = message.properties as Partial<
          Record<'correlationId' | 'contentType', string> & Record<'deliveryMode', number>
        >;
        client.received.push({
          key: message.fields.routingKey,
          text: message.content.toString('utf8'),
          correlationId,
          contentType,
          deliveryMode,
        });
      },
      { noAck: true },
    );
    return client;
  }

  publish(
    deviceId: string,
    method: string,
    body: JsonObject | string,
    properties: Options.Publish = {},
  ): void {
    const payload = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    this.#channel.publish(EXCHANGE, requestRoutingKey(deviceId, method), payload, {
      mandatory: true,
      ...properties,
    });
  }

  /** The first message from now on (or after `after` earlier ones) under this key. */
  async next(key: string, options: { after?: number } = {}): Promise<Received & { json: JsonObject }> {
    const after = options.after ?? 0;
    const message = await until(
      `a message on ${key}; got ${this.received.map((one) => one.key).join(' ')}`,
      () => this.received.filter((one) => one.key === key)[after],
    );
    return { ...message, json: JSON.parse(message.text) as JsonObject };
  }

  count(key: string): number {
    return this.received.filter((one) => one.key === key).length;
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}
