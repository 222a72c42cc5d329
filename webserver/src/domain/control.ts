import { isUtf8 } from 'node:buffer';
import { LRUCache } from 'lru-cache';
import { deviceNameSchema, METHODS, type ErrorCode, type JsonObject } from '@postern/protocol';
import type { Principal } from './accounts.js';
import type { AuditTrail, Origin } from './audit.js';
import { ExpectedError, isExpectedError } from './errors.js';
import type { Presence } from './model.js';
import { assertPlainJson } from './plain-json.js';
import type { Clock, DirectMethods } from './ports.js';
import type { DeviceStore } from './store.js';

/** Where presence is asked. */
export interface PresenceReader {
  get(deviceId: string): Promise<Presence | null>;
  getMany(deviceIds: readonly string[]): Promise<ReadonlyMap<string, Presence>>;
}

/** What is counted of each call; `outcome` is `OK` or an error code. */
export interface CallMeter {
  callStarted(): void;
  callFinished(method: string, outcome: 'OK' | ErrorCode, seconds: number): void;
}

export interface ControlCall {
  readonly principal: Principal;
  readonly deviceName: string;
  readonly method: string;
  readonly payload: JsonObject;
  readonly timeoutMs: number;
  readonly origin: Origin;
}

export interface ControlOptions {
  readonly store: DeviceStore;
  readonly methods: DirectMethods;
  readonly presence: PresenceReader;
  readonly audit: AuditTrail;
  readonly meter: CallMeter;
  readonly clock: Clock;
}

/** Names of devices that are remembered, and for how long where another instance's change went unheard. */
const NAME_CACHE = { max: 20_000, ttlMs: 5_000 } as const;

/** Topics below `server/<deviceId>/` that are not methods. */
const RESERVED_METHODS: ReadonlySet<string> = new Set(['reply', 'hello']);

export const deviceNotFound = (): ExpectedError => new ExpectedError('DEVICE_NOT_FOUND');

/** True where a call of this method changes something; what the table does not know may. */
export const changesDevice = (method: string): boolean => METHODS.get(method)?.changes ?? true;

/** Calls on devices by their owner. */
export class Control {
  private readonly ids = new LRUCache<string, { id: string; at: number }>({ max: NAME_CACHE.max });
  private readonly keysOf = new Map<string, string>();

  constructor(private readonly options: ControlOptions) {}

  /** The id of the caller's device of this name. Rejects with DEVICE_NOT_FOUND, alike for none and another's. */
  async resolve(ownerId: string, name: string): Promise<string> {
    const key = `${ownerId}/${name}`;
    const now = this.options.clock.now();
    const known = this.ids.get(key);
    if (known && now - known.at < NAME_CACHE.ttlMs) return known.id;
    if (!deviceNameSchema.safeParse(name).success) throw deviceNotFound();
    const device = await this.options.store.findDeviceByName(ownerId, name);
    if (!device) {
      this.ids.delete(key);
      throw deviceNotFound();
    }
    this.ids.set(key, { id: device.id, at: now });
    this.keysOf.set(device.id, key);
    if (this.keysOf.size > 2 * NAME_CACHE.max) this.keysOf.clear();
    return device.id;
  }

  /** A device's registration has changed, here or elsewhere. */
  forgetDevice(deviceId: string): void {
    const key = this.keysOf.get(deviceId);
    if (key === undefined) {
      // The way back was lost when the map was cleared: rare, so a walk is right.
      for (const [name, { id }] of this.ids.entries()) if (id === deviceId) this.ids.delete(name);
      return;
    }
    this.keysOf.delete(deviceId);
    this.ids.delete(key);
  }

  /**
   * Checks the request and finds the device: whatever fails here has changed nothing.
   * `payload` of a method that the table knows must have been validated against it.
   */
  async prepare(call: ControlCall): Promise<{ deviceId: string; payload: JsonObject }> {
    if (RESERVED_METHODS.has(call.method))
      throw new ExpectedError('VALIDATION_FAILED', {
        detail: `"${call.method}" is a reserved name, no method.`,
        errors: [{ path: 'path.method', message: 'must not be "reply" or "hello"' }],
      });
    const deviceId = await this.resolve(call.principal.userId, call.deviceName);
    if (!METHODS.has(call.method)) assertPlainJson(call.payload, 'body');
    const payload =
      call.method === 'write_uart' && 'encoding' in call.payload
        ? await this.uartPayload(deviceId, call.payload)
        : call.payload;
    return { deviceId, payload };
  }

  async call(call: ControlCall): Promise<JsonObject> {
    return this.send(call, await this.prepare(call));
  }

  /** Asks the device. Only this can act on it. */
  async send(call: ControlCall, prepared: { deviceId: string; payload: JsonObject }): Promise<JsonObject> {
    const { methods, meter } = this.options;
    const { method, timeoutMs, origin } = call;
    const { deviceId, payload } = prepared;
    const startedAt = performance.now();
    meter.callStarted();
    let outcome: 'OK' | ErrorCode = 'INTERNAL';
    try {
      const reply = await methods.call({
        deviceId,
        method,
        payload,
        timeoutMs,
        requestId: origin.requestId,
      });
      outcome = 'OK';
      return reply;
    } catch (error) {
      if (isExpectedError(error)) outcome = error.code;
      throw error;
    } finally {
      meter.callFinished(method, outcome, (performance.now() - startedAt) / 1000);
      if (changesDevice(method)) this.note(call, deviceId, outcome);
    }
  }

  /** The four network settings, asked side by side. */
  async network(
    call: Omit<ControlCall, 'method' | 'payload'>,
  ): Promise<{ ip: string; subnet: string; gateway: string; mac: string }> {
    const deviceId = await this.resolve(call.principal.userId, call.deviceName);
    const ask = async (method: string): Promise<string> => {
      const reply = await this.send({ ...call, method, payload: {} }, { deviceId, payload: {} });
      return String(reply['value']);
    };
    const [ip, subnet, gateway, mac] = await Promise.all([
      ask('get_ip'),
      ask('get_subnet'),
      ask('get_gateway'),
      ask('get_mac'),
    ]);
    return { ip, subnet, gateway, mac };
  }

  /** Old devices take text alone: base64 that is text goes as text, other bytes only to a device that can read them. */
  private async uartPayload(deviceId: string, payload: JsonObject): Promise<JsonObject> {
    if (payload['encoding'] !== 'base64') return { data: payload['data'] };
    const bytes = Buffer.from(String(payload['data']), 'base64');
    if (isUtf8(bytes)) return { data: bytes.toString('utf8') };
    const presence = await this.options.presence.get(deviceId);
    if (!presence?.connected)
      throw new ExpectedError('DEVICE_OFFLINE', { detail: 'The device is not connected.', notSent: true });
    if (presence.protocol !== 2)
      throw new ExpectedError('VALIDATION_FAILED', {
        detail: 'These bytes are not UTF-8 text, and this device (protocol 1) takes text alone.',
        errors: [{ path: 'body.data', message: 'must decode to UTF-8 text for a device of protocol 1' }],
      });
    return { data: payload['data'], encoding: 'base64' };
  }

  private note(call: ControlCall, deviceId: string, outcome: string): void {
    this.options.audit.note({
      actorId: call.principal.userId,
      actorName: call.principal.username,
      action: `method.${call.method}`,
      target: deviceId,
      outcome,
      origin: call.origin,
    });
  }
}
