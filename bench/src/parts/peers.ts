import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { say, type Bench, type Found } from '../bench.js';
import type { LoadReport } from '../load.js';
import { interleave, ratio, type Contestant } from '../measure.js';
import type { Measurement } from '../results.js';
import { payloadMaker } from '../payload.js';
import { allowAnything } from '../peers/broker-rights.js';
import { installNodeRed, NodeRed } from '../peers/node-red.js';
import { commandLoop } from '../peers/one-shot.js';
import { postern } from '../subjects.js';
import type { Worker } from '../worker.js';
import type { HttpRun } from '../workers/http.js';
import type { Registered } from '../account.js';

const DEVICES = 100;
/** One process for each call: enough to see what it takes. */
const ONE_SHOTS = 15;

/** What others do the same job with, on the same broker, against the same devices. */
export async function peers(bench: Bench, found: Found): Promise<void> {
  say('\nPeers');
  await bench.account.logIn();
  const { devices: identities } = await bench.account.register(bench.http, 'peer-identity', 2);
  const { devices, worker } = await bench.devices('peer', DEVICES);
  await allowAnything(
    bench.facts.broker.pid,
    identities.map(({ id }) => id),
  );
  await nodeRed(bench, found, { identity: identities[0]!, devices, worker });
  await mosquittoRr(bench, found, { identity: identities[1]!, devices, worker });
  await bench.drop(worker);
}

interface Cast {
  identity: Registered;
  devices: readonly Registered[];
  worker: Worker;
}

async function nodeRed(bench: Bench, found: Found, { identity, devices, worker }: Cast): Promise<void> {
  const { plan, facts, stack } = bench;
  const name = 'Node-RED: http in, mqtt out, mqtt in, http response';
  let red: NodeRed;
  try {
    installNodeRed(say);
    red = await NodeRed.start({
      dir: stack.dir,
      identity,
      caFile: facts.caFile,
      mqttsPort: facts.ports.mqtts,
      tls: {
        certFile: join(stack.dataDir, 'tls/https.pem'),
        keyFile: join(stack.dataDir, 'tls/https.key.pem'),
      },
    });
  } catch (error) {
    say((error as Error).message);
    found.peers.push({ name, unavailable: (error as Error).message.split('\n')[0]!, measurements: [] });
    return;
  }
  const contestant = (label: string, chosen: readonly Registered[], inFlight: number): Contestant => ({
    name: `node-red, ${label}`,
    subject: 'node-red',
    devices: chosen.length,
    inFlight,
    payloadBytes: plan.payloadBytes,
    groups: () => ({
      gateway: [red.pid],
      broker: [facts.broker.pid],
      devices: [worker.pid],
      generator: [bench.http.pid],
    }),
    run: () =>
      bench.http.ask<LoadReport>('run', {
        target: { urls: [red.url], caFile: facts.caFile },
        kind: 'peer',
        devices: chosen.map(({ id }) => id),
        payloadBytes: plan.payloadBytes,
        closed: { inFlight, warmupMs: plan.warmupMs, durationMs: plan.loadedMs },
      } satisfies HttpRun),
  });
  try {
    const one = devices.slice(0, 1);
    const load = { deviceWorker: worker, durationMs: plan.loadedMs };
    const [redOne, posternOne, redMany, posternMany] = await interleave(
      [
        contestant('1 device, 1 in flight', one, 1),
        postern(bench, { ...load, devices: one, inFlight: 1 }, { label: 'beside it' }),
        contestant(`${DEVICES} devices, 64 in flight`, devices, 64),
        postern(bench, { ...load, devices, inFlight: 64 }, { label: 'beside it' }),
      ],
      { repetitions: plan.restRepetitions, say },
    );
    found.peers.push({
      name,
      unavailable: null,
      measurements: [redOne!, posternOne!, redMany!, posternMany!],
    });
    const add = (
      title: string,
      above: Measurement,
      below: Measurement,
      pick: (run: LoadReport) => number,
    ): void => {
      const one1 = ratio(title, above, below, pick);
      if (one1) found.ratios.push(one1);
    };
    add('calls/s, Postern / Node-RED', posternMany!, redMany!, (run) => run.perSecond);
    add('p99, Postern / Node-RED', posternMany!, redMany!, (run) => run.latency.p99);
    add('sequential p50, Postern / Node-RED', posternOne!, redOne!, (run) => run.latency.p50);
  } finally {
    await red.stop();
  }
}

/** mosquitto_rr makes one request a process; so here does curl, against Postern. Both pay for a new TLS connection. */
async function mosquittoRr(bench: Bench, found: Found, { identity, devices, worker }: Cast): Promise<void> {
  const { plan, facts, stack } = bench;
  const name = 'mosquitto_rr and curl: a process and a connection for each call';
  try {
    execFileSync('mosquitto_rr', ['--version'], { stdio: 'ignore' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      found.peers.push({
        name,
        unavailable: 'mosquitto_rr is not installed (Debian: mosquitto-clients)',
        measurements: [],
      });
      return;
    }
  }
  const make = payloadMaker(plan.payloadBytes);
  let counter = 0;
  const device = devices[0]!;
  const tls = ['--cafile', facts.caFile, '--cert', identity.certFile, '--key', identity.keyFile];
  const where = ['-h', 'localhost', '-p', String(facts.ports.mqtts), '-V', 'mqttv311', '-i', identity.id];
  // Not in argv: tokens are secret, as a rule of the house.
  const curlConfig = join(stack.dir, 'curl.conf');
  writeFileSync(
    curlConfig,
    `header = "Authorization: Bearer ${bench.account.accessToken}"\nheader = "Content-Type: application/json"\ncacert = "${facts.caFile}"\nsilent\n`,
    { mode: 0o600 },
  );
  const shape = {
    devices: 1,
    inFlight: 1,
    payloadBytes: plan.payloadBytes,
    groups: () => ({
      gateway: facts.gateways.map(({ pid }) => pid),
      broker: [facts.broker.pid],
      devices: [worker.pid],
    }),
  };
  const measured = await interleave(
    [
      {
        ...shape,
        name: 'mosquitto_rr, one process a call',
        subject: 'mosquitto_rr',
        run: () =>
          commandLoop(ONE_SHOTS, 'mosquitto_rr', () => {
            const body = make(++counter);
            return {
              args: [
                ...where,
                ...tls,
                '-t',
                `${device.id}/peer`,
                '-e',
                `server/${device.id}/peer`,
                '-W',
                '10',
                '-m',
                body,
              ],
              expected: body,
            };
          }),
      },
      {
        ...shape,
        name: 'curl to Postern, one process a call',
        subject: 'curl',
        run: () =>
          commandLoop(ONE_SHOTS, 'curl', () => {
            const body = make(++counter);
            return {
              args: [
                '--config',
                curlConfig,
                '--data-binary',
                body,
                `${facts.url}/api/v1/devices/${device.name}/methods/echo`,
              ],
              expected: body,
            };
          }),
      },
      ...(['full', 'resumed'] as const).map((newConnections) =>
        postern(
          bench,
          { devices: [device], deviceWorker: worker, inFlight: 1, durationMs: plan.loadedMs / 2 },
          { newConnections, label: `a new connection for each call, ${newConnections} handshake` },
        ),
      ),
    ],
    { repetitions: plan.restRepetitions, say },
  );
  found.peers.push({ name, unavailable: null, measurements: measured });
  const compared = ratio(
    'p50, curl to Postern / mosquitto_rr',
    measured[1],
    measured[0],
    (run) => run.latency.p50,
  );
  if (compared) found.ratios.push(compared);
}
