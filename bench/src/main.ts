import { loadavg } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { allMeasurements, Bench, nothingFound, say, type Found } from './bench.js';
import { goals } from './goals.js';
import { describeMachine } from './machine.js';
import { readOptions, USAGE, type Part, type Plan } from './options.js';
import { connects } from './parts/connects.js';
import { core } from './parts/core.js';
import { fleet } from './parts/fleet.js';
import { growth } from './parts/growth.js';
import { instances } from './parts/instances.js';
import { open } from './parts/open.js';
import { peers } from './parts/peers.js';
import { registration } from './parts/registration.js';
import { registry } from './parts/registry.js';
import { writeReports } from './report/write.js';
import { resultsSchema, type Results } from './results.js';
import { ROOT } from './stack.js';

/** 0 all calls came home, 1 some were lost or crossed (or it failed), 2 wrong options. */
const EXIT = { ok: 0, trouble: 1, usage: 2 } as const;

/** Parts that share one Postern, and those that need one of their own. */
const SHARED: Partial<Record<Part, (bench: Bench, found: Found) => Promise<void>>> = {
  core,
  open,
  peers,
  registration,
  connects,
  growth,
};
const ALONE: Partial<Record<Part, (plan: Plan, found: Found) => Promise<void>>> = {
  instances,
  registry,
  fleet,
};

function planOrExit(): Plan {
  try {
    return readOptions(process.argv.slice(2), join(ROOT, 'bench/results'));
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}\n`);
    process.exit(EXIT.usage);
  }
}

const plan = planOrExit();
const startedAt = performance.now();
const end = (signal: string): void => {
  say(`\n${signal}: ending what runs.`);
  const all = [...Bench.running].map((bench) => bench.stop());
  void Promise.allSettled(all).finally(() => process.exit(EXIT.trouble));
};
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => end(signal));

const found = nothingFound();
const machine = describeMachine(ROOT);
say(
  `Node ${machine.node}, ${machine.cores} cores (${machine.cpu}), load average ${machine.loadBefore.join(' ')}`,
);
const shared = plan.parts.filter((part) => SHARED[part]);
if (shared.length > 0) {
  say('Starting Postern (broker, gateway) in a temporary folder.');
  const bench = await Bench.start(plan);
  try {
    say(`RabbitMQ ${bench.facts.broker.version}`);
    for (const part of shared) await SHARED[part]!(bench, found);
  } finally {
    await bench.stop();
  }
}
for (const part of plan.parts) await ALONE[part]?.(plan, found);
machine.broker = [...Bench.brokers].join(' and ');
machine.loadAfter = loadavg().map((value) => Math.round(value * 100) / 100);

const measurements = allMeasurements(found);
const fleets = found.fleet.map(({ run }) => run);
const lost = [...measurements, ...fleets].reduce((sum, one) => sum + one.lost, 0);
const crossed = [...measurements, ...fleets].reduce((sum, one) => sum + one.crossed, 0);
const results: Results = resultsSchema.parse({
  version: 1,
  mode: plan.mode,
  parts: [...plan.parts],
  machine,
  seconds: Math.round((performance.now() - startedAt) / 1000),
  ...found,
  goals: goals(found, lost, crossed),
  lost,
  crossed,
});
const tables = writeReports(results, z.toJSONSchema(resultsSchema), plan.resultsDir);
say(`\n${tables}`);
say(`Lost ${lost}, crossed ${crossed}; ${results.seconds} s.`);
process.exitCode = lost === 0 && crossed === 0 ? EXIT.ok : EXIT.trouble;
