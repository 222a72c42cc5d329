import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('./store-process.mjs', import.meta.url));

export interface StoreProcess {
  /** Lines of stdout so far. */
  readonly lines: string[];
  /** Everything it said on stderr so far. */
  stderr(): string;
  kill(): void;
  /** Resolves with the lines when it has ended, however it did. */
  readonly ended: Promise<string[]>;
}

/** Starts store-process.mjs; `under` is put before `node`, such as a shell that sets a limit. */
export function runStoreProcess(
  argv: readonly string[],
  options: { under?: readonly string[]; uid?: number } = {},
): StoreProcess {
  const [command, ...rest] = [...(options.under ?? []), process.execPath, PROGRAM, ...argv];
  const child = spawn(command!, rest, {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(options.uid !== undefined && { uid: options.uid, gid: options.uid }),
  });
  const lines: string[] = [];
  let partial = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (partial + chunk.toString()).split('\n');
    partial = parts.pop() ?? '';
    lines.push(...parts);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const ended = new Promise<string[]>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', () => resolve(lines));
  });
  return { lines, stderr: () => errors, kill: () => child.kill('SIGKILL'), ended };
}
