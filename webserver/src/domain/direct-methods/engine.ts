import { PAYLOAD_CORRELATION_FIELDS, instanceReplyTopic, type JsonObject } from '@postern/protocol';
import { ExpectedError, isExpectedError } from '../errors.js';
import type { Clock, DirectMethods, MethodCall } from '../ports.js';
import type { PresenceView } from '../presence.js';
import { DeviceLanes } from './device-lanes.js';
import { decodeAnswer, decodeForwardedCall, encodeAnswer, encodeForwardedCall } from './forwarding.js';
import type { LaneCall } from './lane.js';
import { DIRECT_METHOD_LIMITS, type DirectMethodLimits } from './limits.js';
import { correlatedOutcome, parseReply, type ParsedReply } from './reply.js';
import type { MethodTransport, TransportEvents } from './transport.js';

/** Where a call is: decides who hears of its end. */
type Route = 'correlated' | 'lane' | 'forwarded' | 'preparing';

interface Pending {
  readonly id: string;
  readonly call: MethodCall;
  readonly deadline: number;
  readonly timer: NodeJS.Timeout;
  route: Route;
  succeed(reply: JsonObject): void;
  fail(error: Error): void;
}

export interface DirectMethodEngineOptions {
  readonly transport: MethodTransport;
  readonly presence: PresenceView;
  readonly clock?: Clock;
  readonly limits?: Partial<DirectMethodLimits>;
  /** A bug or a broken invariant; calls go on. */
  readonly onBug?: (error: unknown) => void;
}

/** The broker is away, and the device was surely not asked. */
const notSent = (detail: string): ExpectedError =>
  new ExpectedError('BROKER_UNAVAILABLE', { detail, retryAfterSeconds: 1, notSent: true });

/**
 * Direct methods (design decisions 1 and 2): one message out, one answer back, to the caller that asked, once.
 * Devices of protocol 2 are called side by side and matched by correlation id. Devices of the seed's kind have
 * one owner among the instances, which keeps one call per method in flight (see {@link DeviceLanes}).
 */
export class DirectMethodEngine implements DirectMethods, TransportEvents {
  private readonly transport: MethodTransport;
  private readonly presence: PresenceView;
  private readonly clock: Clock;
  private readonly limits: DirectMethodLimits;
  private readonly onBug: (error: unknown) => void;

  private readonly pending = new Map<string, Pending>();
  private readonly perDevice = new Map<string, number>();
  private readonly owned = new Map<string, DeviceLanes>();
  private readonly claims = new Map<string, Promise<'owned' | 'elsewhere'>>();
  private readonly sweeper: NodeJS.Timeout;
  private counter = 0;
  private closed = false;

  constructor(options: DirectMethodEngineOptions) {
    this.transport = options.transport;
    this.presence = options.presence;
    this.clock = options.clock ?? { now: () => performance.now() };
    this.limits = { ...DIRECT_METHOD_LIMITS, ...options.limits };
    this.onBug = options.onBug ?? (() => {});
    this.sweeper = setInterval(() => this.releaseIdle(), Math.max(1_000, this.limits.ownedIdleMs / 10));
    this.sweeper.unref();
  }

  /** Calls of this instance that have no outcome yet. */
  get inFlight(): number {
    return this.pending.size;
  }

