import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { METHODS } from '@postern/protocol';
import type { CallMeter } from './domain/control.js';

/** From what the gateway alone takes to what a slow device takes, in seconds. */
const CALL_BUCKETS = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300,
];
const REQUEST_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30];

/** Handles for what the gateway counts. No label names a user or a device; all label values are from closed sets. */
export interface Metrics extends CallMeter {
  requestStarted(): void;
  /** `route` is the route's pattern. */
  requestFinished(route: string, status: number, seconds: number): void;
  setConnectedDevices(count: number): void;
  brokerReconnected(): void;
  setBrokerUp(up: boolean): void;
  readonly contentType: string;
  /** The text that Prometheus reads. */
  render(): Promise<string>;
  /** For gauges of other parts. */
  readonly registry: Registry;
}

export function createMetrics(options: { processMetrics?: boolean } = {}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  if (options.processMetrics ?? true) collectDefaultMetrics({ register: registry });

  const calls = new Counter({
    name: 'postern_calls_total',
    help: 'Direct method calls by method (those of the wire contract, else "other") and outcome (OK or an error code).',
    labelNames: ['method', 'outcome'],
    registers,
  });
  const callSeconds = new Histogram({
    name: 'postern_call_duration_seconds',
    help: 'Time from the call to its outcome, by method.',
    labelNames: ['method'],
    buckets: CALL_BUCKETS,
    registers,
  });
  const callsInFlight = new Gauge({
    name: 'postern_calls_in_flight',
    help: 'Direct method calls that have no outcome yet.',
    registers,
  });
  const requests = new Counter({
    name: 'postern_http_requests_total',
    help: 'HTTP requests by route and status.',
    labelNames: ['route', 'status'],
    registers,
  });
  const requestSeconds = new Histogram({
    name: 'postern_http_request_duration_seconds',
    help: 'Time from the headers of a request to the end of its answer, the wait for devices included.',
    buckets: REQUEST_BUCKETS,
    registers,
  });
  const requestsInFlight = new Gauge({
    name: 'postern_http_requests_in_flight',
    help: 'HTTP requests that are not answered yet.',
    registers,
  });
  const connectedDevices = new Gauge({
    name: 'postern_connected_devices',
    help: 'Devices that the broker says are connected.',
    registers,
  });
  const brokerReconnects = new Counter({
    name: 'postern_broker_reconnects_total',
    help: 'Times that the connection to the broker was made anew after a loss.',
    registers,
  });
  const brokerUp = new Gauge({
    name: 'postern_broker_up',
    help: '1 while the gateway is connected to the broker.',
    registers,
  });

  // Label look-ups hash their labels each time; these are made once.
  const callChildren = new Map<string, { inc(): void }>();
  const durationChildren = new Map<string, { observe(seconds: number): void }>();
  const requestChildren = new Map<string, { inc(): void }>();
  const memo = <T>(map: Map<string, T>, key: string, make: () => T): T => {
    let value = map.get(key);
    if (value === undefined) map.set(key, (value = make()));
    return value;
  };

  return {
    registry,
    contentType: registry.contentType,
    render: () => registry.metrics(),
    callStarted: () => callsInFlight.inc(),
    callFinished(method, outcome, seconds) {
      const label = METHODS.has(method) ? method : 'other';
      callsInFlight.dec();
      memo(callChildren, `${label} ${outcome}`, () => calls.labels(label, outcome)).inc();
      memo(durationChildren, label, () => callSeconds.labels(label)).observe(seconds);
    },
    requestStarted: () => requestsInFlight.inc(),
    requestFinished(route, status, seconds) {
      requestsInFlight.dec();
      memo(requestChildren, `${route} ${status}`, () => requests.labels(route, String(status))).inc();
      requestSeconds.observe(seconds);
    },
    setConnectedDevices: (count) => connectedDevices.set(count),
    brokerReconnected: () => brokerReconnects.inc(),
    setBrokerUp: (up) => brokerUp.set(up ? 1 : 0),
  };
}
