import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Bench, say, type Found } from '../bench.js';
import { interleave } from '../measure.js';
import type { Plan } from '../options.js';
import type { Measurement } from '../results.js';
import { ROOT } from '../stack.js';
import { FEW_IN_FLIGHT, postern } from '../subjects.js';
import { Worker } from '../worker.js';
import type { Fill } from '../workers/fill-registry.js';

/** The test server keeps its documents in an embedded SQL database: more would measure that. */
const MOST_IN_TEST_SERVER = 10_000;
const MONGO_START_MS = 120_000;

/** Calls, and look-ups that no cache serves, in a registry of more and more devices. */
export async function registry(plan: Plan, found: Found): Promise<void> {
  await curve('SQLite', plan, found, plan.growth.registry, {});
  const mongo = await mongoServer().catch((error: Error) => {
    found.skipped.push({ what: 'registry size in MongoDB', why: error.message.split('\n')[0]! });
    say(`MongoDB: not measured, ${error.message}`);
    return null;
  });
  if (!mongo) return;
  try {
    const sizes = mongo.process
      ? plan.growth.registry.map((size) => Math.min(size, MOST_IN_TEST_SERVER))
      : plan.growth.registry;
    await curve(mongo.process ? 'mongo-java-server' : 'MongoDB', plan, found, sizes, {
      POSTERN_MONGODB_URL: mongo.url,
    });
  } finally {
    mongo.process?.kill('SIGTERM');
    if (mongo.process && mongo.process.exitCode === null) await once(mongo.process, 'exit');
  }
}

async function curve(
  name: string,
  plan: Plan,
  found: Found,
  sizes: readonly number[],
  env: Record<string, string>,
): Promise<void> {
  say(`\nAs it grows: devices in the registry (${name})`);
  const bench = await Bench.start(plan, env);
  const filler = Worker.start('fill-registry');
  try {
    const { devices, worker } = await bench.devices('registry', 10);
    const load = { devices, deviceWorker: worker, durationMs: plan.growthMs };
    const measured: Measurement[] = [];
    for (const size of sizes) {
      const there = await filler.ask<number>('fill', {
        registry: env['POSTERN_MONGODB_URL'] ?? join(bench.stack.dataDir, 'registry.db'),
        templateId: devices[0]!.id,
        until: size,
      } satisfies Fill);
      await bench.account.logIn();
      measured.push(
        ...(await interleave(
          [
            postern(bench, { ...load, inFlight: FEW_IN_FLIGHT }, { label: `${there} registered` }),
            postern(
              bench,
              { ...load, inFlight: 16 },
              { kind: 'show', label: `${there} registered, GET devices/{name}` },
            ),
          ],
          { repetitions: 1, say },
        )),
      );
    }
    found.growth[`devices in the registry, ${name}`] = measured;
  } finally {
    await filler.stop();
    await bench.stop();
  }
}

/** MONGODB_URL, or the test server. @throws Error that says why there is neither */
async function mongoServer(): Promise<{ url: string; process: ChildProcess | null }> {
  const given = process.env['MONGODB_URL'];
  if (given !== undefined && given !== '') {
    const url = new URL(given);
    url.pathname = `/postern_bench_${process.pid}`;
    return { url: url.href, process: null };
  }
  const child = spawn(join(ROOT, 'scripts/mongo-java-server.sh'), { stdio: ['ignore', 'pipe', 'pipe'] });
  let problem = '';
  child.stderr.on('data', (chunk: Buffer) => (problem += chunk.toString('utf8')));
  const timer = setTimeout(() => child.kill('SIGTERM'), MONGO_START_MS);
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /mongodb:\/\/\S+/.exec(line)?.[0];
    if (url === undefined) continue;
    clearTimeout(timer);
    return { url: `${url.replace(/\/$/, '')}/postern`, process: child };
  }
  clearTimeout(timer);
  throw new Error(problem.trim() || 'the MongoDB test server did not start');
}