  call(call: MethodCall): Promise<JsonObject> {
    if (this.closed) return Promise.reject(new ExpectedError('SHUTTING_DOWN', { notSent: true }));
    if (!this.transport.ready)
      return Promise.reject(notSent('The connection to the message broker is down; it is being restored.'));
    const count = this.perDevice.get(call.deviceId) ?? 0;
    if (count >= this.limits.callsPerDevice) {
      return Promise.reject(this.busy());
    }
    if (this.pending.size >= this.limits.callsInAll) {
      return Promise.reject(
        new ExpectedError('RATE_LIMITED', {
          detail: `The gateway has ${this.limits.callsInAll} calls in flight.`,
          retryAfterSeconds: 1,
        }),
      );
    }
    return new Promise((resolve, reject) => {
      const id = this.nextId(call.requestId);
      const timer = setTimeout(() => this.timeOut(id), call.timeoutMs);
      const pending: Pending = {
        id,
        call,
        deadline: this.clock.now() + call.timeoutMs,
        timer,
        route: 'preparing',
        succeed: (reply) => {
          this.forget(pending);
          resolve(reply);
        },
        fail: (error) => {
          this.forget(pending);
          reject(error);
        },
      };
      this.pending.set(id, pending);
      this.perDevice.set(call.deviceId, count + 1);
      const state = this.presence.peek(call.deviceId);
      if (state?.connected) this.dispatch(pending, state.protocol, state.transport);
      // The broker itself says whether there is a queue; a call can then not be told from one that waits in a session.
      else if (!this.presence.isCertain(call.deviceId)) this.dispatch(pending, 1, null);
      else void this.dispatchWhenConnected(pending);
    });
  }

  /** Ends all calls; none is accepted any more. */
  close(): void {
    this.closed = true;
    clearInterval(this.sweeper);
    for (const pending of [...this.pending.values()]) pending.fail(new ExpectedError('SHUTTING_DOWN'));
    for (const deviceId of this.owned.keys()) this.transport.release(deviceId);
    this.owned.clear();
  }

  /** The device has a new connection. */
  onDeviceConnected(deviceId: string): void {
    this.owned.get(deviceId)?.reconnected();
  }

  onCorrelatedReply(reply: { deviceId: string; correlationId: string | null; body: Buffer }): void {
    // MQTT 3.1.1 has no properties: the correlation id is a field of the payload, which is read once.
    const parsed = parseReply(reply.body);
    const id = reply.correlationId ?? correlationIdIn(parsed, reply.body);
    const pending = id === null ? undefined : this.pending.get(id);
    // Late, repeated, or of another device's making: nobody waits for it.
    if (!pending || pending.route !== 'correlated' || pending.call.deviceId !== reply.deviceId) return;
    try {
      pending.succeed(correlatedOutcome(pending.call.method, pending.call.payload, reply.body, parsed));
    } catch (error) {
      if (!isExpectedError(error)) this.onBug(error);
      pending.fail(error as Error);
    }
  }

  onPlainReply(reply: { deviceId: string; method: string; body: Buffer }): void {
    this.owned.get(reply.deviceId)?.reply(reply.method, reply.body);
  }

  onReturned(id: string): void {
    const pending = this.pending.get(id);
    if (!pending) {
      this.laneCallReturned(id);
      return;
    }
    if (pending.route === 'forwarded') {
      // The owner is gone: this instance may become it.
      pending.route = 'preparing';
      this.dispatchPlain(pending);
      return;
    }
    if (pending.route === 'lane') this.owned.get(pending.call.deviceId)?.returned(pending.call.method, id);
    pending.route = 'preparing';
    this.retryOrOffline(pending);
  }

  onForwardedAnswer(answer: { id: string; body: Buffer }): void {
    const pending = this.pending.get(answer.id);
    if (pending?.route !== 'forwarded') return;
    const outcome = decodeAnswer(answer.body);
    if (outcome.ok) pending.succeed(outcome.reply);
    else pending.fail(outcome.error);
  }

  onForwardedCall(forwarded: { deviceId: string; id: string; replyTo: string; body: Buffer }): void {
    const decoded = decodeForwardedCall(forwarded.body);
    if (!decoded) return;
    const answer = (body: Buffer): void =>
      this.transport.answerForwarded({ replyTo: forwarded.replyTo, id: forwarded.id, body });
    this.call({ ...decoded, deviceId: forwarded.deviceId }).then(
      (reply) => answer(encodeAnswer({ ok: true, reply })),
      (error: unknown) => {
        if (!isExpectedError(error)) this.onBug(error);
        answer(
          encodeAnswer({ ok: false, error: isExpectedError(error) ? error : new ExpectedError('INTERNAL') }),
        );
      },
    );
  }

