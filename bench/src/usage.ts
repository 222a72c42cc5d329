import { readFileSync, readdirSync } from 'node:fs';

/** USER_HZ of Linux, which is 100 wherever Node.js runs. */
const TICKS_PER_SECOND = 100;

interface ProcessStat {
  parent: number;
  seconds: number;
}

/** proc(5), `/proc/<pid>/stat`; null where the process is gone. */
function readStat(pid: number): ProcessStat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // utime, stime, and those of children that have ended.
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
    return { parent: Number(fields[1]), seconds: ticks / TICKS_PER_SECOND };
  } catch {
    return null;
  }
}

/** `pids` and all of their descendants that live. */
function withChildren(pids: readonly number[]): Map<number, ProcessStat> {
  const all = new Map<number, ProcessStat>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(Number(name));
    if (stat) all.set(Number(name), stat);
  }
  const found = new Map<number, ProcessStat>();
  const belongs = (pid: number): boolean => {
    for (let at = pid; at > 1; at = all.get(at)?.parent ?? 0) if (pids.includes(at)) return true;
    return false;
  };
  for (const [pid, stat] of all) if (belongs(pid)) found.set(pid, stat);
  return found;
}

/** CPU seconds that a group of processes has used so far, their children included. */
export function cpuSeconds(pids: readonly number[]): number {
  let seconds = 0;
  for (const stat of withChildren(pids).values()) seconds += stat.seconds;
  return seconds;
}

/** Resident memory of a group of processes, in MB (10^6 bytes). */
export function residentMb(pids: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of withChildren(pids).keys()) {
    try {
      const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      kilobytes += Number(line?.[1] ?? 0);
    } catch {
      // It ended in this moment.
    }
  }
  return Math.round((kilobytes * 1024) / 1e5) / 10;
}
