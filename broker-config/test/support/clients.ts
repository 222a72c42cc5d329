import type { SecureContextOptions } from 'node:tls';
import { readFileSync } from 'node:fs';
import { connect as amqpConnect, type ChannelModel, type Options } from 'amqplib';
import amqplib from 'amqplib';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import type { Bed } from './bed.js';
import type { Leaf } from './pki.js';

export type MqttVersion = 3 | 4 | 5;

/** One CONNECT and no second try; rejects with what the broker or TLS said. */
export function mqttConnect(
  bed: Bed,
  leaf: Leaf | null,
  options: Omit<IClientOptions, 'clientId'> &
    SecureContextOptions & { clientId: string; version?: MqttVersion },
): Promise<MqttClient> {
  const { version = 4, ...rest } = options;
  return new Promise((resolve, reject) => {
    const client = mqtt.connect({
      protocol: 'mqtts',
      host: '127.0.0.1',
      port: bed.mqttsPort,
      ca: readFileSync(bed.pki.caFile),
      ...(leaf ? { cert: leaf.cert, key: leaf.key } : {}),
      rejectUnauthorized: true,
      reconnectPeriod: 0,
      connectTimeout: 8_000,
      protocolVersion: version,
      ...(version === 3 ? { protocolId: 'MQIsdp' as const } : {}),
      clean: true,
      ...rest,
    });
    const refused = (): void => {
      client.end(true);
      reject(new Error('closed before CONNACK'));
    };
    client.once('close', refused);
    client.once('connect', () => {
      client.off('close', refused);
      client.on('error', () => undefined);
      resolve(client);
    });
    client.once('error', (error) => {
      client.end(true);
      reject(error);
    });
  });
}

export async function amqpOpen(
  bed: Bed,
  leaf: Leaf | null,
  options: {
    credentials?: ReturnType<typeof amqplib.credentials.external>;
    heartbeat?: number;
    vhost?: string;
  } = {},
): Promise<ChannelModel> {
  const connection = await amqpConnect(
    {
      protocol: 'amqps',
      hostname: '127.0.0.1',
      port: bed.amqpsPort,
      vhost: options.vhost ?? '/',
      heartbeat: options.heartbeat ?? 0,
      frameMax: 0x1000 * 2,
    } satisfies Options.Connect,
    {
      ca: [readFileSync(bed.pki.caFile)],
      ...(leaf ? { cert: leaf.cert, key: leaf.key } : {}),
      credentials: options.credentials ?? amqplib.credentials.external(),
      timeout: 8_000,
    },
  );
  connection.on('error', () => undefined);
  return connection;
}

/** The management API as the management user, or as somebody else. */
export function management(
  bed: Bed,
  path: string,
  options: { method?: string; user?: string; password?: string; body?: string } = {},
): Promise<Response> {
  const user = options.user ?? bed.policy.managementUser;
  const password = options.password ?? bed.policy.managementPassword;
  return fetch(`${bed.node.managementUrl}${path}`, {
    method: options.method ?? 'GET',
    ...(options.body !== undefined && { body: options.body }),
    headers: { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` },
  });
}

/** Polls until `condition` holds. @throws after `timeoutMs`, naming what was waited for */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}
