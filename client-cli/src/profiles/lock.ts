import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { CliError } from '../errors.js';

/** Another `postern` has held a profile's lock for longer than anything it does may take. */
export class ProfileBusyError extends CliError {
  readonly code = 'PROFILE_BUSY';
}

/**
 * A lock whose holder cannot be looked up (another machine, an unreadable lock file) counts as left behind
 * after this, in milliseconds. Longer than what is done under the lock: one call to the gateway (20 s).
 */
export const STALE_LOCK_MS = 60_000;
/** How long to wait for a lock, in milliseconds: longer than {@link STALE_LOCK_MS}, so that no stale lock stops anyone. */
export const LOCK_WAIT_MS = 75_000;
const POLL_MS = 25;
/** The guard of the removal of a stale lock lives for three synchronous calls; one older than this was left by a crash. */
const STALE_GUARD_MS = 10_000;

const held = new Set<{ path: string; content: string }>();

/**
 * Runs `work` while no other `postern` process, here or on another machine that shares the folder, holds the
 * lock. A lock whose process is gone is taken over.
 */
export async function withLock<T>(path: string, work: (stillOurs: () => boolean) => Promise<T>): Promise<T> {
  const deadline = Date.now() + LOCK_WAIT_MS;
  const lock = {
    path,
    content: JSON.stringify({ pid: process.pid, host: hostname(), id: randomBytes(8).toString('hex') }),
  };
  while (!tryCreate(path, lock.content)) {
    if (removeIfStale(path)) continue;
    if (Date.now() > deadline)
      throw new ProfileBusyError(
        `Another postern command holds ${path} since more than ${LOCK_WAIT_MS / 1000} s.`,
        {
          hints: ['End that command, or delete the file if none is running.'],
        },
      );
    await delay(POLL_MS + Math.random() * POLL_MS);
  }
  held.add(lock);
  try {
    return await work(() => read(path) === lock.content);
  } finally {
    release(lock);
  }
}

/** For the end of the process: a lock that is left would cost the next command a look at our process id. */
export function releaseHeldLocks(): void {
  for (const lock of held) release(lock);
}

function release(lock: { path: string; content: string }): void {
  held.delete(lock);
  if (read(lock.path) === lock.content) rmSync(lock.path, { force: true });
}

function tryCreate(path: string, content: string): boolean {
  try {
    writeFileSync(path, content, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function removeIfStale(path: string): boolean {
  const seen = read(path);
  if (seen === null) return true;
  if (!isStale(path, seen)) return false;
  // Of two that find the same stale lock, the second must not remove the lock that the first has just made.
  const guard = `${path}.stale`;
  if (!tryCreate(guard, '')) {
    if (ageMs(guard) > STALE_GUARD_MS) rmSync(guard, { force: true });
    return false;
  }
  try {
    if (read(path) === seen) rmSync(path, { force: true });
  } finally {
    rmSync(guard, { force: true });
  }
  return true;
}

function isStale(path: string, content: string): boolean {
  const holder = parse(content);
  if (holder !== null && holder.host === hostname() && !isAlive(holder.pid)) return true;
  return ageMs(path) > STALE_LOCK_MS;
}

function parse(content: string): { pid: number; host: string } | null {
  try {
    const value = JSON.parse(content) as { pid?: unknown; host?: unknown } | null;
    if (typeof value?.pid === 'number' && typeof value.host === 'string')
      return { pid: value.pid, host: value.host };
  } catch {
    // Half written by a process that is still at it, or was killed there: its age decides.
  }
  return null;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function ageMs(path: string): number {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
