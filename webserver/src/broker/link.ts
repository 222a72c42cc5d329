import { readFileSync } from 'node:fs';
import amqplib, {
  type Channel,
  type ChannelModel,
  type ConsumeMessage,
  type RecoveringChannelModel,
} from 'amqplib';
import type { Logger } from 'pino';
import {
  EXCHANGE,
  HELLO_BINDING_KEY,
  MAX_REPLY_BYTES,
  REPLY_TO_TOPIC_HEADER,
  helloSchema,
  instanceReplyBindingKey,
  instanceReplyRoutingKey,
  instanceReplyTopic,
  isDeviceId,
  parseServerRoutingKey,
  replyRoutingKey,
  requestRoutingKey,
} from '@postern/protocol';
import type { MethodTransport, OutgoingRequest, TransportEvents } from '../domain/direct-methods/index.js';
import type { ChangeNotifier } from '../domain/ports.js';
import type { PresenceDirectory } from '../domain/presence.js';
import { readConnectionEvent, readTrapEvent } from './events.js';
import type { ManagementClient } from './management.js';
import { parseChange, type Change } from './changes.js';

/** Exchange over which instances tell each other what to forget. */
const CHANGES_EXCHANGE = 'postern.changes';
/**
 * Requests go by this fanout exchange on to the topic exchange, with the routing key that they have. RabbitMQ checks
 * each routing key that is published to a topic exchange, and where it has not asked for a minute, the question to the
 * gateway holds up all calls behind it. The gateway may send to every device, so there is nothing to check; devices
 * have no right to this exchange.
 */
const REQUESTS_EXCHANGE = 'postern.requests';
/** RabbitMQ's event exchange (plugin rabbitmq_event_exchange). */
const EVENT_EXCHANGE = 'amq.rabbitmq.event';
const BROKER_EVENTS = ['connection.created', 'connection.closed', 'queue.created'];
/** Held by the one instance that writes presence to the store. */
const WRITER_QUEUE = 'postern.presence-writer';
/** How often an instance that is not the writer asks whether it may be, in ms. */
const WRITER_RETRY_MS = 5_000;
/** AMQP heartbeat, in seconds: a half-open connection is noticed within two of them. */
const HEARTBEAT_S = 10;
const CONNECT_TIMEOUT_MS = 10_000;
/** When presence is read from the broker once more after a connect, and how often from then on, in ms. */
const RECONCILE_SOON_MS = 5_500;
const RECONCILE_MS = 60_000;
/** Backoff between attempts to reconnect, in ms; jittered, so that many instances do not come at once. */
const RECONNECT = { initialDelay: 100, maxDelay: 5_000, factor: 2, jitter: 0.5 };
/** Claims under way at a time: each opens a channel, and the broker allows a connection some 30. */
const MAX_CLAIMS = 8;
/** How long nothing is sent to a device that set a trap, in ms: until its sessions are closed and its queue is gone. */
const TRAP_MS = 10_000;
/** AMQP reply codes. */
const RESOURCE_LOCKED = 405;

