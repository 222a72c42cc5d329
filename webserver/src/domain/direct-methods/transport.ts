/**
 * The port between direct methods and the broker. All publishing is fire and forget: what becomes of a message
 * is told through {@link TransportEvents}, so that a call costs no round trip beside the device's own.
 */
export interface MethodTransport {
  /** Names this gateway instance in reply addresses; `[a-z0-9]`, new at every start. */
  readonly instanceId: string;
  /** False while there is no connection to the broker, or while the broker takes no messages. */
  readonly ready: boolean;
  publishRequest(request: OutgoingRequest): void;
  /**
   * Makes this instance the one that talks to a device without correlation. The owner alone receives the
   * device's replies; ownership ends with {@link release} or with the connection to the broker.
   */
  claim(deviceId: string): Promise<'owned' | 'elsewhere'>;
  release(deviceId: string): void;
  /** Sends a call to the instance that owns the device; comes back as `onReturned` where none does. */
  forward(call: { deviceId: string; id: string; body: Buffer; expirationMs: number }): void;
  /** Answers a forwarded call. */
  answerForwarded(answer: { replyTo: string; id: string; body: Buffer }): void;
}

export interface OutgoingRequest {
  readonly deviceId: string;
  readonly method: string;
  readonly body: Buffer;
  /** Unique over the life of this instance; handed back by `onReturned`. */
  readonly id: string;
  /** The broker drops the message when it was not delivered within this time, so that it never fires late. */
  readonly expirationMs: number;
  /** Where set, the device answers to this instance with this correlation id. */
  readonly correlationId: string | null;
}

export interface TransportEvents {
  /** A protocol 2 device answered this instance. */
  onCorrelatedReply(reply: { deviceId: string; correlationId: string | null; body: Buffer }): void;
  /** A device that this instance owns answered on `server/<deviceId>/<method>`. */
  onPlainReply(reply: { deviceId: string; method: string; body: Buffer }): void;
  onForwardedCall(call: { deviceId: string; id: string; replyTo: string; body: Buffer }): void;
  onForwardedAnswer(answer: { id: string; body: Buffer }): void;
  /** The broker has no queue for the message with this id. */
  onReturned(id: string): void;
  /** The connection is gone, and with it every claim and every message that was not answered yet. */
  onDown(reason: string): void;
}
