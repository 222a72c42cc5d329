import { readdirSync, readFileSync } from 'node:fs';

/**
 * Carried by every process that a supervisor starts, and handed on to what those start: `<run id> <data folder>`.
 * Unlike a process id in a file it cannot come to mean somebody else's process. Read where there is a /proc.
 */
export const MARK_VARIABLE = 'POSTERN_STACK_MARK';

export interface Marked {
  readonly pid: number;
  readonly runId: string;
  readonly dataDir: string;
}

/** Which process a number stands for: the number alone is used again after a while, its start time is not. */
export function processStart(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc(5): the command's name is in brackets and may hold anything; field 22, the start in ticks, is the
    // twentieth after it. State Z is a process that has ended and was not waited for yet.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? null : `${bootId()}:${fields[19]}`;
  } catch {
    // No such process, or no /proc: then whether it takes signals is all there is to know.
    return hasProc() ? null : takesSignals(pid) ? 'unknown' : null;
  }
}

export function isRunning(pid: number): boolean {
  return processStart(pid) !== null;
}

let boot: string | undefined;
function bootId(): string {
  try {
    boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    boot = '';
  }
  return boot;
}

function hasProc(): boolean {
  try {
    readFileSync('/proc/self/stat');
    return true;
  } catch {
    return false;
  }
}

function takesSignals(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** `node (process 4711)`: the program's name, and none of its arguments, which may hold what is not ours to show. */
export function describeProcess(pid: number): string {
  try {
    return `${readFileSync(`/proc/${pid}/comm`, 'utf8').trim()} (process ${pid})`;
  } catch {
    return `process ${pid}`;
  }
}

/** Process ids, those that may not be looked at included; none where there is no /proc. */
export function processIds(): number[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map(Number);
  } catch {
    return [];
  }
}

/** Processes that some supervisor of this data folder started, this one not counted. */
export function markedProcesses(dataDir: string): Marked[] {
  const found: Marked[] = [];
  for (const pid of processIds()) {
    if (pid === process.pid) continue;
    const mark = readMark(pid);
    if (mark !== null && mark.dataDir === dataDir && isRunning(pid)) found.push({ pid, ...mark });
  }
  return found;
}

function readMark(pid: number): { runId: string; dataDir: string } | null {
  try {
    const entry = readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .find((line) => line.startsWith(`${MARK_VARIABLE}=`));
    const match = /^([0-9a-f]+) (.+)$/s.exec(entry?.slice(MARK_VARIABLE.length + 1) ?? '');
    return match ? { runId: match[1]!, dataDir: match[2]! } : null;
  } catch {
    // Ended meanwhile, or another user's.
    return null;
  }
}