export interface BrokerTls {
  /** PEM files. */
  readonly caFile: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export interface BrokerLinkOptions {
  /** `amqps://host:port`; no user in it: the certificate is the login. */
  readonly url: string;
  readonly tls: BrokerTls;
  readonly instanceId: string;
  readonly management: ManagementClient | null;
  readonly presence: PresenceDirectory;
  readonly logger: Logger;
  /** A hint from another instance (or this one) that something cached has changed. */
  readonly onChange: (change: Change, own: boolean) => void;
  readonly onReconnect?: () => void;
  readonly onUp?: (up: boolean) => void;
}

interface Live {
  readonly model: ChannelModel;
  readonly calls: Channel;
  readonly replies: Channel;
  readonly lanes: Channel;
}

/**
 * Makes RabbitMQ before 3.12 deliver to an MQTT device at QoS 0, as later ones do for a transient message: a call
 * that was delivered is not delivered again after a reconnect, which would carry it out twice. It also saves the
 * device an acknowledgement before its answer, which Nagle's algorithm holds back for some 40 ms.
 */
const AT_MOST_ONCE = { 'x-mqtt-publish-qos': { '!': 'int8', value: 0 } };

const ownerQueue = (deviceId: string): string => `postern.device.${deviceId}`;

/**
 * The gateway's one connection to RabbitMQ. Everything it declares is exclusive to the connection, so that a lost
 * connection leaves nothing behind, and `setup` makes all of it anew.
 */
export class BrokerLink implements MethodTransport, ChangeNotifier {
  private connection: RecoveringChannelModel | null = null;
  private live: Live | null = null;
  private blocked = false;
  private downReason = 'not connected yet';
  private events: TransportEvents | null = null;
  private writerTimer: NodeJS.Timeout | null = null;
  /** Devices whose queue is a trap, and until when nothing is sent there. */
  private readonly trapped = new Map<string, number>();
  private reconcileTimer: NodeJS.Timeout | null = null;
  private closing = false;
  private connectedBefore = false;
  private readonly replyQueue: string;
  /**
   * Written anew for each message, which amqplib encodes before it returns. It makes a prototype of the object that it
   * is given, and for V8 each new prototype is a new hidden class, to be collected with the old generation only.
   */
  private readonly correlatedHeaders: Record<string, unknown> = {
    ...AT_MOST_ONCE,
    [REPLY_TO_TOPIC_HEADER]: '',
  };
  private claimsUnderWay = 0;
  private readonly claimsWaiting: (() => void)[] = [];

  constructor(private readonly options: BrokerLinkOptions) {
    this.replyQueue = `postern.gateway.${options.instanceId}.replies`;
  }

  get instanceId(): string {
    return this.options.instanceId;
  }

  get ready(): boolean {
    return this.live !== null && !this.blocked;
  }

  /** For /readyz: null where all is well, else what is wrong. */
  get fault(): string | null {
    if (this.blocked) return 'the broker takes no messages (memory or disk alarm)';
    return this.live ? null : this.downReason;
  }

  /** Starts to connect, and goes on trying until {@link close}. Resolves at once; see {@link whenReady}. */
  async start(events: TransportEvents): Promise<void> {
    this.events = events;
    const { tls } = this.options;
    const url = new URL(this.options.url);
    const address = {
      protocol: 'amqps',
      hostname: url.hostname,
      port: Number(url.port || 5671),
      heartbeat: HEARTBEAT_S,
    };
    this.connection = await amqplib.connect(address, {
      ca: [readFileSync(tls.caFile)],
      cert: readFileSync(tls.certFile),
      key: readFileSync(tls.keyFile),
      minVersion: 'TLSv1.2',
      credentials: amqplib.credentials.external(),
      noDelay: true,
      timeout: CONNECT_TIMEOUT_MS,
      clientProperties: { connection_name: `postern-gateway ${this.instanceId}` },
      recovery: { ...RECONNECT, waitForConnect: false, setup: (model: ChannelModel) => this.setUp(model) },
    });
    this.connection.on('disconnect', (error) => this.lost(error.message));
    this.connection.on('connect-failed', (error) => {
      this.downReason = error.message;
      this.options.logger.warn({ err: error }, 'cannot connect to the broker');
    });
    this.connection.on('reconnect-failed', (error) =>
      this.options.logger.error({ err: error }, 'gave up connecting to the broker'),
    );
    this.connection.on('error', () => {
      // Told by `disconnect`; without a listener the process would end.
    });
  }

  /** Resolves when the first connection is set up. */
  async whenReady(): Promise<void> {
    await this.connection?.waitForConnect();
  }

  async close(): Promise<void> {
    this.closing = true;
    for (const timer of [this.writerTimer, this.reconcileTimer]) if (timer) clearTimeout(timer);
    this.live = null;
    await this.connection?.close().catch(() => {});
  }

  publishRequest(request: OutgoingRequest): void {
    const { deviceId, method, correlationId } = request;
    if (this.trapped.size > 0 && this.isTrapped(deviceId)) {
      setImmediate(() => this.events!.onReturned(request.id));
      return;
    }
    const correlated = correlationId !== null;
    if (correlated)
      this.correlatedHeaders[REPLY_TO_TOPIC_HEADER] = instanceReplyTopic(deviceId, this.instanceId);
    this.live?.calls.publish(REQUESTS_EXCHANGE, requestRoutingKey(deviceId, method), request.body, {
      mandatory: true,
      expiration: String(request.expirationMs),
      messageId: request.id,
      contentType: 'application/json',
      // Transient: a call that the broker lost with its own restart has an honest outcome, its timeout.
      deliveryMode: 1,
      ...(correlated && { correlationId, replyTo: instanceReplyRoutingKey(deviceId, this.instanceId) }),
      headers: correlated ? this.correlatedHeaders : AT_MOST_ONCE,
    });
  }

