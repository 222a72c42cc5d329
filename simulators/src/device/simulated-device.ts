import { EventEmitter } from 'node:events';
import { helloTopic, replyTopic, type Hello, type JsonObject } from '@postern/protocol';
import { readCorrelation, type MessageCorrelation, type ReplyAddress } from './correlation.js';
import { ExecutionLog, type Execution } from './execution-log.js';
import { NO_FAULTS, drawFate, faultsSchema, garbagePayload, type Faults, type ReplyFate } from './faults.js';
import { DEFAULT_NETWORK, Ft900State, defaultMac, type NetworkSettings, type Now } from './ft900-state.js';
import { DeviceMethodError, METHOD_NAMES, executeMethod, knownFields } from './methods.js';
import { seededRandom, type Random } from './random.js';
import { RecentReplies } from './recent-replies.js';

/** Largest request, in bytes: 1,024 bytes of UART data with every byte escaped as `\u0000`, and room around it. */
export const MAX_REQUEST_BYTES = 8192;

/** Requests at work or waiting. Above what the gateway sends (32 a device); bounds memory when others send. */
export const MAX_PENDING_REQUESTS = 64;

/** `old`: the seed's devices. `protocol2`: hello, correlation, errors, calls side by side. */
export type DeviceStyle = 'old' | 'protocol2';

/** What arrives; on AMQP the routing key as a topic. */
export interface IncomingMessage extends MessageCorrelation {
  topic: string;
  payload: Buffer;
}

export interface OutgoingMessage {
  topic: string;
  payload: Buffer;
  /** Goes beside the payload: MQTT 5 Correlation Data, AMQP `correlation_id`. */
  correlationData: string | null;
}

export interface SimulatedDeviceOptions {
  deviceId: string;
  style?: DeviceStyle;
  /** Old style only: say nothing to a request that cannot be carried out, or `{"error":"<text>"}`. */
  badRequests?: 'silent' | 'error';
  /** Old style only: `request` answers write_uart with the whole object that came, as one of the seed's does. */
  uartReply?: 'data' | 'request';
  mac?: string;
  network?: NetworkSettings;
  model?: string;
  version?: string;
  now?: Now;
  /** The same seed gives the same faults. */
  seed?: string;
  faults?: Partial<Faults>;
  /** List each execution by its correlation id, not only count them. */
  listExecutions?: boolean;
}

export interface DeviceEvents {
  request: [{ method: string; correlationId: string | null }];
  /** `repeated`: a duplicate on purpose, or the earlier reply to an id that came again. */
  reply: [{ method: string; correlationId: string | null; topic: string; repeated: boolean }];
  uart: [Buffer];
  /** The reply to `set_status` is out and the device has reset: cut the connection and connect again. */
  restart: [];
}

export interface DeviceCounters {
  requests: number;
  replies: number;
  /** Requests that were not carried out, for what was wrong with them. */
  refused: number;
  /** Requests whose correlation id was known. */
  repeated: number;
  silenced: number;
  duplicated: number;
  garbled: number;
  /** Replies that found no connection. */
  lost: number;
}

export interface DeviceSnapshot {
  deviceId: string;
  style: DeviceStyle;
  highPins: number[];
  rtc: number;
  mac: string;
  network: NetworkSettings;
  restarts: number;
  counters: DeviceCounters;
  executed: Record<string, number>;
  executions: Execution[];
  executionsTruncated: boolean;
  faults: Faults;
}

const noCounters = (): DeviceCounters => ({
  requests: 0,
  replies: 0,
  refused: 0,
  repeated: 0,
  silenced: 0,
  duplicated: 0,
  garbled: 0,
  lost: 0,
});

/**
 * A device like an FT900, without a transport: give it what arrives ({@link handle}) and a way to send
 * ({@link onSend}).
 */
export class SimulatedDevice extends EventEmitter<DeviceEvents> {
  readonly deviceId: string;
  readonly style: DeviceStyle;
  readonly state: Ft900State;
  readonly random: Random;
  readonly #options: SimulatedDeviceOptions;
  readonly #replies = new RecentReplies<OutgoingMessage | null>();
  readonly #log: ExecutionLog;
  readonly #counters = noCounters();
  readonly #sleeping = new Set<() => void>();
  #faults: Faults;
  #pending = 0;
  /** Tail of an old device's queue: it handles one request after the other. */
  #queue: Promise<void> = Promise.resolve();
  /** Grows with every restart; work of an earlier life is dropped. */
  #life = 0;

