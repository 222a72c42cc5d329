import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const POSTERN = fileURLToPath(new URL('../../client-cli/bin/postern.js', import.meta.url));

/** Exit codes of `postern` that mean something here (`postern help exit-codes`). */
export const CLI_EXIT = { done: 0, notLoggedIn: 3, conflict: 9, files: 11 } as const;

export interface CliResult {
  readonly exitCode: number;
  /** What it said about its failure. */
  readonly problem: string;
}

/** The `postern` command, as a user would type it, for one data folder. */
export class Cli {
  readonly #env: NodeJS.ProcessEnv;

  /** The data folder says where its gateway listens, and which CA to trust. */
  constructor(options: { env: NodeJS.ProcessEnv; dataDir: string }) {
    const { POSTERN_HTTPS_PORT: _port, ...env } = options.env;
    this.#env = { ...env, POSTERN_DATA_DIR: options.dataDir };
  }

  /** @param input for its standard input, where passwords go */
  run(args: readonly string[], input = ''): Promise<CliResult> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [POSTERN, ...args], {
        env: this.#env,
        stdio: ['pipe', 'ignore', 'pipe'],
        detached: true,
      });
      let problem = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (problem += text));
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
      child.once('error', reject);
      child.once('close', (code) => resolve({ exitCode: code ?? 1, problem: problem.trim() }));
    });
  }
}
