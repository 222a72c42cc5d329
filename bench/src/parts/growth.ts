import { say, type Bench, type Found } from '../bench.js';
import { interleave, type Contestant } from '../measure.js';
import { FEW_IN_FLIGHT, postern, raw } from '../subjects.js';

/** What becomes of calls per second and latency as one thing grows and the others stay. */
export async function growth(bench: Bench, found: Found): Promise<void> {
  const { plan } = bench;
  const sizes = plan.growth;
  const durationMs = plan.growthMs;
  await bench.account.logIn();
  const { devices, worker } = await bench.devices('growth', Math.max(...sizes.devices));
  const load = (count: number, inFlight: number) => ({
    devices: devices.slice(0, count),
    deviceWorker: worker,
    inFlight,
    durationMs,
  });
  const measure = async (title: string, contestants: Contestant[]): Promise<void> => {
    say(`\nAs it grows: ${title}`);
    await bench.account.logIn();
    found.growth[title] = await interleave(contestants, { repetitions: 1, say });
  };
  await measure(
    'devices',
    sizes.devices.map((count) => postern(bench, load(count, FEW_IN_FLIGHT))),
  );
  await measure(
    'calls in flight',
    sizes.inFlight.flatMap((inFlight) => [
      raw(bench, load(100, inFlight)),
      postern(bench, load(100, inFlight)),
    ]),
  );
  await measure(
    'payload',
    sizes.payload.flatMap((payloadBytes) =>
      [raw, postern].map((make) => {
        const one = make(bench, { ...load(100, 16), payloadBytes });
        return { ...one, name: `${one.name}, ${payloadBytes} bytes` };
      }),
    ),
  );
  await bench.drop(worker);
}