  onDown(reason: string): void {
    this.owned.clear();
    this.claims.clear();
    for (const pending of [...this.pending.values()]) {
      const sent = pending.route !== 'preparing';
      pending.fail(
        new ExpectedError('BROKER_UNAVAILABLE', {
          detail: `The connection to the message broker was lost (${reason}).${sent ? ' The device may have acted.' : ''}`,
          retryAfterSeconds: 1,
          notSent: !sent,
        }),
      );
    }
  }

  private busy(): ExpectedError {
    return new ExpectedError('DEVICE_BUSY', {
      detail: `${this.limits.callsPerDevice} calls to this device are in flight or waiting, the limit.`,
      retryAfterSeconds: 1,
    });
  }

  private dispatch(pending: Pending, protocol: 1 | 2, transportName: string | null): void {
    if (protocol === 2) this.dispatchCorrelated(pending, transportName);
    else this.dispatchPlain(pending);
  }

  private async dispatchWhenConnected(pending: Pending): Promise<void> {
    const state = await this.presence.whenConnected(pending.call.deviceId, this.limits.presenceLagMs);
    if (!this.pending.has(pending.id)) return;
    if (!state) return pending.fail(offline());
    if (!this.transport.ready)
      return pending.fail(notSent('The connection to the message broker is down; it is being restored.'));
    this.dispatch(pending, state.protocol, state.transport);
  }

  private dispatchCorrelated(pending: Pending, transportName: string | null): void {
    const { call, id } = pending;
    pending.route = 'correlated';
    const inProperties = transportName === 'MQTT 5.0' || transportName === 'AMQP 0-9-1';
    const payload = inProperties
      ? call.payload
      : {
          ...call.payload,
          [PAYLOAD_CORRELATION_FIELDS.responseTopic]: instanceReplyTopic(
            call.deviceId,
            this.transport.instanceId,
          ),
          [PAYLOAD_CORRELATION_FIELDS.correlationId]: id,
        };
    this.transport.publishRequest({
      deviceId: call.deviceId,
      method: call.method,
      body: Buffer.from(JSON.stringify(payload)),
      id,
      expirationMs: this.left(pending.deadline),
      correlationId: id,
    });
  }

  private dispatchPlain(pending: Pending): void {
    const { deviceId } = pending.call;
    const lanes = this.owned.get(deviceId);
    if (lanes) return this.submitToLane(lanes, pending);
    this.claim(deviceId).then(
      (outcome) => {
        if (!this.pending.has(pending.id)) return;
        const owned = this.owned.get(deviceId);
        if (owned) return this.submitToLane(owned, pending);
        if (outcome === 'owned')
          return pending.fail(notSent('The connection to the message broker was lost.'));
        pending.route = 'forwarded';
        this.transport.forward({
          deviceId,
          id: pending.id,
          body: encodeForwardedCall({ ...pending.call, timeoutMs: this.left(pending.deadline) }),
          expirationMs: this.left(pending.deadline),
        });
      },
      (error: unknown) =>
        pending.fail(isExpectedError(error) ? error : notSent('The message broker did not take the call.')),
    );
  }

  private submitToLane(lanes: DeviceLanes, pending: Pending): void {
    pending.route = 'lane';
    const call: LaneCall = {
      id: pending.id,
      request: pending.call.payload,
      body: Buffer.from(JSON.stringify(pending.call.payload)),
      deadline: pending.deadline,
      succeed: pending.succeed,
      fail: pending.fail,
    };
    lanes.submit(pending.call.method, call);
  }

  private claim(deviceId: string): Promise<'owned' | 'elsewhere'> {
    let claim = this.claims.get(deviceId);
    if (!claim) {
      this.makeRoom();
      claim = this.transport
        .claim(deviceId)
        .then((outcome) => {
          if (outcome === 'owned' && this.transport.ready && !this.closed)
            this.owned.set(deviceId, this.newLanes(deviceId));
          return outcome;
        })
        .finally(() => this.claims.delete(deviceId));
      this.claims.set(deviceId, claim);
    }
    return claim;
  }

