import { z } from 'zod';

/** `bench/results/latest.json`. Its schema with these descriptions is written beside it as `schema.json`. */

const count = z.int().min(0);
const number = z.number();

export const spreadSchema = z
  .object({ median: number, min: number, max: number })
  .describe('Of the repetitions.');

const latencySchema = z
  .object({ mean: number, p50: number, p90: number, p99: number, p999: number, max: number })
  .describe('Milliseconds, of all calls of one repetition.');

export const runSchema = z.object({
  answered: count.describe('Calls measured, without the warm-up.'),
  seconds: number,
  perSecond: number,
  latency: latencySchema,
  lost: count.describe('Calls that got no answer, the warm-up included.'),
  crossed: count.describe("Calls that got another call's answer, the warm-up included."),
  failures: z.record(z.string(), count).describe('What the lost calls got instead, counted.'),
  total: count.describe('All calls, the warm-up included.'),
  generatorCpu: number.describe("The load generator's use of one core while it measured: 1 is a full core."),
});

export const measurementSchema = z.object({
  name: z.string(),
  subject: z.enum(['raw', 'postern', 'node-red', 'mosquitto_rr', 'curl', 'null-server']),
  load: z
    .enum(['closed', 'open'])
    .describe('closed: each caller waits for its answer. open: calls at fixed times.'),
  devices: count,
  inFlight: count.nullable(),
  rate: number.nullable().describe('Calls a second that were due; open load only.'),
  payloadBytes: count,
  instances: count.describe('Gateway processes.'),
  perSecond: spreadSchema,
  p50: spreadSchema,
  p90: spreadSchema,
  p99: spreadSchema,
  p999: spreadSchema,
  lost: count,
  crossed: count,
  cpuPer1000: z
    .record(z.string(), number)
    .describe('CPU seconds for 1,000 calls, by group of processes, children included; the median.'),
  memoryMb: z
    .record(z.string(), number)
    .describe('Resident memory after the last repetition, in 10^6 bytes.'),
  runs: z.array(runSchema),
});
export type Measurement = z.infer<typeof measurementSchema>;

export const ratioSchema = z.object({
  name: z.string(),
  value: number.describe('Median of the ratios of the repetitions that were measured one after the other.'),
  spread: spreadSchema,
});
export type Ratio = z.infer<typeof ratioSchema>;

export const goalSchema = z.object({
  name: z.string(),
  goal: z.string(),
  value: z.string(),
  met: z.boolean().nullable().describe('null: not measured in this run.'),
});
export type Goal = z.infer<typeof goalSchema>;

export const registrationSchema = z.object({
  name: z.string(),
  certificates: count,
  perSecond: number,
  failed: count,
});

export const connectsSchema = z.object({
  name: z.string(),
  devices: count,
  perSecond: number,
  p50Ms: number,
  p99Ms: number,
  maxMs: number,
  retries: count,
  gatewayMbBefore: number,
  gatewayMbAfter: number,
  brokerMbBefore: number,
  brokerMbAfter: number,
  gatewayKbPerDevice: number,
  brokerKbPerDevice: number,
});

export const fleetSchema = z.object({
  devices: count,
  rate: number,
  minutes: number,
  stillConnected: count,
  dropped: count.describe('Connections that ended by themselves and were made again.'),
  gatewayIdleMb: number.describe('Resident memory of the gateway with all devices connected and no calls.'),
  gatewayAfterMb: number,
  brokerAfterMb: number,
  run: runSchema,
});

export const resultsSchema = z.object({
  version: z.literal(1),
  mode: z.enum(['quick', 'full']),
  parts: z.array(z.string()),
  machine: z.object({
    cpu: z.string(),
    cores: number,
    memoryGb: number,
    kernel: z.string(),
    node: z.string(),
    openssl: z.string(),
    broker: z.string(),
    commit: z.string(),
    loadBefore: z.array(number),
    loadAfter: z.array(number),
    startedAt: z.string(),
  }),
  seconds: number,
  raw: z.array(measurementSchema).describe('amqplib, broker, mqtt.js, with nothing between them.'),
  postern: z.array(measurementSchema),
  peers: z.array(
    z.object({
      name: z.string(),
      unavailable: z.string().nullable().describe('Why it could not be measured; null where it was.'),
      measurements: z.array(measurementSchema),
    }),
  ),
  generator: z.array(measurementSchema).describe('The load generator against a server that does nothing.'),
  growth: z.record(z.string(), z.array(measurementSchema)).describe('One curve for each thing that grows.'),
  registration: z.array(registrationSchema),
  connects: z.array(connectsSchema),
  fleet: z.array(fleetSchema),
  skipped: z.array(z.object({ what: z.string(), why: z.string() })),
  ratios: z.array(ratioSchema),
  goals: z.array(goalSchema),
  lost: count.describe('In all runs together.'),
  crossed: count.describe('In all runs together.'),
});
export type Results = z.infer<typeof resultsSchema>;
