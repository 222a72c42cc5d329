import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** Where a node keeps what, all below one folder that only its user can enter. */
export interface DataFolder {
  readonly root: string;
  /** HOME of the node: its Erlang cookie. */
  readonly home: string;
  readonly config: string;
  /** Mnesia or Khepri: durable queues, sessions, vhosts. */
  readonly database: string;
  readonly log: string;
  readonly run: string;
  /** Stays empty; a rooted installation mounts its userland here, in a namespace of its own. */
  readonly mount: string;
  readonly brokerLog: string;
  /** What the node wrote to stdout and stderr; small, made anew at each start. */
  readonly outputLog: string;
  readonly runRecord: string;
}

/** Makes the folders (0700). @throws the file system's own error when that cannot be done. */
export function prepareDataFolder(root: string): DataFolder {
  const folder: DataFolder = {
    root,
    home: join(root, 'home'),
    config: join(root, 'config'),
    database: join(root, 'database'),
    log: join(root, 'log'),
    run: join(root, 'run'),
    mount: join(root, 'run', 'root'),
    brokerLog: join(root, 'log', 'broker.log'),
    outputLog: join(root, 'log', 'output.log'),
    runRecord: join(root, 'run', 'node.json'),
  };
  for (const path of [
    root,
    folder.home,
    folder.config,
    folder.database,
    folder.log,
    folder.run,
    folder.mount,
  ]) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  }
  chmodSync(root, 0o700);
  // RabbitMQ reads conf.d of the system unless it is given another folder: this one stays empty.
  mkdirSync(join(folder.config, 'none.d'), { recursive: true, mode: 0o700 });
  return folder;
}

/** Writes a file so that it is there whole or not at all: tmp, fsync, rename. 0600. */
export function writeDurably(file: string, text: string): void {
  const temporary = `${file}.${randomBytes(4).toString('hex')}.tmp`;
  const fd = openSync(temporary, 'wx', 0o600);
  try {
    writeSync(fd, text);
    fsyncSync(fd);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
  renameSync(temporary, file);
}

const processSchema = z.object({ pid: z.int().min(2), started: z.string() });

/** Who runs in a data folder, so that the next launcher can tell a node that was left behind from one in use. */
const runRecordSchema = z.object({
  launcher: processSchema,
  /** Argument of the node's command line that no other process has. */
  token: z.string().min(16),
  epmdPort: z.int(),
  node: processSchema.nullable(),
  epmd: processSchema.nullable(),
});
export type RunRecord = z.infer<typeof runRecordSchema>;

export function readRunRecord(file: string): RunRecord | null {
  if (!existsSync(file)) return null;
  try {
    return runRecordSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new Error(
      `${file} is damaged. If no broker of this data folder runs any more, remove the file and start again.`,
      { cause: error },
    );
  }
}

export function writeRunRecord(file: string, record: RunRecord): void {
  writeDurably(file, `${JSON.stringify(record, null, 2)}\n`);
}