  /** Ownership is an exclusive queue: RabbitMQ gives it to one connection, and takes it away with it. */
  async claim(deviceId: string): Promise<'owned' | 'elsewhere'> {
    if (this.claimsUnderWay >= MAX_CLAIMS)
      await new Promise<void>((resolve) => this.claimsWaiting.push(resolve));
    this.claimsUnderWay += 1;
    try {
      return await this.claimNow(deviceId);
    } finally {
      this.claimsUnderWay -= 1;
      this.claimsWaiting.shift()?.();
    }
  }

  private async claimNow(deviceId: string): Promise<'owned' | 'elsewhere'> {
    const live = this.live;
    if (!live) throw new Error('no connection to the broker');
    const queue = ownerQueue(deviceId);
    // A refusal closes the channel, so that each claim has its own.
    const channel = await live.model.createChannel();
    channel.on('error', () => {});
    try {
      await channel.assertQueue(queue, { exclusive: true, durable: false, autoDelete: false });
    } catch (error) {
      if (replyCode(error) === RESOURCE_LOCKED) return 'elsewhere';
      throw error;
    }
    await channel.bindQueue(queue, EXCHANGE, replyRoutingKey(deviceId, '*'));
    await live.lanes.consume(queue, (message) => message && this.onOwnerMessage(deviceId, message), {
      noAck: true,
      consumerTag: queue,
    });
    await channel.close();
    if (this.live !== live) throw new Error('the connection to the broker was lost');
    return 'owned';
  }

  release(deviceId: string): void {
    this.live?.lanes.deleteQueue(ownerQueue(deviceId)).catch(() => {});
  }

  forward(call: { deviceId: string; id: string; body: Buffer; expirationMs: number }): void {
    this.live?.calls.publish('', ownerQueue(call.deviceId), call.body, {
      mandatory: true,
      messageId: call.id,
      correlationId: call.id,
      replyTo: this.replyQueue,
      expiration: String(call.expirationMs),
    });
  }

  answerForwarded(answer: { replyTo: string; id: string; body: Buffer }): void {
    this.live?.calls.publish('', answer.replyTo, answer.body, { correlationId: answer.id });
  }

  deviceChanged(deviceId: string): void {
    this.announce({ kind: 'device', deviceId });
  }

  sessionEnded(sessionId: string): void {
    this.announce({ kind: 'session', sessionId });
  }

  private announce(change: Change): void {
    this.options.onChange(change, true);
    this.live?.calls.publish(CHANGES_EXCHANGE, '', Buffer.from(JSON.stringify(change)), {
      appId: this.instanceId,
    });
  }

