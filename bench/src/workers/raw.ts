import { readFileSync } from 'node:fs';
import amqplib, { type Channel, type ChannelModel } from 'amqplib';
import { EXCHANGE, instanceReplyBindingKey, requestRoutingKey } from '@postern/protocol';
import {
  closedLoop,
  openLoop,
  type Call,
  type CallOutcome,
  type ClosedLoop,
  type LoadReport,
  type OpenLoop,
} from '../load.js';
import { payloadMaker } from '../payload.js';
import { serve } from '../worker.js';

/** The raw limit: amqplib, the broker, mqtt.js, and nothing between them. */

export interface RawConnect {
  host: string;
  port: number;
  caFile: string;
  certFile: string;
  keyFile: string;
}

export interface RawRun {
  devices: string[];
  payloadBytes: number;
  closed?: ClosedLoop;
  open?: OpenLoop;
}

const TIMEOUT_MS = 10_000;
const SWEEP_MS = 500;
/** As the gateway publishes: transient, and at QoS 0 to the device on brokers that would make it QoS 1. */
const AT_MOST_ONCE = { 'x-mqtt-publish-qos': { '!': 'int8', value: 0 } };

let model: ChannelModel;
let out: Channel;
const waiting = new Map<number, { body: string; at: number; resolve: (outcome: CallOutcome) => void }>();

async function connect(options: RawConnect): Promise<void> {
  model = await amqplib.connect(
    { protocol: 'amqps', hostname: options.host, port: options.port, heartbeat: 10 },
    {
      ca: [readFileSync(options.caFile)],
      cert: readFileSync(options.certFile),
      key: readFileSync(options.keyFile),
      credentials: amqplib.credentials.external(),
      noDelay: true,
    },
  );
  out = await model.createChannel();
  const back = await model.createChannel();
  const { queue } = await back.assertQueue('', { exclusive: true, durable: false, autoDelete: true });
  await back.bindQueue(queue, EXCHANGE, instanceReplyBindingKey('raw'));
  await back.consume(queue, (message) => message && onReply(message.content.toString('utf8')), {
    noAck: true,
  });
  setInterval(() => {
    const oldest = performance.now() - TIMEOUT_MS;
    for (const [sequence, { at, resolve }] of waiting) {
      if (at > oldest) continue;
      waiting.delete(sequence);
      resolve('TIMEOUT');
    }
  }, SWEEP_MS).unref();
}

function onReply(text: string): void {
  const { seq } = JSON.parse(text) as { seq: number };
  const call = waiting.get(seq);
  if (!call) return;
  waiting.delete(seq);
  call.resolve(call.body === text ? 'ok' : 'crossed');
}

let counter = 0;

function run(options: RawRun): Promise<LoadReport> {
  const { devices } = options;
  const make = payloadMaker(options.payloadBytes);
  const call: Call = (index) =>
    new Promise((resolve) => {
      const body = make(++counter);
      const { seq } = JSON.parse(body) as { seq: number };
      waiting.set(seq, { body, at: performance.now(), resolve });
      out.publish(EXCHANGE, requestRoutingKey(devices[index % devices.length]!, 'raw'), Buffer.from(body), {
        deliveryMode: 1,
        headers: AT_MOST_ONCE,
      });
    });
  return options.open ? openLoop(options.open, call) : closedLoop(options.closed!, call);
}

serve({ connect, run, close: () => model.close() });
