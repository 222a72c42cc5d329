import { setTimeout as delay } from 'node:timers/promises';
import { restartDelayMs, STEADY_MS } from './backoff.js';
import { StackError, StoppedError } from './errors.js';
import { seconds, type Say } from './screen.js';

/** A part that runs. */
export interface Running {
  readonly pid: number | null;
  /** Resolves with how it ended, in words. */
  readonly ended: Promise<string>;
  /** Ends it; at once and without mercy when `hurry` says so. */
  stop(hurry: AbortSignal): Promise<void>;
}

export interface KeeperOptions {
  /** With its article: `the gateway`. */
  readonly name: string;
  /**
   * Starts the part and resolves when it serves. Rejects, with nothing left running, when it does not come up or
   * `stop` says that it is no longer wanted.
   */
  readonly start: (stop: AbortSignal, hurry: AbortSignal) => Promise<Running>;
  readonly say: Say;
  /** Called after each new start. */
  readonly onRestart: () => void;
}

/** Keeps one part running: one that ends by itself is started again, with backoff, and that is said. */
export class Keeper {
  readonly #options: KeeperOptions;
  readonly #stop = new AbortController();
  readonly #hurry = new AbortController();
  #running: Running | null = null;
  #starting: Promise<Running> | null = null;
  #watching: Promise<void> = Promise.resolve();

  constructor(options: KeeperOptions) {
    this.#options = options;
  }

  get pid(): number | null {
    return this.#running?.pid ?? null;
  }

  /** The first start. @throws what {@link KeeperOptions.start} throws */
  async up(): Promise<void> {
    const running = await this.#start();
    this.#watching = this.#watch(running);
  }

  /** Ends the part, also in the middle of a start. `hurry` kills it. */
  async stop(hurry: AbortSignal): Promise<void> {
    const forward = (): void => this.#hurry.abort();
    if (hurry.aborted) forward();
    hurry.addEventListener('abort', forward, { once: true });
    this.#stop.abort();
    await this.#starting?.catch(() => undefined);
    await this.#running?.stop(this.#hurry.signal);
    await this.#watching;
    hurry.removeEventListener('abort', forward);
  }

  async #start(): Promise<Running> {
    if (this.#stop.signal.aborted) throw new StoppedError();
    this.#starting = this.#options.start(this.#stop.signal, this.#hurry.signal);
    try {
      this.#running = await this.#starting;
      return this.#running;
    } finally {
      this.#starting = null;
    }
  }

  async #watch(first: Running): Promise<void> {
    const { name, say, onRestart } = this.#options;
    const Name = name.charAt(0).toUpperCase() + name.slice(1);
    let running = first;
    let attempt = 0;
    for (;;) {
      const since = Date.now();
      let happened = `${Name} ended (${await running.ended}).`;
      this.#running = null;
      if (Date.now() - since > STEADY_MS) attempt = 0;
      for (;;) {
        if (this.#stop.signal.aborted) return;
        const waitMs = restartDelayMs(attempt++);
        say(`${happened} Starting it again in ${seconds(waitMs)}.`);
        try {
          await delay(waitMs, undefined, { signal: this.#stop.signal });
          running = await this.#start();
          break;
        } catch (error) {
          if (this.#stop.signal.aborted) return;
          happened = `${Name} did not come back: ${reasonOf(error)}`;
        }
      }
      onRestart();
      say(`${Name} is back.`);
    }
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const sentence = /[.!?]$/.test(error.message) ? error.message : `${error.message}.`;
  const details = error instanceof StackError ? error.details : [];
  // The sentence that follows begins a line of its own below quoted lines.
  return details.length === 0 ? sentence : [sentence, ...details.map((line) => `  ${line}`), ''].join('\n');
}