  /** Sends a message; false or a rejection says that it is lost. Set by the transport. */
  onSend: (message: OutgoingMessage) => Promise<boolean> = () => Promise.resolve(false);

  constructor(options: SimulatedDeviceOptions) {
    super();
    this.#options = options;
    this.deviceId = options.deviceId;
    this.style = options.style ?? 'protocol2';
    this.state = new Ft900State({
      now: options.now ?? Date.now,
      mac: options.mac ?? defaultMac(options.deviceId),
      network: options.network ?? DEFAULT_NETWORK,
    });
    this.random = options.seed === undefined ? Math.random : seededRandom(options.seed, options.deviceId);
    this.#log = new ExecutionLog({ listed: options.listExecutions ?? false });
    this.#faults = faultsSchema.parse({ ...NO_FAULTS, ...options.faults });
  }

  get faults(): Faults {
    return this.#faults;
  }

  /** Changes the faults that are named and leaves the others. @throws ZodError for a value out of range */
  setFaults(change: Partial<Faults>): void {
    this.#faults = faultsSchema.parse({ ...this.#faults, ...change });
  }

  /** What to publish after each connect and subscribe; null for an old device. */
  hello(): OutgoingMessage | null {
    if (this.style === 'old') return null;
    const hello: Hello = {
      protocol: 2,
      methods: [...METHOD_NAMES],
      model: this.#options.model ?? 'FT900 simulator',
      version: this.#options.version ?? '0.1.0',
    };
    return { topic: helloTopic(this.deviceId), payload: toJson(hello), correlationData: null };
  }

