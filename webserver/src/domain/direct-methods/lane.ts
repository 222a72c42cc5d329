import { METHODS, type JsonObject, type MethodSpec } from '@postern/protocol';
import { badReply, contractFault, parseReply, throwDeviceError } from './reply.js';
import type { DirectMethodLimits } from './limits.js';

/** A call that waits in a lane or is in flight there. */
export interface LaneCall {
  readonly id: string;
  readonly request: JsonObject;
  readonly body: Buffer;
  /** Milliseconds of the engine's clock. */
  readonly deadline: number;
  succeed(reply: JsonObject): void;
  fail(error: Error): void;
}

/** What a lane asks of the device around it. */
export interface LaneHost {
  now(): number;
  send(call: LaneCall): void;
  /** Calls back after `ms`; the result cancels. */
  after(ms: number, callback: () => void): () => void;
  /** Asks the device something else, to learn whether it has answered all that it was asked before. Its round trip in ms, or null where it did not answer. */
  fence(exceptMethod: string): Promise<number | null>;
}

interface Ended {
  readonly signature: string;
  readonly at: number;
}

/** Replies remembered to recognise repeats. Bounds what a lane keeps. */
const RECENT = 64;
/** A reply within so many fence round trips (and at least so many ms) of its request is plausible. */
const PLAUSIBLE_ROUND_TRIPS = 10;
const PLAUSIBLE_MS = 50;
/** How often a lane asks for a fence while calls wait, in ms. */
const FENCE_INTERVAL_MS = 500;

/**
 * One method of one device that knows no correlation (wire contract: it handles one request after the other and
 * answers each once). One call is in flight at a time; a reply is matched by what it says.
 *
 * Where a call has timed out, its reply may still come. `stale` holds such calls. A new call that their replies
 * could be taken for waits until the late reply has come, or a fence has shown that the device is past it; and
 * then for a spell of doubt a reply is believed only if it comes as fast as the fence's, and no second follows.
 * Where this does not help, the call times out: an error is right, a guess is wrong.
 */
export class Lane {
  private readonly spec: MethodSpec | undefined;
  private readonly waiting: LaneCall[] = [];
  private current: { call: LaneCall; signature: string; sentAt: number; doubt: Doubt | null } | null = null;
  private stale: Ended[] = [];
  private readonly recent: Ended[] = [];
  /** The longest time after its first copy that a repeated reply came; 0 for a device that never repeated one. */
  private repeatLagMs = 0;
  /** Set by a fence: how fast the device answers now. Holds until `stale` is empty. */
  private doubt: Doubt | null = null;
  private fencing = false;
  private nextFenceAt = 0;
  private cancelWake: (() => void) | null = null;
  private scheduled = false;

  constructor(
    readonly method: string,
    private readonly host: LaneHost,
    private readonly limits: DirectMethodLimits,
  ) {
    this.spec = METHODS.get(method);
  }

  get size(): number {
    return this.waiting.length + (this.current ? 1 : 0);
  }

  /** True where nothing is in flight or waiting, and no late reply is reckoned with. */
  get idle(): boolean {
    this.forgetOld();
    return this.size === 0 && this.stale.length === 0;
  }

  get hasStale(): boolean {
    this.forgetOld();
    return this.stale.length > 0;
  }

  submit(call: LaneCall): void {
    this.waiting.push(call);
    if (!this.current && !this.scheduled) this.dispatch();
  }

  /** The call has run out of time, or its caller is gone. */
  expire(id: string): void {
    if (this.current?.call.id === id) {
      // Where a doubtful reply was put aside as late, one reply less is outstanding: keep the older entry's age.
      if (!this.current.doubt?.tookOne) this.markStale(this.current.signature, this.current.sentAt);
      this.current = null;
      this.dispatchSoon();
      return;
    }
    const index = this.waiting.findIndex((call) => call.id === id);
    if (index >= 0) this.waiting.splice(index, 1);
  }

  /** The broker had no queue for the call in flight: the device never saw it. Hands it back. */
  returned(id: string): LaneCall | null {
    if (this.current?.call.id !== id) return null;
    const { call } = this.current;
    this.current = null;
    this.dispatchSoon();
    return call;
  }

  /** The device has connected anew: what is still to come was queued in its client and comes soon. */
  reconnected(): void {
    const latest = this.host.now() - this.limits.lateReplyMs + this.limits.lateReplyAfterReconnectMs;
    this.stale = this.stale.map((ended) => ({ ...ended, at: Math.min(ended.at, latest) }));
  }

  failAll(error: Error): void {
    const calls = this.waiting.splice(0);
    if (this.current) {
      calls.unshift(this.current.call);
      this.markStale(this.current.signature, this.current.sentAt);
      this.current = null;
    }
    this.cancelWake?.();
    this.cancelWake = null;
    for (const call of calls) call.fail(error);
  }

  reply(body: Buffer): void {
    this.forgetOld();
    const parsed = parseReply(body);
    const isError = parsed.ok && 'error' in parsed.value;
    const fault = parsed.ok ? (isError ? null : contractFault(this.spec, parsed.value)) : parsed.why;
    const signature = parsed.ok && !isError && fault === null ? this.signatureOf(parsed.value) : null;

    if (!this.current) return this.stray(signature);
    if (signature === this.current.signature) return this.matching(parsed.ok ? parsed.value : {});
    if (signature !== null) {
      if (this.settleStale(signature)) return;
      if (this.noteRepeat(signature)) return;
    } else if (this.settleStale(null)) {
      // Broken, or an error: as well the late answer of a call that has timed out.
      return;
    }
    const { call } = this.current;
    this.finish();
    if (parsed.ok && isError) {
      try {
        throwDeviceError(parsed.value);
      } catch (error) {
        return call.fail(error as Error);
      }
    }
    call.fail(
      badReply(
        this.method,
        fault ?? 'it speaks of other values than the request',
        body.subarray(0, 200).toString('utf8'),
      ),
    );
  }

