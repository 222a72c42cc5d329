import type { Hello } from '@postern/protocol';
import type { Presence } from './model.js';
import type { Clock } from './ports.js';
import { systemClock } from './ports.js';
import type { PresenceStore } from './store.js';

/** What the hot path asks. */
export interface PresenceView {
  /** What this instance knows of the device, at once; null where the broker never told of it. */
  peek(deviceId: string): Presence | null;
  /** False while the device may have connected unheard: right after this instance came, or came back, to the broker. */
  isCertain(deviceId: string): boolean;
  /** The device's presence as soon as it is connected, or null after `withinMs`. */
  whenConnected(deviceId: string, withinMs: number): Promise<Presence | null>;
}

/** A connection as the broker tells of it. */
export interface DeviceConnection {
  readonly deviceId: string;
  /** The broker's name of the connection. */
  readonly connection: string;
  readonly address: string | null;
  readonly transport: string | null;
}

export interface PresenceDirectoryOptions {
  readonly store: PresenceStore;
  readonly clock?: Clock;
  /** A device has a new connection. */
  readonly onConnected?: (deviceId: string) => void;
  /** How many devices are connected. */
  readonly onCount?: (connected: number) => void;
  readonly onError?: (error: unknown) => void;
}

/** A hello may overtake the news of its connection by so much. */
const HELLO_LEAD_MS = 2_000;
/** Connections of one device that are remembered: more than one is a take-over, or an AMQP device with two. */
const MAX_CONNECTIONS_PER_DEVICE = 16;
/** How old the broker's own list of connections may be, in ms: it is put together every 2 s. */
const LIST_AGE_MS = 5_000;
/** How long changes are gathered before they are written, in ms: a fleet that connects makes few writes of many. */
const WRITE_DELAY_MS = 200;
/** In one write: SQLite writes in this process, and many at once would hold up calls. */
const WRITE_BATCH = 100;
/** How exact `lastSeenAt` is while a device talks, in ms: an answer costs nothing in between. */
const SEEN_STEP_MS = 1_000;

interface Entry {
  presence: Presence;
  /** Names of live connections, the newest last. */
  connections: string[];
  helloAt: number;
  /** When the broker last told of a connection of this device. */
  heardAt: number;
}

/**
 * Who is connected, from the broker's own events (design decision 4), so that it is right for devices that say
 * nothing of themselves. Each instance keeps the whole of it in memory; the one that is `writer` saves it.
 * The map holds devices that the broker has let in, and so never more than are registered.
 */
export class PresenceDirectory implements PresenceView {
  private readonly entries = new Map<string, Entry>();
  private readonly byConnection = new Map<string, { readonly deviceId: string; readonly openedAt: number }>();
  /** When connections were closed that a list may still hold. */
  private readonly closedAt = new Map<string, number>();
  private readonly waiting = new Map<string, Set<(presence: Presence) => void>>();
  private readonly dirty = new Set<string>();
  private readonly store: PresenceStore;
  private readonly clock: Clock;
  private readonly options: PresenceDirectoryOptions;
  private writeTimer: NodeJS.Timeout | null = null;
  private connectedCount = 0;
  /** Only one instance writes; the others follow the same events. */
  writer = false;
  /** Since when events are heard without a gap; what happened before is known once the broker's list was read after it. */
  private heardSince = Infinity;
  private listRead = false;

  constructor(options: PresenceDirectoryOptions) {
    this.options = options;
    this.store = options.store;
    this.clock = options.clock ?? systemClock;
  }

  get connected(): number {
    return this.connectedCount;
  }

  peek(deviceId: string): Presence | null {
    return this.entries.get(deviceId)?.presence ?? null;
  }

  isCertain(deviceId: string): boolean {
    return this.listRead || (this.entries.get(deviceId)?.heardAt ?? -Infinity) >= this.heardSince;
  }

  /** Events are heard from now on. */
  listening(): void {
    this.heardSince = this.clock.now();
    this.listRead = false;
  }

  /** The connection to the broker is lost: what happens now is not heard. */
  deaf(): void {
    this.heardSince = Infinity;
    this.listRead = false;
    this.writer = false;
  }