  snapshot(): DeviceSnapshot {
    return {
      deviceId: this.deviceId,
      style: this.style,
      highPins: this.state.highPins(),
      rtc: this.state.rtc,
      mac: this.state.mac,
      network: this.state.network,
      restarts: this.state.restarts,
      counters: { ...this.#counters },
      executed: this.#log.byMethod,
      executions: this.#log.list,
      executionsTruncated: this.#log.truncated,
      faults: this.#faults,
    };
  }

  get counters(): Readonly<DeviceCounters> {
    return this.#counters;
  }

  /** Executions by method, counted. */
  get executed(): Record<string, number> {
    return this.#log.byMethod;
  }

  /** Drops what is at work; nothing is sent any more for it. */
  abandonWork(): void {
    this.#life += 1;
    for (const wake of [...this.#sleeping]) wake();
  }

  /** Takes one message; resolves once it is dealt with (answered, or left without an answer). Never rejects. */
  async handle(message: IncomingMessage): Promise<void> {
    const prefix = `${this.deviceId}/`;
    if (!message.topic.startsWith(prefix) || message.topic.length === prefix.length) return;
    const method = message.topic.slice(prefix.length);
    this.#counters.requests += 1;
    if (this.style === 'old') {
      // Its receive buffer is full: the request is gone, as it is on the hardware.
      if (this.#pending >= MAX_PENDING_REQUESTS) return;
      this.#pending += 1;
      const life = this.#life;
      this.#queue = this.#queue.then(() =>
        life === this.#life ? this.#handleOld(method, message) : undefined,
      );
      await this.#queue.finally(() => (this.#pending -= 1));
      return;
    }
    this.#pending += 1;
    try {
      await this.#handleProtocol2(method, message);
    } finally {
      this.#pending -= 1;
    }
  }

  async #handleOld(method: string, message: IncomingMessage): Promise<void> {
    this.emit('request', { method, correlationId: null });
    const address: ReplyAddress = {
      topic: replyTopic(this.deviceId, method),
      id: null,
      correlationData: null,
      payloadFields: {},
      refusal: null,
    };
    const request = parseObject(message.payload);
    let work: Work;
    try {
      if (!request) throw new DeviceMethodError('BAD_REQUEST', 'the request must be a JSON object');
      work = this.#execute(method, knownFields(method, request), null);
      if (method === 'write_uart' && this.#options.uartReply === 'request') work.reply = request;
    } catch (error) {
      if (!(error instanceof DeviceMethodError)) throw error;
      this.#counters.refused += 1;
      if ((this.#options.badRequests ?? 'silent') === 'silent') return;
      work = { reply: { error: error.message }, restart: false };
    }
    await this.#answer({ method, address, work });
  }

  async #handleProtocol2(method: string, message: IncomingMessage): Promise<void> {
    const parsed = parseObject(message.payload);
    const { address, request } = readCorrelation({
      deviceId: this.deviceId,
      defaultTopic: replyTopic(this.deviceId, method),
      message,
      request: parsed ?? {},
    });
    this.emit('request', { method, correlationId: address.id });
    if (address.id !== null && address.refusal === null) {
      const known = this.#replies.begin(address.id);
      if (known) {
        this.#counters.repeated += 1;
        if (known.state === 'done' && known.reply) await this.#send(method, address.id, known.reply, true);
        return;
      }
    }
    let work: Work;
    try {
      if (this.#pending > MAX_PENDING_REQUESTS) {
        throw new DeviceMethodError('BUSY', `${MAX_PENDING_REQUESTS} requests are at work`);
      }
      if (message.payload.length > MAX_REQUEST_BYTES) {
        throw new DeviceMethodError(
          'REQUEST_TOO_LARGE',
          `the request has ${message.payload.length} bytes; this device holds ${MAX_REQUEST_BYTES}`,
        );
      }
      if (!parsed) throw new DeviceMethodError('BAD_REQUEST', 'the request must be a JSON object');
      if (address.refusal !== null) throw new DeviceMethodError('BAD_REQUEST', address.refusal);
      work = this.#execute(method, request, address.id);
    } catch (error) {
      if (!(error instanceof DeviceMethodError)) throw error;
      this.#counters.refused += 1;
      work = { reply: { error: { code: error.code, message: error.message } }, restart: false };
    }
    await this.#answer({ method, address, work });
  }

  #execute(method: string, request: JsonObject, correlationId: string | null): Work {
    const outcome = executeMethod(this.state, method, request);
    this.#log.add(method, correlationId);
    if (outcome.uart) this.emit('uart', outcome.uart);
    return { reply: outcome.reply, restart: outcome.restart ?? false };
  }

  /** Sends a reply as the faults have it, then restarts where that was asked for. */
  async #answer({
    method,
    address,
    work,
  }: {
    method: string;
    address: ReplyAddress;
    work: Work;
  }): Promise<void> {
    const life = this.#life;
    const fate = drawFate(this.#faults, this.random);
    await this.#sleep(fate.delayMs);
    if (life !== this.#life) return;
    const message = this.#compose(address, work.reply, fate);
    if (address.id !== null && address.refusal === null) this.#replies.finish(address.id, message);
    if (message) {
      await this.#send(method, address.id, message, false);
      if (fate.duplicateAfterMs !== null) {
        this.#counters.duplicated += 1;
        void this.#repeatLater(method, address.id, message, fate.duplicateAfterMs);
      }
    }
    if (work.restart && life === this.#life) this.#restart();
  }

  #compose(address: ReplyAddress, reply: JsonObject, fate: ReplyFate): OutgoingMessage | null {
    if (fate.silent) {
      this.#counters.silenced += 1;
      return null;
    }
    if (fate.garbage) this.#counters.garbled += 1;
    const payload = fate.garbage
      ? garbagePayload(fate.garbage, reply, address.payloadFields)
      : toJson({ ...reply, ...address.payloadFields });
    return { topic: address.topic, payload, correlationData: address.correlationData };
  }

  async #repeatLater(
    method: string,
    correlationId: string | null,
    message: OutgoingMessage,
    afterMs: number,
  ): Promise<void> {
    const life = this.#life;
    await this.#sleep(afterMs);
    if (life === this.#life) await this.#send(method, correlationId, message, true);
  }

  async #send(
    method: string,
    correlationId: string | null,
    message: OutgoingMessage,
    repeated: boolean,
  ): Promise<void> {
    const sent = await this.onSend(message).catch(() => false);
    if (!sent) {
      this.#counters.lost += 1;
      return;
    }
    this.#counters.replies += 1;
    this.emit('reply', { method, correlationId, topic: message.topic, repeated });
  }

  #restart(): void {
    this.abandonWork();
    this.state.restart();
    this.emit('restart');
  }

  #sleep(ms: number): Promise<void> {
    if (ms === 0) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        this.#sleeping.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#sleeping.add(wake);
    });
  }
}

interface Work {
  reply: JsonObject;
  restart: boolean;
}

const toJson = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

/** The payload as a JSON object; null where it is anything else. */
function parseObject(payload: Buffer): JsonObject | null {
  try {
    const value: unknown = JSON.parse(payload.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as JsonObject)
      : null;
  } catch {
    return null;
  }
}
