import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const SCRIPT = fileURLToPath(new URL('../../../scripts/mongo-java-server.sh', import.meta.url));

export interface MongoServer {
  readonly url: string;
  /** A database name that no other test uses. */
  newDatabase(): string;
  /** Lets its process stand still until `thaw` or `stop`. Not for the server that MONGODB_URL names. */
  freeze(): Promise<void>;
  thaw(): void;
  stop(): Promise<void>;
}

/** `POSTERN_TEST_STORES=sqlite` leaves MongoDB out, for machines without Java; the tests then say that it was. */
export const mongoLeftOut = process.env['POSTERN_TEST_STORES'] === 'sqlite';

const newDatabase = () => `postern_test_${randomBytes(6).toString('hex')}`;

/**
 * The server that MONGODB_URL names, or mongo-java-server on a free port of loopback, over TLS where key and
 * certificate are given. Rejects with the script's own sentence where Java or Maven is missing.
 */
export async function startMongoServer(tls?: {
  keyFile: string;
  certificateFile: string;
}): Promise<MongoServer> {
  const external = process.env['MONGODB_URL'];
  if (external && !tls) {
    const notOurs = () => {
      throw new Error('the server that MONGODB_URL names is not frozen');
    };
    return { url: external, newDatabase, freeze: notOurs, thaw: notOurs, stop: async () => {} };
  }
  const folder = await mkdtemp(join(tmpdir(), 'postern-mongo-'));
  const process_ = spawn(
    SCRIPT,
    ['0', join(folder, 'h2'), ...(tls ? [tls.keyFile, tls.certificateFile] : [])],
    // The pipe ends with this process, however it ends, and the server with the pipe.
    { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, POSTERN_STOP_WITH_STDIN: '1' } },
  );
  try {
    const url = await readyUrl(process_);
    return {
      url,
      newDatabase,
      freeze: () => freeze(process_),
      thaw: () => void process_.kill('SIGCONT'),
      stop: () => stop(process_, folder),
    };
  } catch (error) {
    await stop(process_, folder);
    throw error;
  }
}

async function readyUrl(process_: ChildProcess): Promise<string> {
  let said = '';
  process_.stderr?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const lines = createInterface({ input: process_.stdout! });
  const ready = new Promise<string>((resolve) => {
    lines.on('line', (line) => {
      const url = /is ready: (\S+)/.exec(line)?.[1];
      if (url) resolve(url);
    });
  });
  const ended = once(process_, 'exit').then(([code]) => {
    throw new Error(`mongo-java-server did not start (exit ${String(code)}): ${said.trim()}`);
  });
  return Promise.race([ready, ended]);
}

/** Threads on another processor go on for a while, on a busy machine for tens of ms, and would answer a last call. */
async function freeze(process_: ChildProcess): Promise<void> {
  process_.kill('SIGSTOP');
  await expect.poll(() => threadStates(process_.pid!), { interval: 5, timeout: 10_000 }).toMatch(/^T+$/);
}

/** One letter for each thread (proc(5), third field of stat), or for the process where there is no /proc. */
function threadStates(pid: number): string {
  const tasks = `/proc/${pid}/task`;
  if (!existsSync(tasks)) return execFileSync('ps', ['-o', 'state=', '-p', String(pid)]).toString()[0] ?? '';
  return readdirSync(tasks)
    .map((task) => {
      const stat = readFileSync(join(tasks, task, 'stat'), 'utf8');
      return stat[stat.lastIndexOf(')') + 2];
    })
    .join('');
}

async function stop(process_: ChildProcess, folder: string): Promise<void> {
  if (process_.exitCode === null && process_.signalCode === null) {
    const ended = once(process_, 'exit');
    // Also where a test has stopped it.
    process_.kill('SIGCONT');
    process_.kill('SIGTERM');
    await ended;
  }
  await rm(folder, { recursive: true, force: true });
}
