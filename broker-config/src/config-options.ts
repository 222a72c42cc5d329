import { totalmem } from 'node:os';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { BrokerConfigError } from './errors.js';

/** A path that goes into an Erlang term: absolute, and without characters that no file name needs. */
const absolutePath = z
  .string()
  .refine((value) => isAbsolute(value), 'must be an absolute path')
  // eslint-disable-next-line no-control-regex -- control characters are exactly what is refused here
  .refine((value) => !/[\u0000-\u001f\u007f]/.test(value), 'must not hold control characters');

const port = z.int().min(1).max(65_535);

/** IPv4 or IPv6 literal: a name could resolve to more than was meant. */
const bindAddress = z.union([z.ipv4(), z.ipv6()]);

const MIN_WATERMARK_BYTES = 134_217_728;
const MAX_DEFAULT_WATERMARK_BYTES = 4_294_967_296;

/** Of the machine, or of the container where that may use less. Node 20.19 knows no such limit as 0. */
const usableMemory = (): number => Math.min(totalmem(), process.constrainedMemory() || Infinity);

/** Limits of the broker. Each has a unit, a default, bounds, and the reason for it. */
export const brokerLimitsSchema = z.strictObject({
  /** Largest MQTT packet and AMQP message, bytes. The largest payload of the contract is 64 KiB (base64 and JSON
   * around it included); what is larger is an attack on the memory of everyone behind the broker. */
  maxMessageBytes: z.int().min(65_536).max(16_777_216).default(262_144),
  /** QoS 1 messages in flight to one MQTT client: as many as there may be calls to one device. */
  mqttPrefetch: z.int().min(1).max(65_535).default(32),
  /** How long the session of an MQTT device that went away is kept, seconds. */
  sessionExpirySeconds: z.int().min(0).max(2_592_000).default(86_400),
  /** AMQP heartbeat that the server proposes, seconds: a peer that vanished is noticed within twice that. */
  heartbeatSeconds: z.int().min(0).max(3_600).default(30),
  /** TLS handshake, milliseconds. An FT900 computes its P-256 signature in software, which takes seconds;
   * longer would let half-open connections pile up. */
  tlsHandshakeTimeoutMs: z.int().min(1_000).max(120_000).default(20_000),
  /** From TCP accept (AMQP) or TLS (MQTT) to a finished login, milliseconds. */
  loginTimeoutMs: z.int().min(1_000).max(120_000).default(20_000),
  /** AMQP and MQTT connections of the node. Bounds what a flood with valid certificates can hold; 5000 devices were measured. */
  maxConnections: z.int().min(10).max(1_000_000).default(10_000),
  /** AMQP channels per connection. A gateway needs a handful, a device one. */
  maxChannelsPerConnection: z.int().min(4).max(2_047).default(32),
  /** Messages waiting in one device's queue; the oldest are dropped first. A device that is away gets at most
   * the 32 calls of the contract, so more is a flood. */
  maxQueueLength: z.int().min(32).max(1_000_000).default(1_024),
  /** Publishers are paused above this much memory, bytes. By default 4 GiB, which is what `maxConnections` take (up to
   * 361 kB each were measured), but never more than 40 % of what there is: a Raspberry Pi must not swap. */
  memoryHighWatermarkBytes: z
    .int()
    .min(MIN_WATERMARK_BYTES)
    .default(() =>
      Math.max(MIN_WATERMARK_BYTES, Math.min(MAX_DEFAULT_WATERMARK_BYTES, Math.floor(usableMemory() * 0.4))),
    ),
  /** Publishers are paused when less than this is free on the disk, bytes. */
  diskFreeLimitBytes: z.int().min(10_485_760).default(134_217_728),
});

export const brokerConfigOptionsSchema = z.strictObject({
  /** Release that the files are for, e.g. `4.0.5`. */
  version: z.string(),
  tls: z.strictObject({
    /** Root and issuing CA, PEM: with both, a device that sends its leaf alone is served as well. */
    caFile: absolutePath,
    /** The broker's leaf first, then the issuing CA, PEM. */
    certFile: absolutePath,
    /** PEM, 0600, readable by the user who runs the node. */
    keyFile: absolutePath,
    /**
     * Folder with the issuing CA's CRL as `<OpenSSL subject hash>.r0`, PEM. It is read at each handshake.
     * Fail-closed: with this set and no valid CRL there, every handshake is refused.
     */
    crlDir: absolutePath.optional(),
  }),
  /** MQTT over TLS: what devices connect to. */
  mqtts: z.strictObject({ address: bindAddress.default('0.0.0.0'), port: port.default(8883) }),
  /** AMQP 0-9-1 over TLS: the gateway, and AMQP devices. */
  amqps: z.strictObject({ address: bindAddress.default('0.0.0.0'), port: port.default(5671) }),
  /** Management API, plain HTTP on 127.0.0.1 alone. */
  management: z.strictObject({ port }),
  /** Where the broker asks who may do what: `<url>/user`, `/vhost`, `/resource`, `/topic` (POST forms over TLS). */
  authBackend: z.strictObject({
    url: z.url().transform((value, context) => {
      const url = new URL(value);
      const bad = (message: string): never => {
        context.addIssue({ code: 'custom', message });
        return z.NEVER;
      };
      // Over plain http, whoever takes the port while the gateway is down would decide who may do what.
      if (url.protocol !== 'https:') return bad('must be an https URL, also on loopback');
      if (url.username || url.password || url.search || url.hash)
        return bad('must hold neither credentials nor a query');
      if (!url.port) return bad('must name the port');
      return url.href.replace(/\/+$/, '');
    }),
    /** Who the gateway must be, and the certificate that the broker shows it. */
    tls: z.strictObject({
      caFile: absolutePath,
      /** A client certificate, leaf first, then the issuing CA. */
      certFile: absolutePath,
      keyFile: absolutePath,
      /** Name that the gateway's certificate must carry: by default the URL's host, on loopback `localhost`. */
      serverName: z.string().optional(),
    }),
    /**
     * How long an answer about a vhost, resource or topic counts, milliseconds. Logins are never cached.
     * Bounds how long a live session keeps a right that was taken away without closing the session.
     */
    cacheTtlMs: z.int().min(0).max(600_000).default(60_000),
    /** How long the broker waits for an answer, milliseconds; no answer is a refusal. */
    timeoutMs: z.int().min(500).max(60_000).default(5_000),
  }),
  limits: brokerLimitsSchema.prefault({}),
});

/** What `renderBrokerConfig` takes; fields with a default may be left out. */
export type BrokerConfigOptions = z.input<typeof brokerConfigOptionsSchema>;
export type ResolvedBrokerConfig = z.output<typeof brokerConfigOptionsSchema>;

/** @throws BrokerConfigError that names each field that is wrong. */
export function resolveBrokerConfig(options: BrokerConfigOptions): ResolvedBrokerConfig {
  const parsed = brokerConfigOptionsSchema.safeParse(options);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.join('.') || 'options'}: ${issue.message}`,
    );
    throw new BrokerConfigError(`The broker's configuration is not right: ${problems.join('; ')}`);
  }
  const config = parsed.data;
  const ports = [config.mqtts.port, config.amqps.port, config.management.port];
  if (new Set(ports).size !== ports.length) {
    throw new BrokerConfigError(
      `mqtts.port, amqps.port and management.port must differ; they are ${ports.join(', ')}`,
    );
  }
  return config;
}
