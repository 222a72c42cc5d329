import { Option, type Command } from 'commander';
import type { SimulatedDeviceOptions } from '../device/simulated-device.js';
import type { MqttVersion } from '../transport/mqtt.js';
import { DEFAULT_BACKOFF, type BackoffLimits } from '../transport/backoff.js';
import { RESTART_MS } from '../transport/running-device.js';
import { DEFAULT_KEEP_ALIVE_SECONDS } from '../transport/session.js';
import {
  faultsFrom,
  garbageKinds,
  millisecondRange,
  probability,
  wholeNumber,
  type FaultOptionValues,
} from './option-values.js';
import { UsageError } from './exit-codes.js';

/** What `run` and `fleet` have in common. */
export interface SharedOptionValues extends FaultOptionValues {
  host?: string;
  port?: number;
  transport: 'mqtt' | 'amqp';
  style: 'old' | 'protocol2';
  mqttVersion?: MqttVersion;
  replyQos?: '0' | '1';
  keepAlive: number;
  tls12?: true;
  persistent?: true;
  badRequests: 'silent' | 'error';
  uartReply: 'data' | 'request';
  backoffMin: number;
  backoffMax: number;
  restartMs: number;
  seed?: string;
  control?: 'stdio';
}

const SECONDS_LIMIT = 65_535;
const PAUSE_LIMIT = 3_600_000;

export function addSharedOptions(command: Command): Command {
  return command
    .option('--host <name>', 'broker; its certificate must be for this name')
    .option('--port <number>', 'default 8883 for MQTTS, 5671 for AMQPS', wholeNumber(1, 65_535))
    .addOption(new Option('--transport <name>').choices(['mqtt', 'amqp']).default('mqtt'))
    .addOption(
      new Option('--style <name>', "old: as the seed's devices; protocol2: hello and correlation")
        .choices(['old', 'protocol2'])
        .default('protocol2'),
    )
    .addOption(
      new Option('--mqtt-version <version>', 'default 3.1.1; 5 needs RabbitMQ 3.13 or later').choices([
        '3.1',
        '3.1.1',
        '5',
      ]),
    )
    .addOption(new Option('--reply-qos <qos>', 'MQTT; default 0').choices(['0', '1']))
    .option('--persistent', 'MQTT: a session that outlives its connection')
    .option('--tls12', 'TLS 1.2 and nothing newer')
    .option('--keep-alive <seconds>', '0 for none', wholeNumber(0, SECONDS_LIMIT), DEFAULT_KEEP_ALIVE_SECONDS)
    .addOption(
      new Option('--bad-requests <what>', 'what an old device says to them')
        .choices(['silent', 'error'])
        .default('silent'),
    )
    .addOption(
      new Option('--uart-reply <what>', 'what an old device answers to write_uart')
        .choices(['data', 'request'])
        .default('data'),
    )
    .option('--delay <ms>', 'fault: delay of replies, 100 or 50-200', millisecondRange)
    .option('--silence <probability>', 'fault: carried out, but no reply', probability)
    .option('--duplicate <probability>', 'fault: the reply is sent twice', probability)
    .option('--duplicate-delay <ms>', 'how long after the first, 100 or 50-200', millisecondRange)
    .option('--garbage <probability>', 'fault: the reply is nonsense', probability)
    .option('--garbage-kinds <list>', 'of not-json,wrong-fields,wrong-type,oversized', garbageKinds)
    .option(
      '--disconnect-every <ms>',
      'fault: mean time between cut connections',
      wholeNumber(1, PAUSE_LIMIT),
    )
    .option('--seed <text>', 'the same seed gives the same faults')
    .option(
      '--backoff-min <ms>',
      'first pause before a reconnect',
      wholeNumber(1, PAUSE_LIMIT),
      DEFAULT_BACKOFF.baseMs,
    )
    .option('--backoff-max <ms>', 'longest pause', wholeNumber(1, PAUSE_LIMIT), DEFAULT_BACKOFF.capMs)
    .option('--restart-ms <ms>', 'how long a restart takes', wholeNumber(0, PAUSE_LIMIT), RESTART_MS)
    .addOption(
      new Option('--control <channel>', 'JSON lines: commands on stdin, events on stdout').choices(['stdio']),
    );
}

/** @throws UsageError where options do not fit together */
export function checkShared(values: SharedOptionValues): void {
  const mqttOnly = [
    values.mqttVersion !== undefined && '--mqtt-version',
    values.replyQos !== undefined && '--reply-qos',
    values.persistent && '--persistent',
  ].filter(Boolean);
  if (values.transport === 'amqp' && mqttOnly.length > 0) {
    throw new UsageError(`${mqttOnly.join(', ')} cannot be used with --transport amqp`);
  }
  if (values.style === 'protocol2' && values.mqttVersion === '3.1') {
    throw new UsageError('--mqtt-version 3.1 is for --style old; protocol 2 speaks MQTT 3.1.1 and 5');
  }
  if (values.backoffMin > values.backoffMax) {
    throw new UsageError('--backoff-min must not be above --backoff-max');
  }
}

export const backoffFrom = (values: SharedOptionValues): BackoffLimits => ({
  baseMs: values.backoffMin,
  capMs: values.backoffMax,
});

export const behaviourFrom = (values: SharedOptionValues): Omit<SimulatedDeviceOptions, 'deviceId'> => ({
  style: values.style,
  badRequests: values.badRequests,
  uartReply: values.uartReply,
  faults: faultsFrom(values),
  ...(values.seed === undefined ? {} : { seed: values.seed }),
  // A program that holds the control channel wants to know what ran how often.
  listExecutions: values.control !== undefined,
});

export const mqttOptionsFrom = (values: SharedOptionValues) => ({
  ...(values.mqttVersion ? { version: values.mqttVersion } : {}),
  ...(values.replyQos === undefined
    ? {}
    : { replyQos: values.replyQos === '0' ? (0 as const) : (1 as const) }),
  persistentSession: values.persistent ?? false,
});
