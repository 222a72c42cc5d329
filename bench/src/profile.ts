import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Bench, say } from './bench.js';
import { interleave } from './measure.js';
import { readOptions } from './options.js';
import { postern } from './subjects.js';
import type { CallKind } from './workers/http.js';

/**
 * Where the gateway's CPU goes: `node bench/dist/profile.js [--kind echo] [--in-flight 64] [--devices 100]
 * [--seconds 8] [--old] [--lines 45]`. Profiles the gateway while it is called, and sums the profile up.
 */

interface Profile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
    children?: number[];
  }[];
  samples: number[];
  timeDeltas: number[];
}

const { values } = parseArgs({
  options: {
    kind: { type: 'string', default: 'echo' },
    'in-flight': { type: 'string', default: '64' },
    devices: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '8' },
    lines: { type: 'string', default: '45' },
    old: { type: 'boolean', default: false },
    keep: { type: 'string' },
  },
});

const dir = values.keep ?? mkdtempSync(join(tmpdir(), 'postern-profile-'));
const plan = readOptions(['--quick'], '');
const preload = new URL('./profile-preload.js', import.meta.url).href;
const bench = await Bench.start(plan, { NODE_OPTIONS: `--import ${preload}`, BENCH_PROFILE_DIR: dir });
try {
  const { devices, worker } = await bench.devices(
    'profile',
    Number(values.devices),
    values.old ? { style: 'old' } : {},
  );
  const load = {
    devices,
    deviceWorker: worker,
    inFlight: Number(values['in-flight']),
    durationMs: Number(values.seconds) * 1000,
  };
  const kind = values.kind as CallKind;
  const flat = kind === 'flat-rtc' ? await bench.account.flatLogIn() : undefined;
  const signal = (): void => bench.facts.gateways.forEach(({ pid }) => process.kill(pid, 'SIGUSR2'));
  const contestant = postern(bench, load, { kind, ...(flat && { flat }) });
  await contestant.run();
  signal();
  const [measured] = await interleave([contestant], { repetitions: 1, say });
  signal();
  while (!readdirSync(dir).some((name) => name.endsWith('.cpuprofile')))
    await new Promise((resolve) => setTimeout(resolve, 200));
  say(
    `CPU seconds for 1,000 calls: ${JSON.stringify(measured!.cpuPer1000)}; memory ${JSON.stringify(measured!.memoryMb)}`,
  );
} finally {
  await bench.stop();
}

const profiles = readdirSync(dir)
  .filter((name) => name.endsWith('.cpuprofile'))
  .map((name) => JSON.parse(readFileSync(join(dir, name), 'utf8')) as Profile);
if (values.keep === undefined) rmSync(dir, { recursive: true });
const busiest = profiles.sort((a, b) => b.samples.length - a.samples.length)[0];
if (!busiest) throw new Error('the gateway wrote no profile');
report(busiest, Number(values.lines));

function report({ nodes, samples, timeDeltas }: Profile, lines: number): void {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const parentOf = new Map(
    nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node.id] as const)),
  );
  const self = new Map<string, number>();
  const total = new Map<string, number>();
  const groups = new Map<string, number>();
  const add = (map: Map<string, number>, key: string, us: number): void =>
    void map.set(key, (map.get(key) ?? 0) + us);
  let busy = 0;
  samples.forEach((id, index) => {
    const us = timeDeltas[index]!;
    const leaf = byId.get(id)!.callFrame;
    if (leaf.functionName === '(idle)') return;
    busy += us;
    add(self, nameOf(leaf), us);
    add(groups, groupOf(leaf.url, leaf.functionName), us);
    const seen = new Set<string>();
    for (let at: number | undefined = id; at !== undefined; at = parentOf.get(at)) {
      const name = nameOf(byId.get(at)!.callFrame);
      if (!seen.has(name)) add(total, name, us);
      seen.add(name);
    }
  });
  const top = (title: string, map: Map<string, number>, count: number): void => {
    say(`\n${title}`);
    for (const [name, us] of [...map].sort((a, b) => b[1] - a[1]).slice(0, count))
      say(`${((us / busy) * 100).toFixed(1).padStart(6)} %  ${name}`);
  };
  say(`\n${(busy / 1e6).toFixed(1)} s of CPU in the profile.`);
  top('By package', groups, 25);
  top('Self', self, lines);
  top('With what it calls', total, lines + 15);
}

function nameOf({ functionName, url, lineNumber }: Profile['nodes'][number]['callFrame']): string {
  const where =
    url === ''
      ? ''
      : ` ${url.replace(/^.*\/(?:node_modules|webserver\/dist|protocol\/dist)\//, '')}:${lineNumber + 1}`;
  return `${functionName === '' ? '(anonymous)' : functionName}${where}`;
}

function groupOf(url: string, functionName: string): string {
  if (url === '') return `native ${functionName}`;
  if (url.startsWith('node:')) return url.replace(/^(node:(?:internal\/)?[^/]*).*$/, '$1');
  return (
    /\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ??
    url.replace(/^.*\/(webserver|protocol)\/dist\//, '$1/')
  );
}
