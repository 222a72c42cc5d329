import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { StackError } from './errors.js';
import { processStart } from './process-table.js';

const holderSchema = z.object({ pid: z.int().positive(), start: z.string() });

/** One supervisor for each data folder. */
export interface DataFolderLock {
  release(): void;
}

/**
 * Takes the lock, also over from a supervisor that is no more.
 * @throws StackError `LOCKED` while another supervisor that lives holds it
 */
export function takeLock(dataDir: string): DataFolderLock {
  const path = join(dataDir, 'supervisor.lock');
  const content = JSON.stringify({ pid: process.pid, start: processStart(process.pid) ?? 'unknown' });
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeFileSync(draft, content, { mode: 0o600 });
  try {
    // link(2) makes the lock at once with its content, and fails where there is one: nobody sees half a lock.
    while (!tryLink(draft, path)) {
      const held = readIfThere(path);
      if (held === null) continue;
      const pid = livingHolder(held);
      if (pid !== null)
        throw new StackError(
          'LOCKED',
          `Postern runs already with the data folder ${dataDir} (process ${pid}). ` +
            'Stop that one, or choose another folder with POSTERN_DATA_DIR (and other ports).',
        );
      removeStale(path, held, draft);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  return {
    release: () => {
      if (readIfThere(path) === content) rmSync(path, { force: true });
    },
  };
}

/** Of two that found the same stale lock, the second must not remove what the first has put in its place. */
function removeStale(path: string, seen: string, draft: string): void {
  const aside = `${draft}.stale`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readIfThere(aside) !== seen) tryLink(aside, path);
  rmSync(aside, { force: true });
}

function livingHolder(content: string): number | null {
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    // Never written by us like this (see link above): a damaged disk. Nobody can be named who holds it.
    return null;
  }
  const holder = holderSchema.safeParse(value);
  return holder.success && processStart(holder.data.pid) === holder.data.start ? holder.data.pid : null;
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
