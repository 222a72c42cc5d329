import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { ended, type Shell } from './cli.js';

const SCRIPT = fileURLToPath(new URL('./dialogue.py', import.meta.url));

export interface Dialogue {
  argv: readonly string[];
  /** When the terminal shows `expect`, `send` is typed. */
  steps: readonly { expect: string; send: string }[];
  env?: Record<string, string>;
}
export interface Shown {
  code: number;
  transcript: string;
  /** What was expected and never shown. */
  unmet: string[];
}

/** Runs a command on a pseudo-terminal. */
export async function onTerminal(shell: Shell, { argv, steps, env = {} }: Dialogue): Promise<Shown> {
  const child = shell.track(spawn('python3', [SCRIPT], { stdio: ['pipe', 'pipe', 'pipe'] }));
  child.stdin.end(
    JSON.stringify({ argv, steps, cwd: shell.home, env: shell.env({ TERM: 'xterm', ...env }), deadline: 20 }),
  );
  const { code, stdout, stderr } = await ended(child);
  if (code !== 0) throw new Error(`dialogue.py failed: ${stderr}`);
  return JSON.parse(stdout) as Shown;
}
