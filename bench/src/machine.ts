import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';

export interface Machine {
  cpu: string;
  cores: number;
  memoryGb: number;
  kernel: string;
  node: string;
  openssl: string;
  broker: string;
  commit: string;
  /** 1, 5 and 15 minutes, before the first measurement: what else ran here. */
  loadBefore: number[];
  loadAfter: number[];
  startedAt: string;
}

export function describeMachine(root: string): Machine {
  const load = loadavg().map((value) => Math.round(value * 100) / 100);
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: coresAllowed(),
    memoryGb: Math.round(totalmem() / 1e8) / 10,
    kernel: release(),
    node: process.versions.node,
    openssl: process.versions.openssl,
    broker: 'none',
    commit: commitOf(root),
    loadBefore: load,
    loadAfter: load,
    startedAt: new Date().toISOString(),
  };
}

/** What this process may use, which in a container is less than what the machine has. */
function coresAllowed(): number {
  try {
    const [quota, period] = readFileSync('/sys/fs/cgroup/cpu.max', 'utf8').trim().split(' ');
    if (quota !== undefined && quota !== 'max') return Number(quota) / Number(period);
  } catch {
    // No such limit here.
  }
  return cpus().length;
}

function commitOf(root: string): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  try {
    const dirty = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' with changes';
    return `${git('rev-parse', '--short', 'HEAD')}${dirty}`;
  } catch {
    return 'unknown';
  }
}
