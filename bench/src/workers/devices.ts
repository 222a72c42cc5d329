import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import {
  helloTopic,
  instanceReplyTopic,
  PAYLOAD_CORRELATION_FIELDS,
  replyTopic,
  requestTopicFilter,
} from '@postern/protocol';
import { serve } from '../worker.js';

/**
 * The benchmark's devices: as little as a device can be, so that what is measured is the path to it. They answer
 *   <id>/raw      with the bytes that came, unread, to `server/<id>/reply/raw`: the raw limit
 *   <id>/peer     the same to `server/<id>/peer`
 *   <id>/<other>  with the object that came, as a device of protocol 2 (or of the seed's kind)
 */

export interface BenchDevice {
  id: string;
  certFile: string;
  keyFile: string;
}

export interface ConnectOptions {
  host: string;
  port: number;
  caFile: string;
  devices: readonly BenchDevice[];
  style: 'old' | 'protocol2';
  mqttVersion: 4 | 5;
  /** QoS of replies, to the raw caller as well. */
  replyQos: 0 | 1;
  /** Connects under way at a time. */
  atOnce: number;
}

export interface ConnectReport {
  connected: number;
  seconds: number;
  /** Of each connect, CONNECT to SUBACK and hello, in ms, in the order in which they ended. */
  tookMs: number[];
  retries: number;
}

const CONNECT_TIMEOUT_MS = 30_000;
/** A connect that the broker refused or let time out is tried again: RabbitMQ 3.10 stalls some for 5 s. */
const ATTEMPTS = 5;

const clients = new Map<string, MqttClient>();
let handled = 0;
/** Connections that ended by themselves, after they had stood. */
let dropped = 0;
let ending = false;

const { responseTopic: TOPIC_FIELD, correlationId: ID_FIELD } = PAYLOAD_CORRELATION_FIELDS;

function answer(
  client: MqttClient,
  device: BenchDevice,
  options: ConnectOptions,
  topic: string,
  payload: Buffer,
  properties: mqtt.IPublishPacket['properties'],
): void {
  handled += 1;
  const { replyQos: qos } = options;
  const method = topic.slice(device.id.length + 1);
  if (method === 'raw') {
    client.publish(instanceReplyTopic(device.id, 'raw'), payload, { qos });
    return;
  }
  if (method === 'peer') {
    client.publish(replyTopic(device.id, 'peer'), payload, { qos });
    return;
  }
  const request = JSON.parse(payload.toString('utf8')) as Record<string, unknown>;
  if (method === 'get_gpio') request['value'] = 1;
  if (options.style === 'old') {
    client.publish(replyTopic(device.id, method), JSON.stringify(request), { qos });
    return;
  }
  if (properties?.responseTopic !== undefined) {
    client.publish(properties.responseTopic, JSON.stringify(request), {
      qos,
      properties: { ...(properties.correlationData && { correlationData: properties.correlationData }) },
    });
    return;
  }
  const { [TOPIC_FIELD]: replyTo, ...reply } = request;
  if (typeof replyTo === 'string' && typeof reply[ID_FIELD] === 'string')
    client.publish(replyTo, JSON.stringify(reply), { qos });
}

function connectOne(device: BenchDevice, options: ConnectOptions): Promise<void> {
  const connectOptions: IClientOptions & { secureContext: SecureContext } = {
    protocol: 'mqtts',
    host: options.host,
    port: options.port,
    secureContext: createSecureContext({
      ca: ca(options.caFile),
      cert: readFileSync(device.certFile),
      key: readFileSync(device.keyFile),
    }),
    clientId: device.id,
    protocolVersion: options.mqttVersion,
    clean: true,
    keepalive: 60,
    connectTimeout: CONNECT_TIMEOUT_MS,
    reconnectPeriod: 0,
  };
  return new Promise<void>((resolve, reject) => {
    const client = mqtt.connect(connectOptions);
    client.on('message', (topic, payload, packet) =>
      answer(client, device, options, topic, payload, packet.properties),
    );
    client.on('error', (error) => {
      reject(error);
      client.end(true);
    });
    client.once('close', () => reject(new Error(`the connection of ${device.id} was closed`)));
    client.once('connect', () => {
      client.subscribe(requestTopicFilter(device.id), { qos: 1 }, (error, granted) => {
        if (error || granted?.some(({ qos }) => Number(qos) >= 0x80))
          return reject(error ?? new Error('subscription refused'));
        clients.set(device.id, client);
        client.once('close', () => void comeBack(device, options));
        if (options.style === 'old') return resolve();
        const hello = JSON.stringify({ protocol: 2, methods: ['echo'], model: 'bench', version: '1' });
        client.publish(helloTopic(device.id), hello, { qos: 1 }, (failed) =>
          failed ? reject(failed) : resolve(),
        );
      });
    });
  }).catch((error: unknown) => {
    throw error;
  });
}

/** As devices do: connect again, after a pause. */
async function comeBack(device: BenchDevice, options: ConnectOptions): Promise<void> {
  clients.delete(device.id);
  if (ending) return;
  dropped += 1;
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 500 + Math.random() * 1_000));
    if (ending || clients.has(device.id)) return;
    try {
      return await connectOne(device, options);
    } catch {
      // It goes on trying: the calls meanwhile are lost, and counted.
    }
  }
}

const cas = new Map<string, Buffer>();
function ca(file: string): Buffer {
  const known = cas.get(file) ?? readFileSync(file);
  cas.set(file, known);
  return known;
}

async function connect(options: ConnectOptions): Promise<ConnectReport> {
  const waiting = [...options.devices];
  const tookMs: number[] = [];
  let retries = 0;
  const startedAt = performance.now();
  const connector = async (): Promise<void> => {
    for (let device = waiting.shift(); device; device = waiting.shift()) {
      const began = performance.now();
      for (let attempt = 1; ; attempt++) {
        try {
          await connectOne(device, options);
          break;
        } catch (error) {
          if (attempt === ATTEMPTS) throw error;
          retries += 1;
          await new Promise((resolve) => setTimeout(resolve, 100 * attempt));
        }
      }
      tookMs.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: options.atOnce }, connector));
  return { connected: clients.size, seconds: (performance.now() - startedAt) / 1000, tookMs, retries };
}

serve({
  connect,
  status: () => ({
    connected: [...clients.values()].filter((client) => client.connected).length,
    handled,
    dropped,
  }),
  async disconnect() {
    ending = true;
    await Promise.all([...clients.values()].map((client) => client.endAsync(true)));
    clients.clear();
  },
});