  /** A reply that says what the call in flight waits for. */
  private matching(reply: JsonObject): void {
    const current = this.current!;
    const { doubt, call } = current;
    if (doubt) {
      const plausible = this.host.now() - current.sentAt <= doubt.plausibleMs;
      if (!plausible && !doubt.tookOne) {
        // Slower than the device answers now: taken for the late answer. The call's own is still to come.
        doubt.tookOne = true;
        return;
      }
      // Believed if no second one follows; where one does, that is the call's own.
      doubt.candidate = reply;
      if (!doubt.settling) {
        doubt.settling = true;
        this.host.after(this.limits.settleMs, () => {
          if (this.current !== current) return;
          this.finish();
          this.settleStale(current.signature);
          call.succeed(doubt.candidate!);
        });
      }
      return;
    }
    this.finish();
    call.succeed(reply);
  }

  private finish(): void {
    const current = this.current!;
    this.current = null;
    this.recent.push({ signature: current.signature, at: this.host.now() });
    if (this.recent.length > RECENT) this.recent.shift();
    this.dispatchSoon();
  }

  private stray(signature: string | null): void {
    if (this.settleStale(signature)) return this.dispatchSoon();
    if (signature !== null) this.noteRepeat(signature);
  }

  /** Takes a timed-out call off the list that this reply may belong to. `null` fits any. */
  private settleStale(signature: string | null): boolean {
    const index =
      signature === null
        ? this.stale.length > 0
          ? 0
          : -1
        : this.stale.findIndex((ended) => ended.signature === signature);
    if (index < 0) return false;
    this.stale.splice(index, 1);
    if (this.stale.length === 0) this.doubt = null;
    return true;
  }

  private noteRepeat(signature: string): boolean {
    const first = this.recent.findLast((ended) => ended.signature === signature);
    if (!first) return false;
    this.repeatLagMs = Math.min(
      this.limits.repeatQuietMs,
      Math.max(this.repeatLagMs, this.host.now() - first.at, 1),
    );
    return true;
  }

  private signatureOf(message: JsonObject): string {
    return this.spec ? this.spec.signature(message) : '';
  }

  private markStale(signature: string, sentAt: number): void {
    this.stale.push({ signature, at: sentAt });
    if (this.stale.length > RECENT) this.stale.shift();
  }

  private forgetOld(): void {
    if (this.stale.length === 0) return;
    const oldest = this.host.now() - this.limits.lateReplyMs;
    this.stale = this.stale.filter((ended) => ended.at > oldest);
    if (this.stale.length === 0) this.doubt = null;
  }

  /** After what is at hand was read: a repeat that came in the same packet must not meet the next call. */
  private dispatchSoon(): void {
    if (this.scheduled || this.waiting.length === 0) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.dispatch();
    });
  }

  private dispatch(): void {
    if (this.current || this.waiting.length === 0) return;
    this.forgetOld();
    const now = this.host.now();
    let wakeAt = Infinity;
    for (let index = 0; index < this.waiting.length; index++) {
      const call = this.waiting[index]!;
      const signature = this.signatureOf(call.request);
      const couldBeStale = this.stale.find((ended) => ended.signature === signature);
      if (couldBeStale && !this.doubt) {
        this.startFence();
        wakeAt = Math.min(wakeAt, couldBeStale.at + this.limits.lateReplyMs, this.nextFenceAt);
        continue;
      }
      const quietUntil = this.quietUntil(signature);
      if (quietUntil > now) {
        wakeAt = Math.min(wakeAt, quietUntil);
        continue;
      }
      this.waiting.splice(index, 1);
      const doubt =
        couldBeStale && this.doubt
          ? { ...this.doubt, candidate: null, settling: false, tookOne: false }
          : null;
      this.current = { call, signature, sentAt: now, doubt };
      this.host.send(call);
      return;
    }
    if (wakeAt < Infinity) {
      this.cancelWake?.();
      this.cancelWake = this.host.after(Math.max(1, wakeAt - now), () => {
        this.cancelWake = null;
        this.dispatch();
      });
    }
  }

  /** A device that repeats its replies is given time to do so before a call that looks the same. */
  private quietUntil(signature: string): number {
    if (this.repeatLagMs === 0) return 0;
    const last = this.recent.findLast((ended) => ended.signature === signature);
    return last ? last.at + Math.min(this.limits.repeatQuietMs, this.repeatLagMs * 1.5 + 10) : 0;
  }

  private startFence(): void {
    const now = this.host.now();
    if (this.fencing || now < this.nextFenceAt) return;
    this.fencing = true;
    this.nextFenceAt = now + FENCE_INTERVAL_MS;
    void this.host.fence(this.method).then((roundTripMs) => {
      this.fencing = false;
      if (roundTripMs === null) return;
      if (this.stale.length > 0) {
        this.doubt = {
          plausibleMs: Math.max(PLAUSIBLE_MS, roundTripMs * PLAUSIBLE_ROUND_TRIPS),
          candidate: null,
          settling: false,
          tookOne: false,
        };
      }
      this.dispatch();
    });
  }
}

interface Doubt {
  /** A reply that comes within this time of its request can be the request's own. */
  readonly plausibleMs: number;
  candidate: JsonObject | null;
  settling: boolean;
  /** A reply was put aside as late while this call waited. */
  tookOne: boolean;
}
