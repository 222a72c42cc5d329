import type { IncomingMessage, OutgoingMessage } from '../device/simulated-device.js';
import type { Endpoint } from '../files/device-folder.js';
import type { TlsIdentity } from '../files/credential-files.js';

/** One connection that is logged in and subscribed. */
export interface Session {
  /** True once the message is on its way (QoS 1: acknowledged); false where the session ended before. */
  send(message: OutgoingMessage, options?: { qos?: 0 | 1 }): Promise<boolean>;
  /** Ends the session politely: MQTT DISCONNECT, AMQP close. Resolves when the connection is gone. */
  close(): Promise<void>;
  /** Cuts the connection as a power cut would. */
  drop(): void;
  /** Resolves, never rejects, when the connection is gone; with what ended it, where that is known. */
  readonly closed: Promise<Error | null>;
}

export interface SessionOptions {
  deviceId: string;
  endpoint: Endpoint;
  identity: TlsIdentity;
  /** Keep-alive (MQTT) or heartbeat (AMQP), in seconds; 0 switches it off. */
  keepAliveSeconds: number;
  onMessage: (message: IncomingMessage) => Promise<void>;
}

/** Opens one session. Rejects with what went wrong, as the library says it. */
export type OpenSession = (onMessage: SessionOptions['onMessage']) => Promise<Session>;

/**
 * How long one attempt to connect may take, in milliseconds. Above 5 s, for which RabbitMQ 3.10 stalls some
 * connects (its client id registry times out), and above a TLS handshake while thousands connect.
 */
export const CONNECT_TIMEOUT_MS = 20_000;

/** How long a polite end may take before the connection is cut, in milliseconds. */
export const CLOSE_TIMEOUT_MS = 3_000;

/** Keep-alive unless told otherwise, in seconds: a NAT forgets idle connections after some minutes. */
export const DEFAULT_KEEP_ALIVE_SECONDS = 60;
