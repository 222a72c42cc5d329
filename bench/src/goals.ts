import { allMeasurements, type Found } from './bench.js';
import type { Goal } from './results.js';

/** The goals of this machine's two cores. Printed, never a reason to fail. */
export function goals(found: Found, lost: number, crossed: number): Goal[] {
  const ratioOf = (name: string): number | undefined => found.ratios.find((one) => one.name === name)?.value;
  const atMost = (name: string, limit: number, value: number | undefined, unit = ''): Goal => ({
    name,
    goal: `<= ${limit}${unit}`,
    value: value === undefined ? 'not measured' : `${value}${unit}`,
    met: value === undefined ? null : value <= limit,
  });
  const atLeast = (name: string, limit: number, value: number | undefined, unit = ''): Goal => ({
    name,
    goal: `>= ${limit}${unit}`,
    value: value === undefined ? 'not measured' : `${value}${unit}`,
    met: value === undefined ? null : value >= limit,
  });
  const byRatio = (make: typeof atMost, name: string, limit: number): Goal =>
    make(name, limit, ratioOf(name));
  const fleet = found.fleet.at(-1);
  const made = found.registration.find(({ name }) => name.startsWith('EC P-256 key'));
  const measured = allMeasurements(found).length + found.fleet.length > 0;
  return [
    byRatio(atMost, 'sequential p50, Postern / raw', 2),
    byRatio(atMost, 'sequential p99, Postern / raw', 2),
    byRatio(atLeast, 'calls/s, 64 in flight over 100 devices, Postern / raw', 0.45),
    byRatio(atLeast, 'calls/s, Postern / Node-RED', 3),
    byRatio(atMost, 'p99, Postern / Node-RED', 0.5),
    {
      name: 'lost and crossed calls',
      goal: '0 and 0',
      value: measured ? `${lost} and ${crossed}` : 'not measured',
      met: measured ? lost === 0 && crossed === 0 : null,
    },
    atMost(
      `fleet of 5,000 at 500 calls/s${fleet ? ` (${fleet.devices} devices, ${fleet.minutes} min)` : ''}: p99`,
      50,
      fleet?.run.latency.p99,
      ' ms',
    ),
    byRatio(atMost, 'sequential p50, old / new device', 1.2),
    atLeast('registrations with EC keys made by the gateway', 300, made?.perSecond, '/s'),
    atMost(`gateway memory, ${fleet?.devices ?? '5,000'} devices idle`, 150, fleet?.gatewayIdleMb, ' MB'),
  ];
}
