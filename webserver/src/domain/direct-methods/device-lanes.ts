import { Lane, type LaneCall } from './lane.js';
import type { DirectMethodLimits } from './limits.js';

export interface DeviceLanesHost {
  now(): number;
  after(ms: number, callback: () => void): () => void;
  send(deviceId: string, method: string, call: LaneCall): void;
  nextId(): string;
}

/** Reads that every device of the seed's kind answers, and that change nothing: what a fence asks. */
const FENCE_METHODS = ['get_status', 'get_mac', 'get_ip'];
/** How long a fence is waited for, in ms. A device that is slower than this is still busy with what it was asked before. */
const FENCE_TIMEOUT_MS = 2_000;
/** Methods of one device with a lane: names come from callers, so that there must be a bound. */
const MAX_LANES = 64;

const EMPTY = Buffer.from('{}');

/** The lanes of one device without correlation that this instance owns. */
export class DeviceLanes {
  private readonly lanes = new Map<string, Lane>();
  lastUsedAt: number;

  constructor(
    readonly deviceId: string,
    private readonly host: DeviceLanesHost,
    private readonly limits: DirectMethodLimits,
  ) {
    this.lastUsedAt = host.now();
  }

  get size(): number {
    let size = 0;
    for (const lane of this.lanes.values()) size += lane.size;
    return size;
  }

  get idle(): boolean {
    for (const lane of this.lanes.values()) if (!lane.idle) return false;
    return true;
  }

  submit(method: string, call: LaneCall): void {
    this.lastUsedAt = this.host.now();
    this.lane(method).submit(call);
  }

  expire(method: string, id: string): void {
    this.lanes.get(method)?.expire(id);
  }

  returned(method: string, id: string): LaneCall | null {
    return this.lanes.get(method)?.returned(id) ?? null;
  }

  /** The same where the method is not known. */
  returnedAny(id: string): LaneCall | null {
    for (const lane of this.lanes.values()) {
      const call = lane.returned(id);
      if (call) return call;
    }
    return null;
  }

  reply(method: string, body: Buffer): void {
    this.lanes.get(method)?.reply(body);
  }

  reconnected(): void {
    for (const lane of this.lanes.values()) lane.reconnected();
  }

  failAll(error: Error): void {
    for (const lane of this.lanes.values()) lane.failAll(error);
  }

  private lane(method: string): Lane {
    let lane = this.lanes.get(method);
    if (!lane) {
      if (this.lanes.size >= MAX_LANES) {
        for (const [name, other] of this.lanes) if (other.idle) this.lanes.delete(name);
      }
      lane = new Lane(
        method,
        {
          now: () => this.host.now(),
          after: (ms, callback) => this.host.after(ms, callback),
          send: (call) => this.host.send(this.deviceId, method, call),
          fence: (exceptMethod) => this.fence(exceptMethod),
        },
        this.limits,
      );
      this.lanes.set(method, lane);
    }
    return lane;
  }

  /** The device answers in order: once it has answered this, it has answered, or lost, what came before. */
  private fence(exceptMethod: string): Promise<number | null> {
    const method = FENCE_METHODS.find(
      (name) => name !== exceptMethod && (this.lanes.get(name)?.idle ?? true),
    );
    if (!method) return Promise.resolve(null);
    return new Promise((resolve) => {
      const lane = this.lane(method);
      const id = this.host.nextId();
      const startedAt = this.host.now();
      const cancel = this.host.after(FENCE_TIMEOUT_MS, () => {
        lane.expire(id);
        resolve(null);
      });
      const done = (roundTripMs: number | null): void => {
        cancel();
        resolve(roundTripMs);
      };
      lane.submit({
        id,
        request: {},
        body: EMPTY,
        deadline: startedAt + FENCE_TIMEOUT_MS,
        succeed: () => done(this.host.now() - startedAt),
        fail: () => done(null),
      });
    });
  }
}