  private newLanes(deviceId: string): DeviceLanes {
    return new DeviceLanes(
      deviceId,
      {
        now: () => this.clock.now(),
        after: (ms, callback) => {
          const timer = setTimeout(callback, ms);
          return () => clearTimeout(timer);
        },
        send: (id, method, call) =>
          this.transport.publishRequest({
            deviceId: id,
            method,
            body: call.body,
            id: call.id,
            expirationMs: this.left(call.deadline),
            correlationId: null,
          }),
        nextId: () => this.nextId(`fence-${deviceId}`),
      },
      this.limits,
    );
  }

  /** A fence's request came back: the device is away. Its own timer ends it. */
  private laneCallReturned(id: string): void {
    for (const lanes of this.owned.values()) lanes.returnedAny(id)?.fail(offline());
  }

  private retryOrOffline(pending: Pending): void {
    const state = this.presence.peek(pending.call.deviceId);
    const subscribing =
      state?.connected === true && Date.now() - (state.lastSeenAt ?? 0) < this.limits.subscribeLagMs;
    if (!subscribing || this.left(pending.deadline) <= this.limits.subscribeRetryMs)
      return pending.fail(offline());
    setTimeout(() => {
      if (!this.pending.has(pending.id)) return;
      const now = this.presence.peek(pending.call.deviceId);
      if (!now?.connected) return pending.fail(offline());
      this.dispatch(pending, now.protocol, now.transport);
    }, this.limits.subscribeRetryMs);
  }

  private timeOut(id: string): void {
    const pending = this.pending.get(id);
    if (!pending) return;
    const { deviceId, method, timeoutMs } = pending.call;
    const lanes = pending.route === 'lane' ? this.owned.get(deviceId) : undefined;
    pending.fail(
      new ExpectedError('DEVICE_TIMEOUT', {
        detail: `The device did not answer ${method} within ${timeoutMs} ms. It may still act.`,
      }),
    );
    lanes?.expire(method, id);
  }

  private forget(pending: Pending): void {
    clearTimeout(pending.timer);
    if (!this.pending.delete(pending.id)) return;
    const { deviceId } = pending.call;
    const count = (this.perDevice.get(deviceId) ?? 1) - 1;
    if (count <= 0) this.perDevice.delete(deviceId);
    else this.perDevice.set(deviceId, count);
  }

  private left(deadline: number): number {
    return Math.max(1, Math.floor(deadline - this.clock.now()));
  }

  /** Unique in this instance, and it carries the request id, so that a device's log and ours can be put together. */
  private nextId(requestId: string): string {
    this.counter += 1;
    return `${this.counter.toString(36)}-${requestId.replaceAll(/[^A-Za-z0-9_-]/g, '').slice(0, 50)}`;
  }

  private makeRoom(): void {
    if (this.owned.size < this.limits.ownedDevices) return;
    let oldest: DeviceLanes | null = null;
    for (const lanes of this.owned.values())
      if (lanes.idle && (!oldest || lanes.lastUsedAt < oldest.lastUsedAt)) oldest = lanes;
    if (oldest) this.release(oldest.deviceId);
  }

  private releaseIdle(): void {
    const before = this.clock.now() - this.limits.ownedIdleMs;
    for (const lanes of this.owned.values())
      if (lanes.lastUsedAt < before && lanes.idle) this.release(lanes.deviceId);
  }

  private release(deviceId: string): void {
    this.owned.delete(deviceId);
    this.transport.release(deviceId);
  }
}

const offline = (): ExpectedError =>
  new ExpectedError('DEVICE_OFFLINE', {
    detail: 'The device is not connected. The call was not delivered and will not be.',
  });

function correlationIdIn(parsed: ParsedReply, body: Buffer): string | null {
  const id = (parsed.ok ? parsed.value : jsonOrNull(body))?.[PAYLOAD_CORRELATION_FIELDS.correlationId];
  return typeof id === 'string' ? id : null;
}

/** A reply that is refused, for its size, has an id all the same: its call is to fail at once, not to time out. */
function jsonOrNull(body: Buffer): JsonObject | null {
  try {
    return JSON.parse(body.toString('utf8')) as JsonObject | null;
  } catch {
    return null;
  }
}