  private async setUp(model: ChannelModel): Promise<void> {
    const { presence, management, logger } = this.options;
    const calls = await model.createChannel();
    const replies = await model.createChannel();
    const lanes = await model.createChannel();
    const news = await model.createChannel();
    for (const [name, channel] of Object.entries({ calls, replies, lanes, news }))
      this.watch(model, channel, name);
    calls.on('return', (message: { properties: { messageId?: unknown } }) => {
      const { messageId } = message.properties;
      if (typeof messageId === 'string') this.events!.onReturned(messageId);
    });

    await calls.assertExchange(REQUESTS_EXCHANGE, 'fanout', { durable: false });
    await calls.bindExchange(EXCHANGE, REQUESTS_EXCHANGE, '');

    const transient = { exclusive: true, durable: false, autoDelete: false };
    await replies.assertQueue(this.replyQueue, transient);
    await replies.bindQueue(this.replyQueue, EXCHANGE, instanceReplyBindingKey(this.instanceId));
    await replies.consume(this.replyQueue, (message) => message && this.onReply(message), { noAck: true });

    const newsQueue = `postern.gateway.${this.instanceId}.news`;
    await news.assertQueue(newsQueue, transient);
    await news.assertExchange(CHANGES_EXCHANGE, 'fanout', { durable: false });
    await news.bindQueue(newsQueue, CHANGES_EXCHANGE, '');
    await news.bindQueue(newsQueue, EXCHANGE, HELLO_BINDING_KEY);
    for (const event of BROKER_EVENTS) await news.bindQueue(newsQueue, EVENT_EXCHANGE, event);
    await news.consume(newsQueue, (message) => message && this.onNews(message), { noAck: true });

    // What happened before the bindings stood is read from the broker itself.
    presence.listening();
    if (management) await this.reconcile(management);
    else
      logger.warn(
        'no management API is configured: presence is known from now on only, and sessions of revoked devices are not closed',
      );

    model.on('blocked', (reason: string) => {
      this.blocked = true;
      logger.error({ reason }, 'the broker blocks publishers');
      this.events!.onDown('the broker blocks publishers');
    });
    model.on('unblocked', () => {
      this.blocked = false;
      logger.info('the broker takes messages again');
    });
    this.blocked = false;
    this.live = { model, calls, replies, lanes };
    if (this.connectedBefore) this.options.onReconnect?.();
    this.connectedBefore = true;
    this.options.onUp?.(true);
    logger.info({ instanceId: this.instanceId }, 'connected to the broker');
    void this.tryToBecomeWriter(model);
    if (management) this.scheduleReconcile(management, model, RECONCILE_SOON_MS);
  }

  /**
   * A device queue that dead-letters would hand on what the gateway sends to a topic of its maker's choosing, another
   * device's for example, and RabbitMQ asks nobody for leave. Nothing is sent there any more, and it goes.
   */
  private springTrap(deviceId: string, queue: string): void {
    const { logger, management } = this.options;
    logger.warn(
      { deviceId, queue },
      'a device declared a queue that dead-letters: it is removed, and its sessions are closed',
    );
    this.trapped.set(deviceId, Date.now() + TRAP_MS);
    const remove = async (): Promise<void> => {
      const channel = await this.live?.model.createChannel();
      channel?.on('error', () => {});
      await channel?.deleteQueue(queue);
      await channel?.close();
    };
    remove()
      .then(() => management?.closeSessions(deviceId))
      .catch((error: unknown) =>
        logger.error({ err: error, deviceId, queue }, 'a queue that dead-letters could not be removed'),
      );
  }

  private isTrapped(deviceId: string): boolean {
    const now = Date.now();
    for (const [id, until] of this.trapped) if (until < now) this.trapped.delete(id);
    return this.trapped.has(deviceId);
  }

  private async reconcile(management: ManagementClient): Promise<void> {
    const askedAt = Date.now();
    for (const { deviceId, queue } of await management.listTraps()) this.springTrap(deviceId, queue);
    await this.options.presence.reconcile(await management.listDeviceConnections(), askedAt);
  }

  /** The list is some seconds old, and an event can be lost: it is read again, soon and then now and then. */
  private scheduleReconcile(management: ManagementClient, model: ChannelModel, delayMs: number): void {
    if (this.reconcileTimer) clearTimeout(this.reconcileTimer);
    this.reconcileTimer = setTimeout(() => {
      if (this.live?.model !== model) return;
      this.reconcile(management)
        .catch((error: unknown) =>
          this.options.logger.warn({ err: error }, 'presence could not be read from the broker'),
        )
        .finally(() => {
          if (this.live?.model === model) this.scheduleReconcile(management, model, RECONCILE_MS);
        });
    }, delayMs);
    this.reconcileTimer.unref();
  }

  /** A channel that the broker closes is a broken invariant: start anew rather than half-work. */
  private watch(model: ChannelModel, channel: Channel, name: string): void {
    channel.on('error', (error: Error) => {
      this.options.logger.error({ err: error, channel: name }, 'the broker closed a channel; reconnecting');
      void model.close().catch(() => {});
    });
  }