  /** What is known of the device, from memory or else from the store. */
  async get(deviceId: string): Promise<Presence | null> {
    return this.peek(deviceId) ?? (await this.store.findPresence(deviceId));
  }

  async getMany(deviceIds: readonly string[]): Promise<Map<string, Presence>> {
    const found = new Map<string, Presence>();
    const missing: string[] = [];
    for (const id of deviceIds) {
      const known = this.peek(id);
      if (known) found.set(id, known);
      else missing.push(id);
    }
    if (missing.length > 0)
      for (const presence of await this.store.findPresences(missing)) found.set(presence.deviceId, presence);
    return found;
  }

  whenConnected(deviceId: string, withinMs: number): Promise<Presence | null> {
    const now = this.peek(deviceId);
    if (now?.connected) return Promise.resolve(now);
    return new Promise((resolve) => {
      const waiters = this.waiting.get(deviceId) ?? new Set();
      this.waiting.set(deviceId, waiters);
      const done = (presence: Presence | null): void => {
        clearTimeout(timer);
        waiters.delete(done);
        if (waiters.size === 0) this.waiting.delete(deviceId);
        resolve(presence);
      };
      const timer = setTimeout(() => done(null), withinMs);
      waiters.add(done);
    });
  }

  connectionOpened(opened: DeviceConnection): void {
    const entry = this.entry(opened.deviceId);
    const now = this.clock.now();
    if (!entry.connections.includes(opened.connection)) {
      entry.connections.push(opened.connection);
      if (entry.connections.length > MAX_CONNECTIONS_PER_DEVICE)
        this.byConnection.delete(entry.connections.shift()!);
    }
    this.byConnection.set(opened.connection, { deviceId: opened.deviceId, openedAt: now });
    entry.heardAt = now;
    const helloIsOfThisConnection = entry.helloAt > now - HELLO_LEAD_MS;
    this.change(entry, {
      connected: true,
      lastSeenAt: now,
      address: opened.address,
      transport: opened.transport,
      connection: opened.connection,
      ...(helloIsOfThisConnection ? {} : NO_HELLO),
    });
    this.options.onConnected?.(opened.deviceId);
  }

  connectionClosed(connection: string): void {
    const known = this.byConnection.get(connection);
    if (known === undefined) return;
    this.byConnection.delete(connection);
    this.closedAt.set(connection, this.clock.now());
    const entry = this.entries.get(known.deviceId);
    if (!entry) return;
    entry.heardAt = this.clock.now();
    entry.connections = entry.connections.filter((name) => name !== connection);
    const newest = entry.connections.at(-1);
    if (newest !== undefined) {
      if (entry.presence.connection === connection) this.change(entry, { connection: newest });
      return;
    }
    this.change(entry, { connected: false, lastSeenAt: this.clock.now(), connection: null, ...NO_HELLO });
    entry.helloAt = 0;
  }

  hello(deviceId: string, hello: Hello): void {
    const entry = this.entry(deviceId);
    entry.helloAt = this.clock.now();
    this.change(entry, {
      protocol: 2,
      methods: hello.methods,
      model: hello.model ?? null,
      version: hello.version ?? null,
      lastSeenAt: entry.helloAt,
    });
  }

  /** The device was heard of; kept in memory alone. */
  seen(deviceId: string): void {
    const entry = this.entries.get(deviceId);
    const now = this.clock.now();
    if (!entry || now - (entry.presence.lastSeenAt ?? 0) < SEEN_STEP_MS) return;
    entry.presence = { ...entry.presence, lastSeenAt: now };
  }

  /** The device is removed: nothing of it is kept. */
  forget(deviceId: string): void {
    const entry = this.entries.get(deviceId);
    if (!entry) return;
    for (const name of entry.connections) this.byConnection.delete(name);
    if (entry.presence.connected) this.count(-1);
    this.entries.delete(deviceId);
    this.dirty.delete(deviceId);
  }

