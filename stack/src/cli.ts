import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const POSTERN = fileURLToPath(new URL('../../client-cli/bin/postern.js', import.meta.url));

/** Exit codes of `postern` that mean something here (`postern help exit-codes`). */
export const CLI_EXIT = { done: 0, notLoggedIn: 3, conflict: 9, files: 11 } as const;

export interface CliResult {
  readonly exitCode: number;
  readonly output: string;
  /** What it said about its failure. */
  readonly problem: string;
}

/** The `postern` command, as a user would type it, for one data folder. */
export class Cli {
  readonly #env: NodeJS.ProcessEnv;
  readonly #dataDir: string;

  /** The data folder says where its gateway listens, and which CA to trust. */
  constructor(options: { env: NodeJS.ProcessEnv; dataDir: string }) {
    const { POSTERN_HTTPS_PORT: _port, POSTERN_DATA_DIR: _folder, ...env } = options.env;
    this.#env = env;
    this.#dataDir = options.dataDir;
  }

  /** For this data folder. @param input for its standard input, where passwords go */
  run(args: readonly string[], input = ''): Promise<CliResult> {
    return this.#spawn({ ...this.#env, POSTERN_DATA_DIR: this.#dataDir }, args, input);
  }

  /** Whether `postern`, where nothing says which gateway is meant, means this one. */
  async isCurrent(): Promise<boolean> {
    const [own, current] = await Promise.all([
      this.run(['whoami', '--json']),
      this.#spawn(this.#env, ['whoami', '--json'], ''),
    ]);
    return own.exitCode === CLI_EXIT.done && own.output === current.output;
  }

  #spawn(env: NodeJS.ProcessEnv, args: readonly string[], input: string): Promise<CliResult> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [POSTERN, ...args], {
        env,
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: true,
      });
      let output = '';
      let problem = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (problem += text));
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
      child.once('error', reject);
      child.once('close', (code) => resolve({ exitCode: code ?? 1, output, problem: problem.trim() }));
    });
  }
}
