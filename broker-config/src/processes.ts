import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Whether a signal could be sent to `pid` (or, negative, to its group). */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Sends `signal` to the group that `pid` leads, or to `pid` alone; a process that is gone is no error. */
export function signalGroup(pid: number, signal: NodeJS.Signals): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, signal);
      return;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** What tells a process from a later one with the same number. */
export interface ProcessIdentity {
  /** When it was started, in whatever unit the system has. */
  started: string;
  /** Its arguments, joined by spaces. */
  command: string;
}

/** Null when there is no such process; a zombie, which holds nothing any more, counts as none. */
export async function identify(pid: number): Promise<ProcessIdentity | null> {
  return process.platform === 'linux' ? identifyByProc(pid) : identifyByPs(pid);
}

/** proc(5): in `stat`, what follows the last `)` begins with field 3 (state); field 22 is the start time. */
function identifyByProc(pid: number): ProcessIdentity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return null;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trimEnd();
    return { started: fields[19] ?? '', command };
  } catch {
    return null;
  }
}

function identifyByPs(pid: number): Promise<ProcessIdentity | null> {
  const env = { ...process.env, LC_ALL: 'C' };
  return new Promise((resolve) => {
    execFile('ps', ['-ww', '-o', 'lstart=,stat=,command=', '-p', String(pid)], { env }, (error, stdout) => {
      // "Sat Nov 21 01:57:29 2026 Ss   /usr/bin/erl ..."
      const match = /^(\w+\s+\w+\s+\d+\s+[\d:]+\s+\d+)\s+(\S+)\s+(.*)$/s.exec(stdout.trim());
      if (error || !match || match[2]?.startsWith('Z')) resolve(null);
      else resolve({ started: match[1] ?? '', command: match[3] ?? '' });
    });
  });
}

/** Polls `condition` until it is true or `timeoutMs` are over; says which. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  options: { timeoutMs: number; intervalMs?: number },
): Promise<boolean> {
  const deadline = Date.now() + options.timeoutMs;
  for (;;) {
    if (await condition()) return true;
    if (Date.now() >= deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, options.intervalMs ?? 50));
  }
}
