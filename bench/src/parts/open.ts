import { say, type Bench, type Found } from '../bench.js';
import { interleave } from '../measure.js';
import { postern, raw } from '../subjects.js';

/** Calls at fixed rates, whatever the answers do: latency as callers see it who do not wait for each other. */
export async function open(bench: Bench, found: Found): Promise<void> {
  const { plan } = bench;
  say('\nAt fixed rates (open loop)');
  const { devices, worker } = await bench.devices('open', 100);
  await bench.account.logIn();
  const contestants = plan.openRates.flatMap((rate) => {
    const load = { devices, deviceWorker: worker, rate, durationMs: plan.openMs };
    return [raw(bench, load), postern(bench, load)];
  });
  const measured = await interleave(contestants, { repetitions: plan.restRepetitions, say });
  found.raw.push(...measured.filter(({ subject }) => subject === 'raw'));
  found.postern.push(...measured.filter(({ subject }) => subject === 'postern'));
  await bench.drop(worker);
}
