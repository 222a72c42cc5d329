import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from '../../../e2e/support/stack.js';

export interface Result {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** The `postern` command as a user has it, with credentials in a folder of the test's. */
export class Postern {
  constructor(
    private readonly configDir: string,
    private readonly cwd: string,
  ) {}

  run(args: readonly string[], input = ''): Promise<Result> {
    return new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [join(ROOT, 'client-cli/bin/postern.js'), ...args], {
        cwd: this.cwd,
        env: { ...process.env, POSTERN_CONFIG_DIR: this.configDir },
      });
      let stdout = '';
      let stderr = '';
      child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
      child.on('error', reject);
      child.on('close', (code) => resolve({ code, stdout, stderr }));
      child.stdin.end(input);
    });
  }

  /** Runs a command that must succeed; what it printed as JSON. */
  async json(
    args: readonly string[],
    input = '',
  ): Promise<any> /* eslint-disable-line @typescript-eslint/no-explicit-any -- a test reads whatever came */ {
    const { code, stdout, stderr } = await this.run([...args, '--json'], input);
    if (code !== 0) throw new Error(`postern ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
    return stdout.trim() === '' ? undefined : JSON.parse(stdout);
  }
}