  /**
   * Puts the directory right where events may have been missed. `live` are the connections that the broker lists,
   * asked for at `askedAt`; the list may be {@link LIST_AGE_MS} older than that, so that what was opened or closed
   * since is believed more. A hello that the store remembers counts where it was said on a connection that lives.
   */
  async reconcile(live: readonly DeviceConnection[], askedAt: number): Promise<void> {
    const stored = new Map(
      (await this.store.listConnected()).map((presence) => [presence.deviceId, presence]),
    );
    const listedSince = askedAt - LIST_AGE_MS;
    for (const [name, at] of this.closedAt) if (at < listedSince) this.closedAt.delete(name);
    const names = new Set(live.map(({ connection }) => connection));
    for (const [name, { deviceId, openedAt }] of [...this.byConnection]) {
      if (names.has(name) || openedAt >= listedSince) continue;
      this.connectionClosed(name);
      // Not heard of: it may have come back unheard as well.
      this.entries.get(deviceId)!.heardAt = 0;
    }
    for (const opened of live) {
      if (this.byConnection.has(opened.connection) || this.closedAt.has(opened.connection)) continue;
      this.connectionOpened(opened);
      const before = stored.get(opened.deviceId);
      if (before?.connection !== opened.connection || before.protocol !== 2) continue;
      const entry = this.entry(opened.deviceId);
      const { protocol, methods, model, version } = before;
      if (entry.presence.protocol !== 2) this.change(entry, { protocol, methods, model, version });
    }
    this.listRead = askedAt - LIST_AGE_MS >= this.heardSince;
    if (!this.listRead) return;
    for (const presence of stored.values()) {
      if (this.entries.has(presence.deviceId)) continue;
      const entry = this.entry(presence.deviceId);
      this.change(entry, { ...presence, connected: false, connection: null, ...NO_HELLO });
    }
  }

  /** Takes over the writing: all that is known is saved anew. */
  becomeWriter(): void {
    this.writer = true;
    for (const deviceId of this.entries.keys()) this.dirty.add(deviceId);
    this.scheduleWrite();
  }

  /** Saves what was not saved yet. */
  async flush(): Promise<void> {
    if (this.writeTimer) clearTimeout(this.writeTimer);
    this.writeTimer = null;
    while (this.writer && this.dirty.size > 0) {
      const ids = [...this.dirty].slice(0, WRITE_BATCH);
      for (const id of ids) this.dirty.delete(id);
      const records = ids.map((id) => this.peek(id)).filter((presence) => presence !== null);
      try {
        await this.store.savePresence(records);
      } catch (error) {
        for (const id of ids) this.dirty.add(id);
        this.options.onError?.(error);
        return this.scheduleWrite(WRITE_DELAY_MS * 10);
      }
    }
    if (!this.writer) this.dirty.clear();
  }

  private count(by: 1 | -1): void {
    this.connectedCount += by;
    this.options.onCount?.(this.connectedCount);
  }

  private change(entry: Entry, change: Partial<Presence>): void {
    const before = entry.presence.connected;
    entry.presence = { ...entry.presence, ...change };
    const { deviceId, connected } = entry.presence;
    if (connected !== before) this.count(connected ? 1 : -1);
    if (connected) for (const tell of [...(this.waiting.get(deviceId) ?? [])]) tell(entry.presence);
    if (!this.writer) return;
    this.dirty.add(deviceId);
    this.scheduleWrite();
  }

  private entry(deviceId: string): Entry {
    let entry = this.entries.get(deviceId);
    if (!entry) {
      entry = { presence: { ...UNKNOWN, deviceId }, connections: [], helloAt: 0, heardAt: 0 };
      this.entries.set(deviceId, entry);
    }
    return entry;
  }

  private scheduleWrite(delayMs = WRITE_DELAY_MS): void {
    if (this.writeTimer) return;
    this.writeTimer = setTimeout(() => {
      this.writeTimer = null;
      void this.flush();
    }, delayMs);
    this.writeTimer.unref();
  }
}

const NO_HELLO = { protocol: 1, methods: null, model: null, version: null } as const;
const UNKNOWN: Omit<Presence, 'deviceId'> = {
  connected: false,
  lastSeenAt: null,
  address: null,
  transport: null,
  connection: null,
  ...NO_HELLO,
};
