import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT_CODES } from '@postern/cli';
import { execFileSync } from 'node:child_process';
import { afterAll, describe, expect, it } from 'vitest';
import { LAUNCHER, Shell } from './support/cli.js';

const shell = new Shell();
afterAll(() => shell.dispose());
const room = fileURLToPath(new URL('..', import.meta.url));

describe('help', () => {
  it('lists the exit codes as the README does', async () => {
    const readme = readFileSync(join(room, 'README.md'), 'utf8').replace(/ +/g, ' ');
    const { stdout } = await shell.run(['help', 'exit-codes']);
    for (const [code, text] of Object.entries(EXIT_CODES)) {
      expect(stdout).toContain(`${code.padStart(3)}  ${text}\n`);
      expect(readme).toContain(`| ${code} | ${text.replaceAll('|', '\\|')} |`);
    }
    expect(readme.match(/^\| \d+ +\|/gm)).toHaveLength(Object.keys(EXIT_CODES).length);
  });

  it('tells of a command with all its options, and the README tells of every command', async () => {
    const { code, stdout } = await shell.run(['help', 'device', 'register']);
    expect(code).toBe(0);
    for (const text of ['--out', '--csr', '--gateway-key', '--profile', '--json'])
      expect(stdout).toContain(text);
    const readme = readFileSync(join(room, 'README.md'), 'utf8').replace(/ +/g, ' ');
    const script = (await shell.run(['completion', 'bash'])).stdout;
    const commands = [...script.matchAll(/^ {4}'((?:[a-z]+ )?[a-z]+):0'\)/gm)].map((match) => match[1]!);
    expect(commands.length).toBeGreaterThan(20);
    for (const command of commands.filter((name) => name !== 'help')) expect(readme).toContain(command);
  });

  it('comes with exit code 2 where a command is missing', async () => {
    const { code, stdout, stderr } = await shell.run(['device']);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain('Usage: postern device');
    expect(stderr).not.toContain('A fault');
  });
});

it('says so where it is not built', () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-unbuilt-'));
  try {
    cpSync(LAUNCHER, join(folder, 'bin', 'postern.mjs'));
    const run = (): string =>
      execFileSync(process.execPath, [join(folder, 'bin', 'postern.mjs')], {
        encoding: 'utf8',
        stdio: 'pipe',
      });
    expect(run).toThrow(/not built yet.*tsc -b/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