  private lost(reason: string): void {
    if (this.closing) return;
    const wasLive = this.live !== null;
    this.live = null;
    this.blocked = false;
    this.downReason = reason;
    this.options.presence.deaf();
    this.options.onUp?.(false);
    if (this.writerTimer) clearTimeout(this.writerTimer);
    if (wasLive) this.options.logger.warn({ reason }, 'the connection to the broker is lost; reconnecting');
    this.events!.onDown(reason);
  }

  private async tryToBecomeWriter(model: ChannelModel): Promise<void> {
    try {
      const channel = await model.createChannel();
      channel.on('error', () => {});
      await channel.assertQueue(WRITER_QUEUE, { exclusive: true, durable: false });
      if (this.live?.model === model) this.options.presence.becomeWriter();
    } catch {
      if (this.closing || this.live?.model !== model) return;
      this.writerTimer = setTimeout(() => void this.tryToBecomeWriter(model), WRITER_RETRY_MS);
      this.writerTimer.unref();
    }
  }

  private onReply(message: ConsumeMessage): void {
    const { exchange, routingKey } = message.fields;
    const correlationId =
      typeof message.properties.correlationId === 'string' ? message.properties.correlationId : null;
    if (exchange === '') {
      if (correlationId !== null)
        this.events!.onForwardedAnswer({ id: correlationId, body: message.content });
      return;
    }
    const sender = trustedSender(message, routingKey);
    if (!sender) return;
    this.options.presence.seen(sender.deviceId);
    this.events!.onCorrelatedReply({ deviceId: sender.deviceId, correlationId, body: message.content });
  }

  private onOwnerMessage(deviceId: string, message: ConsumeMessage): void {
    const { exchange, routingKey } = message.fields;
    if (exchange === '') {
      const { correlationId, replyTo } = message.properties as { correlationId?: unknown; replyTo?: unknown };
      if (typeof correlationId !== 'string' || typeof replyTo !== 'string') return;
      this.events!.onForwardedCall({ deviceId, id: correlationId, replyTo, body: message.content });
      return;
    }
    const sender = trustedSender(message, routingKey);
    if (sender?.deviceId !== deviceId || sender.rest === 'hello') return;
    this.options.presence.seen(deviceId);
    this.events!.onPlainReply({ deviceId, method: sender.rest, body: message.content });
  }

  private onNews(message: ConsumeMessage): void {
    const { exchange, routingKey } = message.fields;
    if (exchange === CHANGES_EXCHANGE) {
      if (message.properties.appId === this.instanceId) return;
      const change = parseChange(message.content);
      if (change) this.options.onChange(change, false);
    } else if (exchange === EVENT_EXCHANGE) {
      const headers = message.properties.headers ?? {};
      const trap = readTrapEvent(routingKey, headers);
      if (trap) return this.springTrap(trap.deviceId, trap.queue);
      const event = readConnectionEvent(routingKey, headers);
      if (event?.kind === 'opened') this.options.presence.connectionOpened(event.connection);
      else if (event?.kind === 'closed') this.options.presence.connectionClosed(event.name);
    } else {
      this.onHello(message, routingKey);
    }
  }

  private onHello(message: ConsumeMessage, routingKey: string): void {
    const sender = trustedSender(message, routingKey);
    if (!sender || message.content.length > MAX_REPLY_BYTES) return;
    let hello: unknown;
    try {
      hello = JSON.parse(message.content.toString('utf8'));
    } catch {
      hello = undefined;
    }
    const checked = helloSchema.safeParse(hello);
    if (checked.success) this.options.presence.hello(sender.deviceId, checked.data);
    else
      this.options.logger.info(
        { deviceId: sender.deviceId, issue: checked.error.issues[0]?.message },
        'a device said a hello that cannot be read',
      );
  }
}

/**
 * Who sent a message, by the routing key that the broker checked. A message that was dead-lettered comes with a
 * routing key of the queue owner's choosing, which nobody checked: such are not believed.
 */
function trustedSender(
  message: ConsumeMessage,
  routingKey: string,
): { deviceId: string; rest: string } | null {
  if (message.properties.headers?.['x-death'] !== undefined) return null;
  const sender = parseServerRoutingKey(routingKey);
  return sender && isDeviceId(sender.deviceId) ? sender : null;
}

const replyCode = (error: unknown): number | undefined => (error as { code?: number }).code;
