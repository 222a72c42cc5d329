import type { LoadReport } from './load.js';
import type { Measurement, Ratio } from './results.js';
import { round, spread } from './stats.js';
import { cpuSeconds, residentMb } from './usage.js';

/** Groups of processes by what they are, to say whose CPU seconds were spent. */
export type Groups = () => Record<string, readonly number[]>;

export interface Contestant {
  name: string;
  subject: Measurement['subject'];
  devices: number;
  inFlight?: number;
  rate?: number;
  payloadBytes: number;
  instances?: number;
  /** Fewer than of the others it is measured beside. */
  repetitions?: number;
  groups: Groups;
  run: () => Promise<LoadReport>;
}

/**
 * Measures contestants in turn, `repetitions` times (A B A B ...), so that what else the machine does meets all of
 * them alike.
 */
export async function interleave(
  contestants: readonly Contestant[],
  options: { repetitions: number; say: (line: string) => void },
): Promise<Measurement[]> {
  const taken = contestants.map((contestant) => ({
    contestant,
    runs: [] as LoadReport[],
    cpu: [] as Record<string, number>[],
  }));
  for (let repetition = 0; repetition < options.repetitions; repetition++) {
    for (const { contestant, runs, cpu } of taken) {
      if (repetition >= (contestant.repetitions ?? options.repetitions)) continue;
      const before = cpuByGroup(contestant.groups());
      const report = await contestant.run();
      const after = cpuByGroup(contestant.groups());
      runs.push(report);
      cpu.push(
        Object.fromEntries(
          Object.keys(after).map((group) => [
            group,
            ((after[group]! - (before[group] ?? 0)) / Math.max(1, report.total)) * 1000,
          ]),
        ),
      );
      options.say(describe(contestant.name, report));
    }
  }
  return taken.map(({ contestant, runs, cpu }) => summary(contestant, runs, cpu));
}

function describe(name: string, { perSecond, latency, lost, crossed, failures }: LoadReport): string {
  const trouble = lost + crossed > 0 ? ` LOST ${lost} CROSSED ${crossed} ${JSON.stringify(failures)}` : '';
  return `${name.padEnd(46)} ${String(Math.round(perSecond)).padStart(7)}/s  p50 ${latency.p50.toFixed(2)}  p99 ${latency.p99.toFixed(2)} ms${trouble}`;
}

const cpuByGroup = (groups: Record<string, readonly number[]>): Record<string, number> =>
  Object.fromEntries(Object.entries(groups).map(([name, pids]) => [name, cpuSeconds(pids)]));

function summary(contestant: Contestant, runs: LoadReport[], cpu: Record<string, number>[]): Measurement {
  const of = (pick: (run: LoadReport) => number) => spread(runs.map(pick));
  const groups = contestant.groups();
  return {
    name: contestant.name,
    subject: contestant.subject,
    load: contestant.rate === undefined ? 'closed' : 'open',
    devices: contestant.devices,
    inFlight: contestant.inFlight ?? null,
    rate: contestant.rate ?? null,
    payloadBytes: contestant.payloadBytes,
    instances: contestant.instances ?? 1,
    perSecond: of((run) => run.perSecond),
    p50: of((run) => run.latency.p50),
    p90: of((run) => run.latency.p90),
    p99: of((run) => run.latency.p99),
    p999: of((run) => run.latency.p999),
    lost: runs.reduce((sum, run) => sum + run.lost, 0),
    crossed: runs.reduce((sum, run) => sum + run.crossed, 0),
    cpuPer1000: Object.fromEntries(
      Object.keys(groups).map((group) => [group, spread(cpu.map((one) => one[group] ?? 0)).median]),
    ),
    memoryMb: Object.fromEntries(Object.entries(groups).map(([name, pids]) => [name, residentMb(pids)])),
    runs,
  };
}

/** `above / below`, repetition by repetition: both of one were measured one after the other. */
export function ratio(
  name: string,
  above: Measurement | undefined,
  below: Measurement | undefined,
  pick: (run: LoadReport) => number,
): Ratio | null {
  if (!above || !below) return null;
  const values = above.runs.flatMap((run, index) => {
    const other = below.runs[index];
    return other && pick(other) > 0 ? [pick(run) / pick(other)] : [];
  });
  if (values.length === 0) return null;
  const all = spread(values);
  return { name, value: round(all.median), spread: all };
}
