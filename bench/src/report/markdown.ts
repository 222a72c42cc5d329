import type { Measurement, Results } from '../results.js';
import type { Spread } from '../stats.js';

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  rows.length === 0
    ? ''
    : [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n') + '\n';

const section = (title: string, body: string): string => (body === '' ? '' : `### ${title}\n\n${body}\n`);

const digits = (value: number): string =>
  value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
/** The median, and what the repetitions ranged over. */
const cell = ({ median, min, max }: Spread): string =>
  min === max ? digits(median) : `${digits(median)} (${digits(min)}-${digits(max)})`;

const LATENCIES = ['p50', 'p90', 'p99', 'p999'] as const;

function calls(measurements: readonly Measurement[]): string {
  return table(
    ['run', 'calls/s', 'p50 ms', 'p90 ms', 'p99 ms', 'p99.9 ms', 'lost', 'crossed'],
    measurements.map((one) => [
      one.name,
      cell(one.perSecond),
      ...LATENCIES.map((name) => cell(one[name])),
      String(one.lost),
      String(one.crossed),
    ]),
  );
}

function cpu(measurements: readonly Measurement[]): string {
  const groups = [...new Set(measurements.flatMap((one) => Object.keys(one.cpuPer1000)))];
  return table(
    [
      'run',
      ...groups.map((group) => `${group} s`),
      'generator, of a core',
      ...groups.map((group) => `${group} MB`),
    ],
    measurements.map((one) => [
      one.name,
      ...groups.map((group) => one.cpuPer1000[group]?.toFixed(3) ?? '-'),
      digits(Math.max(...one.runs.map(({ generatorCpu }) => generatorCpu))),
      ...groups.map((group) => (one.memoryMb[group] ? digits(one.memoryMb[group]) : '-')),
    ]),
  );
}

const verdict = (met: boolean | null): string => (met === null ? '-' : met ? 'yes' : 'no');

/** Everything that was measured, as tables. */
export function markdown(results: Results): string {
  const { machine } = results;
  const measured = [...results.raw, ...results.postern];
  const peers = results.peers.flatMap(({ measurements }) => measurements);
  return [
    `Measured ${machine.startedAt.slice(0, 10)} at ${machine.commit}: ${machine.broker}, Node ${machine.node}, Linux ${machine.kernel}, ` +
      `${machine.cores} cores (${machine.cpu}) for everything, load average ${machine.loadBefore.join(', ')} before and ` +
      `${machine.loadAfter.join(', ')} after. Medians of the repetitions, their range in brackets.\n`,
    section(
      'Goals',
      table(
        ['', 'goal', 'measured', 'met'],
        results.goals.map(({ name, goal, value, met }) => [name, goal, value, verdict(met)]),
      ),
    ),
    section(
      'Ratios',
      table(
        ['', 'median', 'from', 'to'],
        results.ratios.map(({ name, value, spread }) => [
          name,
          digits(value),
          digits(spread.min),
          digits(spread.max),
        ]),
      ),
    ),
    section('One call after the other', calls(measured.filter(({ inFlight }) => inFlight === 1))),
    section('Many in flight', calls(measured.filter(({ inFlight }) => (inFlight ?? 0) > 1))),
    section(
      'At fixed rates (open loop, from the time a call was due)',
      calls(measured.filter(({ load }) => load === 'open')),
    ),
    section('Peers', calls(peers) + unavailable(results)),
    section('The load generator against a server that does nothing', calls(results.generator)),
    section('CPU seconds for 1,000 calls, and memory', cpu([...measured, ...peers, ...results.generator])),
    section(
      'Registration',
      table(
        ['', 'certificates', 'a second', 'failed'],
        results.registration.map((one) => [
          one.name,
          String(one.certificates),
          digits(one.perSecond),
          String(one.failed),
        ]),
      ),
    ),
    section(
      'Connects',
      table(
        [
          '',
          'devices',
          'a second',
          'p50 ms',
          'p99 ms',
          'max ms',
          'retries',
          'gateway MB',
          'kB a device',
          'broker MB',
          'kB a device',
        ],
        results.connects.map((one) => [
          one.name,
          String(one.devices),
          digits(one.perSecond),
          digits(one.p50Ms),
          digits(one.p99Ms),
          digits(one.maxMs),
          String(one.retries),
          digits(one.gatewayMbAfter),
          digits(one.gatewayKbPerDevice),
          digits(one.brokerMbAfter),
          digits(one.brokerKbPerDevice),
        ]),
      ),
    ),
    section(
      'Fleet',
      table(
        [
          'devices',
          'calls/s',
          'minutes',
          'calls',
          'p50 ms',
          'p99 ms',
          'p99.9 ms',
          'max ms',
          'lost',
          'crossed',
          'dropped connections',
          'gateway idle MB',
          'gateway after MB',
          'broker MB',
        ],
        results.fleet.map(({ run, ...fleet }) => [
          String(fleet.devices),
          String(fleet.rate),
          String(fleet.minutes),
          String(run.total),
          digits(run.latency.p50),
          digits(run.latency.p99),
          digits(run.latency.p999),
          digits(run.latency.max),
          String(run.lost),
          String(run.crossed),
          String(fleet.dropped),
          digits(fleet.gatewayIdleMb),
          digits(fleet.gatewayAfterMb),
          digits(fleet.brokerAfterMb),
        ]),
      ),
    ),
    ...Object.entries(results.growth).map(([name, curve]) => section(`Growth: ${name}`, calls(curve))),
    section(
      'Not measured',
      table(
        ['what', 'why'],
        results.skipped.map(({ what, why }) => [what, why]),
      ),
    ),
    `Lost ${results.lost}, crossed ${results.crossed}.\n`,
  ]
    .filter((part) => part !== '')
    .join('\n');
}

const unavailable = (results: Results): string =>
  results.peers
    .filter(({ unavailable: why }) => why !== null)
    .map(({ name, unavailable: why }) => `\n${name}: not measured, ${why}\n`)
    .join('');
