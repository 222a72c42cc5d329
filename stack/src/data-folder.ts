import {
  chmodSync,
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { StackError, systemReason } from './errors.js';

/** All of the state of one `make run`. */
export interface DataFolder {
  /** Without symbolic links, so that two names of one folder are one. */
  readonly path: string;
  /** False on the first run. */
  readonly existed: boolean;
  at(...parts: string[]): string;
}

/** Folders within the data folder that this room makes; broker and gateway add theirs. */
const FOLDERS = ['tls', 'secrets', 'logs', 'devices', 'demo'] as const;

/** @throws StackError `DATA_FOLDER` for a folder that is not ours, or that cannot be written */
export function openDataFolder(path: string): DataFolder {
  const cannot = (reason: string, cause?: unknown): never => {
    throw new StackError(
      'DATA_FOLDER',
      `The data folder ${path} cannot be used: ${reason}. Choose another with POSTERN_DATA_DIR.`,
      { cause },
    );
  };
  let made: string | undefined;
  try {
    made = mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    cannot(code === 'EEXIST' ? 'there is a file of this name' : systemReason(error), error);
  }
  const stat = statSync(path);
  if (!stat.isDirectory()) cannot('it is not a folder');
  const uid = process.getuid?.();
  // Root could write there. But then its owner could no longer, and could swap the keys of a process of root's.
  if (uid !== undefined && stat.uid !== uid)
    cannot(`it belongs to the user with the id ${stat.uid}, and you are ${userInfo().username}`);
  const real = realpathSync(path);
  const at = (...parts: string[]): string => join(real, ...parts);
  try {
    if ((stat.mode & 0o077) !== 0) chmodSync(real, 0o700);
    const probe = at(`.probe-${process.pid}`);
    writeFileSync(probe, '');
    rmSync(probe);
    for (const folder of FOLDERS) mkdirSync(at(folder), { recursive: true, mode: 0o700 });
  } catch (error) {
    cannot(systemReason(error), error);
  }
  return { path: real, existed: made === undefined, at };
}

/** Writes so that after a crash there is the old content or the new, never a part: tmp, fsync, rename, fsync. */
export function writeDurably(path: string, content: string | Uint8Array): void {
  const draft = `${path}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    writeFileSync(draft, content, { mode: 0o600, flush: true, flag: 'wx' });
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw new StackError('DATA_FOLDER', `Cannot write ${path}: ${systemReason(error)}.`, { cause: error });
  }
  const folder = openSync(dirname(path), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Null where there is no such file. @throws StackError where there is one that cannot be read */
export function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new StackError('DATA_FOLDER', `Cannot read ${path}: ${systemReason(error)}.`, { cause: error });
  }
}
