import { say, type Bench, type Found } from '../bench.js';
import { percentile, round } from '../stats.js';
import { residentMb } from '../usage.js';
import type { Registered } from '../account.js';
import type { ConnectReport } from '../workers/devices.js';
import type { Results } from '../results.js';

/** Connects per second, and what a connected device costs in memory. */
export async function connects(bench: Bench, found: Found): Promise<void> {
  const { plan } = bench;
  say('\nConnects');
  await bench.account.logIn();
  const { devices } = await bench.account.register(bench.http, 'connect', plan.connects);
  const { worker, record } = await connectMeasured(
    bench,
    devices,
    `mutual TLS, MQTT 3.1.1, ${devices.length} devices`,
  );
  found.connects.push(record);
  await bench.drop(worker);
}

/** Connects devices and says how fast, and how much memory the gateway and the broker have taken meanwhile. */
export async function connectMeasured(
  bench: Bench,
  devices: readonly Registered[],
  name: string,
): Promise<{ worker: Awaited<ReturnType<Bench['connect']>>['worker']; record: Results['connects'][number] }> {
  const { facts } = bench;
  const gateway = facts.gateways.map(({ pid }) => pid);
  const before = { gateway: residentMb(gateway), broker: residentMb([facts.broker.pid]) };
  const { worker, connects: report } = await bench.connect(devices);
  await settle();
  const after = { gateway: residentMb(gateway), broker: residentMb([facts.broker.pid]) };
  const took = Float64Array.from(report.tookMs).sort();
  const perDevice = (grown: number): number => round((grown * 1000) / devices.length);
  const record: Results['connects'][number] = {
    name,
    devices: devices.length,
    perSecond: round((report as ConnectReport).connected / report.seconds),
    p50Ms: round(percentile(took, 0.5)),
    p99Ms: round(percentile(took, 0.99)),
    maxMs: round(percentile(took, 1)),
    retries: report.retries,
    gatewayMbBefore: before.gateway,
    gatewayMbAfter: after.gateway,
    brokerMbBefore: before.broker,
    brokerMbAfter: after.broker,
    gatewayKbPerDevice: perDevice(after.gateway - before.gateway),
    brokerKbPerDevice: perDevice(after.broker - before.broker),
  };
  say(
    `${name.padEnd(46)} ${record.perSecond.toFixed(0).padStart(7)}/s  p50 ${record.p50Ms} ms, gateway ${after.gateway} MB, broker ${after.broker} MB, ${report.retries} retries`,
  );
  return { worker, record };
}

/** Presence and the garbage of the connects settle. */
const settle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2_000));
