import { Bench, say, type Found } from '../bench.js';
import { interleave } from '../measure.js';
import type { Plan } from '../options.js';
import { FEW_IN_FLIGHT, postern } from '../subjects.js';

/** Several gateway processes on this machine: new devices, and old ones, which one instance owns. */
export async function instances(plan: Plan, found: Found): Promise<void> {
  const most = Math.max(...plan.growth.instances);
  say(`\nAs it grows: gateway processes (a Postern with ${most})`);
  const bench = await Bench.start(plan, { POSTERN_GATEWAYS: String(most) });
  try {
    const many = await bench.devices('instances', 100);
    const old = await bench.devices('instances-old', 20, { style: 'old' });
    const load = { inFlight: 64, durationMs: plan.growthMs };
    const measured = await interleave(
      plan.growth.instances.flatMap((count) => [
        postern(
          bench,
          { ...load, devices: many.devices, deviceWorker: many.worker },
          { instances: count, label: `${count} gateways` },
        ),
        postern(
          bench,
          { ...load, inFlight: FEW_IN_FLIGHT, devices: old.devices, deviceWorker: old.worker },
          { instances: count, kind: 'rtc', label: `${count} gateways, old devices, PUT rtc` },
        ),
      ]),
      { repetitions: plan.restRepetitions, say },
    );
    found.growth['gateway processes'] = measured;
  } finally {
    await bench.stop();
  }
}
