import { Samples, type Latency } from './stats.js';

/** `crossed`: an answer that is another call's. Any other text: there was no answer, and why. */
export type CallOutcome = 'ok' | 'crossed' | string;

/** Carries out call number `index` and says what became of it; never rejects. */
export type Call = (index: number) => Promise<CallOutcome>;

export interface LoadReport {
  /** Of the measured calls; the warm-up's are in `total` alone. */
  answered: number;
  seconds: number;
  perSecond: number;
  latency: Latency;
  /** Calls without an answer, warm-up included. */
  lost: number;
  /** Calls that got another's answer, warm-up included. */
  crossed: number;
  /** Why calls were lost, counted. */
  failures: Record<string, number>;
  /** All calls, warm-up included: what the CPU seconds around this run were spent on. */
  total: number;
  /** CPU of the generator's own process while it measured, as a part of one core. */
  generatorCpu: number;
}

class Recorder {
  readonly samples = new Samples();
  readonly failures: Record<string, number> = {};
  lost = 0;
  crossed = 0;
  total = 0;
  answered = 0;

  add(outcome: CallOutcome, latencyMs: number, measured: boolean): void {
    this.total += 1;
    if (outcome === 'ok') {
      if (!measured) return;
      this.answered += 1;
      this.samples.push(latencyMs);
    } else if (outcome === 'crossed') this.crossed += 1;
    else {
      this.lost += 1;
      this.failures[outcome] = (this.failures[outcome] ?? 0) + 1;
    }
  }

  report(seconds: number, cpu: NodeJS.CpuUsage): LoadReport {
    return {
      answered: this.answered,
      seconds: Math.round(seconds * 1000) / 1000,
      perSecond: Math.round((this.answered / seconds) * 10) / 10,
      latency: this.samples.latency(),
      lost: this.lost,
      crossed: this.crossed,
      failures: this.failures,
      total: this.total,
      generatorCpu: Math.round(((cpu.user + cpu.system) / 1e6 / seconds) * 1000) / 1000,
    };
  }
}

export interface ClosedLoop {
  inFlight: number;
  /** Between an answer and the next call, spent awake; not counted in a latency. */
  pauseMs?: number;
  warmupMs: number;
  durationMs: number;
}

/** Each of `inFlight` callers makes its next call when its last one is answered. */
export async function closedLoop(
  { inFlight, warmupMs, durationMs, pauseMs = 0 }: ClosedLoop,
  call: Call,
): Promise<LoadReport> {
  const recorder = new Recorder();
  const beganAt = performance.now();
  const measureFrom = beganAt + warmupMs;
  const endAt = measureFrom + durationMs;
  let index = 0;
  let lastAnswerAt = measureFrom;
  let cpuBefore: NodeJS.CpuUsage | null = null;
  const caller = async (): Promise<void> => {
    for (let now = performance.now(); now < endAt;) {
      if (cpuBefore === null && now >= measureFrom) cpuBefore = process.cpuUsage();
      const startedAt = pauseMs > 0 ? spin(pauseMs) : now;
      const outcome = await call(index++);
      now = performance.now();
      const measured = startedAt >= measureFrom;
      if (measured && now > lastAnswerAt) lastAnswerAt = now;
      recorder.add(outcome, now - startedAt, measured);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, caller));
  const seconds = (lastAnswerAt - measureFrom) / 1000;
  return recorder.report(seconds > 0 ? seconds : durationMs / 1000, process.cpuUsage(cpuBefore ?? undefined));
}

/** Waits without sleeping, since timers are late by up to a ms; gives the time. */
function spin(ms: number): number {
  const until = performance.now() + ms;
  for (;;) {
    const now = performance.now();
    if (now >= until) return now;
  }
}

export interface OpenLoop {
  /** Calls a second. */
  rate: number;
  warmupMs: number;
  durationMs: number;
}

/**
 * Calls begin at fixed times, whether or not earlier ones were answered. A latency counts from the time at which
 * the call was due, so that a stall is counted for each call that it held up (no coordinated omission).
 */
export async function openLoop({ rate, warmupMs, durationMs }: OpenLoop, call: Call): Promise<LoadReport> {
  const recorder = new Recorder();
  const beganAt = performance.now();
  const warmups = Math.round((rate * warmupMs) / 1000);
  const all = warmups + Math.round((rate * durationMs) / 1000);
  const open = new Set<Promise<void>>();
  let cpuBefore: NodeJS.CpuUsage | null = null;
  const make = (index: number): void => {
    const dueAt = beganAt + (index * 1000) / rate;
    const one = call(index).then((outcome) => {
      recorder.add(outcome, performance.now() - dueAt, index >= warmups);
      open.delete(one);
    });
    open.add(one);
  };
  for (let index = 0; index < all;) {
    const due = Math.min(all, Math.floor(((performance.now() - beganAt) * rate) / 1000) + 1);
    while (index < due) {
      if (index >= warmups) cpuBefore ??= process.cpuUsage();
      make(index++);
    }
    const wait = beganAt + (index * 1000) / rate - performance.now();
    // By timers alone, which are late by up to a ms (it counts): to spin would take CPU from what is measured.
    if (index < all) await new Promise((resolve) => setTimeout(resolve, Math.max(1, Math.ceil(wait))));
  }
  await Promise.all(open);
  return recorder.report(durationMs / 1000, process.cpuUsage(cpuBefore ?? undefined));
}
