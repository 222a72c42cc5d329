import { join } from 'node:path';
import { say, type Bench, type Found } from '../bench.js';
import type { LoadReport } from '../load.js';
import { interleave, ratio, type Contestant } from '../measure.js';
import type { Measurement } from '../results.js';
import { FEW_IN_FLIGHT, postern, raw, type Load } from '../subjects.js';
import { Worker } from '../worker.js';
import type { HttpRun } from '../workers/http.js';

/** Devices of the runs with many in flight, as in the goals. */
const MANY = 100;

/** What a call spends outside of the broker's round trip: for so long the raw path sleeps between the calls of Postern. */
const HOP_MS = 0.3;

const byName = (all: readonly Measurement[], start: string): Measurement | undefined =>
  all.find(({ name }) => name.startsWith(start));

/** Raw and Postern side by side: sequentially, and with many in flight. */
export async function core(bench: Bench, found: Found): Promise<void> {
  const { plan } = bench;
  const many = await bench.devices('many', MANY);
  const old = await bench.devices('old', 10, { style: 'old' });
  const flat = await bench.account.flatLogIn();
  const one = { devices: many.devices.slice(0, 1), deviceWorker: many.worker };
  const all = { devices: many.devices, deviceWorker: many.worker };
  const oldOne = { devices: old.devices.slice(0, 1), deviceWorker: old.worker };
  const options = { repetitions: plan.repetitions, say };
  /** No goal is read from these. */
  const rest = (contestants: readonly Contestant[]): Contestant[] =>
    contestants.map((contestant) => ({ ...contestant, repetitions: plan.restRepetitions }));
  const keep = (measured: readonly Measurement[]): void => {
    found.raw.push(...measured.filter(({ subject }) => subject === 'raw'));
    found.postern.push(...measured.filter(({ subject }) => subject === 'postern'));
    found.generator.push(...measured.filter(({ subject }) => subject === 'null-server'));
  };

  say('\nOne call after the other');
  const sequential: Load = { ...one, inFlight: 1, durationMs: plan.sequentialMs };
  const oldSequential: Load = { ...oldOne, inFlight: 1, durationMs: plan.sequentialMs };
  // Thrown away: V8 compiles meanwhile what a gateway that has run for a minute has compiled.
  const warmUp = { ...sequential, durationMs: plan.compileMs };
  for (const contestant of [raw(bench, warmUp), postern(bench, warmUp)]) await contestant.run();
  const one1 = await interleave(
    [
      raw(bench, sequential),
      postern(bench, sequential),
      postern(bench, sequential, { kind: 'rtc', label: 'PUT rtc' }),
      postern(bench, oldSequential, { kind: 'rtc', label: 'old device, PUT rtc' }),
      ...(plan.mode === 'quick'
        ? []
        : rest([
            raw(bench, { ...sequential, pauseMs: HOP_MS }),
            postern(bench, sequential, { kind: 'gpio', label: 'GET gpio' }),
            postern(bench, sequential, { kind: 'flat-rtc', flat, label: 'flat /set_rtc' }),
            postern(bench, oldSequential, { kind: 'flat-rtc', flat, label: 'old device, flat /set_rtc' }),
          ])),
    ],
    options,
  );
  keep(one1);
  const add = (name: string, above: string, below: string, pick: (run: LoadReport) => number): void => {
    const found1 = ratio(name, byName(one1, above), byName(one1, below), pick);
    if (found1) found.ratios.push(found1);
  };
  add('sequential p50, Postern / raw', 'postern, 1 device', 'raw, 1 device', (run) => run.latency.p50);
  add(
    `sequential p50, Postern / raw with ${HOP_MS} ms between its calls`,
    'postern, 1 device',
    `raw, 1 device, 1 in flight, ${HOP_MS} ms`,
    (run) => run.latency.p50,
  );
  add('sequential p99, Postern / raw', 'postern, 1 device', 'raw, 1 device', (run) => run.latency.p99);
  add(
    'sequential p50, old / new device',
    'postern, old device, PUT rtc',
    'postern, PUT rtc',
    (run) => run.latency.p50,
  );
  add(
    'sequential mean, old / new device',
    'postern, old device, PUT rtc',
    'postern, PUT rtc',
    (run) => run.latency.mean,
  );

  say('\nMany in flight');
  const nullServer = await startNullServer(bench);
  try {
    const load = (inFlight: number): Load => ({ ...all, inFlight, durationMs: plan.loadedMs });
    const loads: Contestant[] = [raw(bench, load(64)), postern(bench, load(64))];
    if (plan.mode === 'full') {
      const oldAll: Load = { ...load(FEW_IN_FLIGHT), devices: old.devices, deviceWorker: old.worker };
      loads.push(
        ...rest([
          postern(bench, load(16)),
          raw(bench, load(256)),
          postern(bench, load(256)),
          raw(bench, { ...load(64), ...one }),
          raw(bench, { ...load(256), ...one }),
          postern(bench, { ...load(FEW_IN_FLIGHT), ...one }),
          postern(bench, load(64), { kind: 'gpio', label: 'GET gpio' }),
          postern(bench, oldAll, { kind: 'rtc', label: 'old devices, PUT rtc' }),
        ]),
      );
    }
    loads.push(...rest([nullServer.contestant]));
    const measured = await interleave(loads, options);
    keep(measured);
    const at64 = (subject: string) =>
      measured.find(({ name }) => name === `${subject}, ${MANY} devices, 64 in flight`);
    const throughput = ratio(
      'calls/s, 64 in flight over 100 devices, Postern / raw',
      at64('postern'),
      at64('raw'),
      (run) => run.perSecond,
    );
    if (throughput) found.ratios.push(throughput);
  } finally {
    await nullServer.stop();
  }
  await bench.drop(old.worker);
  await bench.drop(many.worker);
}

async function startNullServer(bench: Bench): Promise<{ contestant: Contestant; stop: () => Promise<void> }> {
  const { plan, facts } = bench;
  const worker = Worker.start('null-server');
  const url = await worker.ask<string>('listen', {
    certFile: join(bench.stack.dataDir, 'tls', 'https.pem'),
    keyFile: join(bench.stack.dataDir, 'tls', 'https.key.pem'),
  });
  const contestant: Contestant = {
    name: 'null server, 64 in flight',
    subject: 'null-server',
    devices: 0,
    inFlight: 64,
    payloadBytes: plan.payloadBytes,
    groups: () => ({ server: [worker.pid], generator: [bench.http.pid] }),
    run: () =>
      bench.http.ask<LoadReport>('run', {
        target: { urls: [url], caFile: facts.caFile },
        kind: 'peer',
        devices: ['none'],
        payloadBytes: plan.payloadBytes,
        closed: { inFlight: 64, warmupMs: plan.warmupMs, durationMs: plan.loadedMs },
      } satisfies HttpRun),
  };
  return { contestant, stop: () => worker.stop() };
}
