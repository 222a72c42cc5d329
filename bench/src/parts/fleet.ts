import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Bench, say, type Found } from '../bench.js';
import type { LoadReport } from '../load.js';
import { interleave } from '../measure.js';
import type { Plan } from '../options.js';
import { ROOT } from '../stack.js';
import { postern, raw } from '../subjects.js';
import { residentMb } from '../usage.js';
import type { HttpRun } from '../workers/http.js';
import { connectMeasured } from './connects.js';

/** An access token counts for 15 minutes; a long run gets a new one well before. */
const TOKEN_MS = 5 * 60_000;
/** How long the connected fleet is left alone before its memory is read. */
const IDLE_MS = 10_000;

/** The first calls of a new gateway, which nobody counts: V8 compiles meanwhile. */
const WARMUP_MS = 5_000;

/** Thousands of devices with certificates, held, and calls over all of them at a fixed rate. */
export async function fleet(plan: Plan, found: Found): Promise<void> {
  const { devices: count, rate, minutes } = plan.fleet;
  const home = broker4();
  say(`\nFleet: ${count} devices, ${rate} calls/s for ${minutes} min`);
  if (home === null)
    found.skipped.push({
      what: 'the fleet on RabbitMQ 4',
      why: 'there is none (make broker-4); measured on the broker at hand',
    });
  const bench = await Bench.start(plan, home === null ? {} : { POSTERN_RABBITMQ_HOME: home });
  try {
    say(`RabbitMQ ${bench.facts.broker.version}`);
    const { devices, report } = await bench.account.register(bench.http, 'fleet', count);
    found.registration.push({
      name: `EC P-256 key made by the gateway, fleet of ${count}`,
      certificates: count,
      perSecond: Math.round(report.perSecond * 10) / 10,
      failed: 0,
    });
    say(`Registered ${count} at ${report.perSecond.toFixed(0)}/s.`);
    const gateway = bench.facts.gateways.map(({ pid }) => pid);
    const { worker, record } = await connectMeasured(
      bench,
      devices,
      `fleet of ${count} on RabbitMQ ${bench.facts.broker.version}`,
    );
    found.connects.push(record);
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    const gatewayIdleMb = residentMb(gateway);
    await bench.account.logIn();
    const renew = setInterval(() => {
      bench.account
        .logIn()
        .then((accessToken) => bench.http.ask('token', { accessToken }))
        .catch((error: unknown) => say(`The access token could not be renewed: ${String(error)}`));
    }, TOKEN_MS);
    const run = await bench.http
      .ask<LoadReport>('run', {
        target: bench.target(),
        kind: 'echo',
        devices: devices.map(({ name }) => name),
        payloadBytes: plan.payloadBytes,
        accessToken: bench.account.accessToken,
        open: { rate, warmupMs: WARMUP_MS, durationMs: minutes * 60_000 },
      } satisfies HttpRun)
      .finally(() => clearInterval(renew));
    const { connected, dropped } = await worker.ask<{ connected: number; dropped: number }>('status');
    found.fleet.push({
      devices: count,
      rate,
      minutes,
      stillConnected: connected,
      dropped,
      gatewayIdleMb,
      gatewayAfterMb: residentMb(gateway),
      brokerAfterMb: residentMb([bench.facts.broker.pid]),
      run,
    });
    await bench.account.logIn();
    const load = { deviceWorker: worker, inFlight: 64, durationMs: plan.growthMs };
    found.growth[`devices of the fleet, RabbitMQ ${bench.facts.broker.version}`] = await interleave(
      [...[100, 1_000].filter((some) => some < count), count].flatMap((some) => {
        const chosen = { ...load, devices: devices.slice(0, some) };
        return [raw(bench, chosen), postern(bench, chosen)];
      }),
      { repetitions: 1, say },
    );
    say(
      `${run.total} calls: p50 ${run.latency.p50} p99 ${run.latency.p99} p99.9 ${run.latency.p999} max ${run.latency.max} ms, lost ${run.lost}, crossed ${run.crossed} ${JSON.stringify(run.failures)}; ` +
        `gateway ${gatewayIdleMb} MB idle, ${connected} still connected, ${dropped} connections dropped`,
    );
  } finally {
    await bench.stop();
  }
}

/** RabbitMQ 4, where it is on this machine. */
function broker4(): string | null {
  const named = process.env['POSTERN_RABBITMQ_HOME_4'] ?? process.env['POSTERN_RABBITMQ_HOME'];
  if (named !== undefined && named !== '') return named;
  const own = join(ROOT, '.broker-4');
  return existsSync(own) ? own : null;
}
