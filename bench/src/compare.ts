import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Bench, say } from './bench.js';
import { interleave } from './measure.js';
import { readOptions } from './options.js';
import { spread } from './stats.js';
import { postern } from './subjects.js';
import type { CallKind } from './workers/http.js';

/**
 * Two checkouts (built), side by side and in turn, before and after a change:
 * `node bench/dist/compare.js --before <checkout> --after <checkout> [--kind echo] [--repetitions 6] [--old]`.
 * The CPU seconds of the gateway tell most where something else runs on the machine.
 */
const { values } = parseArgs({
  options: {
    before: { type: 'string', default: '.' },
    after: { type: 'string', default: '.' },
    kind: { type: 'string', default: 'echo' },
    repetitions: { type: 'string', default: '6' },
    seconds: { type: 'string', default: '3' },
    old: { type: 'boolean', default: false },
  },
});
const plan = readOptions(['--quick', '--repetitions', values.repetitions], '');
const kind = values.kind as CallKind;
const sides: { name: string; bench: Bench }[] = [];
try {
  const contestants = [];
  for (const name of ['before', 'after'] as const) {
    const bench = await Bench.start(plan, {}, resolve(values[name]));
    sides.push({ name, bench });
    const { devices, worker } = await bench.devices('compare', 100, values.old ? { style: 'old' } : {});
    const load = { devices, deviceWorker: worker, durationMs: Number(values.seconds) * 1000 };
    const flat = kind === 'flat-rtc' ? await bench.account.flatLogIn() : undefined;
    contestants.push({ name, load, bench, options: { kind, label: name, ...(flat && { flat }) } });
  }
  for (const inFlight of [1, 64]) {
    const measured = await interleave(
      contestants.map(({ bench, load, options }) =>
        postern(
          bench,
          { ...load, devices: inFlight === 1 ? load.devices.slice(0, 1) : load.devices, inFlight },
          options,
        ),
      ),
      { repetitions: plan.repetitions, say },
    );
    for (const { name, perSecond, p50, p99, cpuPer1000, memoryMb } of measured)
      say(
        `${name.padEnd(46)} ${perSecond.median}/s (${perSecond.min}-${perSecond.max}), p50 ${p50.median}, p99 ${p99.median} ms, ` +
          `gateway ${cpuPer1000['gateway']} s/1,000, broker ${cpuPer1000['broker']}, ${memoryMb['gateway']} MB`,
      );
    const [before, after] = measured;
    const gain = spread(after!.runs.map((run, index) => run.perSecond / before!.runs[index]!.perSecond));
    say(
      `after / before: calls/s ${gain.median} (${gain.min}-${gain.max}), gateway CPU ${(after!.cpuPer1000['gateway']! / before!.cpuPer1000['gateway']!).toFixed(3)}\n`,
    );
  }
} finally {
  for (const { bench } of sides) await bench.stop();
}
