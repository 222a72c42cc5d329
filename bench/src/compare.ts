import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Bench, say } from './bench.js';
import { interleave, type Contestant } from './measure.js';
import { readOptions } from './options.js';
import type { LoadReport } from './load.js';
import type { Measurement } from './results.js';
import { spread, type Spread } from './stats.js';
import { postern, raw } from './subjects.js';
import type { CallKind } from './workers/http.js';

/**
 * Two checkouts (built), side by side and in turn, before and after a change:
 * `node bench/dist/compare.js --before <checkout> --after <checkout> [--kind echo] [--in-flight 1,64]
 * [--repetitions 6] [--seconds 3] [--old] [--after-env NAME=value ...] [--before-reply-qos 1] [--after-reply-qos 1]`.
 * Each has a broker of its own, whose raw limit is measured beside it. The CPU seconds of the gateway tell most where
 * something else runs on the machine.
 */
const { values } = parseArgs({
  options: {
    before: { type: 'string', default: '.' },
    after: { type: 'string', default: '.' },
    kind: { type: 'string', default: 'echo' },
    'in-flight': { type: 'string', default: '1,64' },
    repetitions: { type: 'string', default: '6' },
    seconds: { type: 'string', default: '3' },
    old: { type: 'boolean', default: false },
    'after-env': { type: 'string', multiple: true, default: [] },
    'before-reply-qos': { type: 'string', default: '0' },
    'after-reply-qos': { type: 'string', default: '0' },
  },
});
const plan = readOptions(['--quick', '--repetitions', values.repetitions], '');
const kind = values.kind as CallKind;
const replyQos = { before: qosOf(values['before-reply-qos']), after: qosOf(values['after-reply-qos']) };
const sides: { name: string; bench: Bench; make: (inFlight: number) => Contestant[] }[] = [];
try {
  for (const name of ['before', 'after'] as const) {
    const env = name === 'after' ? values['after-env'].map((pair) => pair.split(/=(.*)/s, 2)) : [];
    const bench = await Bench.start(
      plan,
      Object.fromEntries(env) as Record<string, string>,
      resolve(values[name]),
    );
    const { devices, worker } = await bench.devices('compare', 100, {
      style: values.old ? 'old' : 'protocol2',
      replyQos: replyQos[name],
    });
    const flat = kind === 'flat-rtc' ? await bench.account.flatLogIn() : undefined;
    const make = (inFlight: number): Contestant[] => {
      const chosen = inFlight === 1 ? devices.slice(0, 1) : devices;
      const load = {
        devices: chosen,
        deviceWorker: worker,
        inFlight,
        durationMs: Number(values.seconds) * 1000,
      };
      const base = raw(bench, load);
      return [
        { ...base, name: `${base.name}, ${name}` },
        postern(bench, load, { kind, label: name, ...(flat && { flat }) }),
      ];
    };
    sides.push({ name, bench, make });
  }
  for (const inFlight of values['in-flight'].split(',').map(Number)) {
    const measured = await interleave(
      sides.flatMap(({ make }) => make(inFlight)),
      { repetitions: plan.repetitions, say },
    );
    const [rawBefore, before, rawAfter, after] = measured as [
      Measurement,
      Measurement,
      Measurement,
      Measurement,
    ];
    say('');
    for (const { name, perSecond, p50, p99, cpuPer1000, memoryMb } of measured)
      say(
        `${name.padEnd(46)} ${text(perSecond)}/s, p50 ${text(p50)}, p99 ${text(p99)} ms, ` +
          `gateway ${cpuPer1000['gateway']?.toFixed(3)} s/1,000, broker ${cpuPer1000['broker']?.toFixed(3)}, ${memoryMb['gateway']} MB`,
      );
    const show = (title: string, above: Measurement, below: Measurement): void => {
      const of = (pick: (run: LoadReport) => number): string =>
        text(spread(above.runs.map((run, index) => pick(run) / pick(below.runs[index]!))));
      say(
        `${title.padEnd(24)} calls/s ${of((run) => run.perSecond)}, p50 ${of((run) => run.latency.p50)}, p99 ${of((run) => run.latency.p99)}`,
      );
    };
    show('before / its raw limit', before, rawBefore);
    show('after / its raw limit', after, rawAfter);
    show('after / before', after, before);
    show('raw, after / before', rawAfter, rawBefore);
    say(
      `gateway CPU, after / before: ${(after.cpuPer1000['gateway']! / before.cpuPer1000['gateway']!).toFixed(3)}\n`,
    );
  }
} finally {
  for (const { bench } of sides) await bench.stop();
}

function qosOf(text: string): 0 | 1 {
  if (text !== '0' && text !== '1') throw new Error(`a reply QoS of ${text}: it must be 0 or 1`);
  return text === '0' ? 0 : 1;
}

function text({ median, min, max }: Spread): string {
  const digits = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(2));
  return `${digits(median)} (${digits(min)}-${digits(max)})`;
}
