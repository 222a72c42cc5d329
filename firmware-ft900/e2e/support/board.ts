import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../../../e2e/support/wait.js';

/** firmware-ft900/. */
export const ROOM = fileURLToPath(new URL('../../', import.meta.url));
const FLASH_BYTES = 0x40000;
const CONFIG_AT = 0x3d000;

export type Kind = 'the Linux build' | 'the FT900 image on the simulator';

/** The firmware, running: as a Linux program, or its production ELF on the simulated part. */
export class Board {
  /** What it said, line by line: the log, and all that its pins do. */
  output = '';
  private process: ChildProcess | null = null;

  constructor(
    readonly kind: Kind,
    private readonly folder: string,
    private readonly tap: string,
  ) {}

  private file(name: string): string {
    return join(this.folder, name);
  }

  /** Writes a configuration block to where the flasher would. */
  provision(block: Buffer): void {
    if (this.kind === 'the Linux build') {
      writeFileSync(this.file('config.bin'), block, { mode: 0o600 });
      return;
    }
    if (!existsSync(this.file('flash.bin')))
      writeFileSync(this.file('flash.bin'), Buffer.alloc(FLASH_BYTES, 0xff), { mode: 0o600 });
    const fd = openSync(this.file('flash.bin'), 'r+');
    writeSync(fd, Buffer.concat([block, Buffer.alloc(4096 - block.length, 0xff)]), 0, 4096, CONFIG_AT);
    closeSync(fd);
  }

  start(): void {
    const [command, args, env] =
      this.kind === 'the Linux build'
        ? [
            join(ROOM, 'build/host/postern-host'),
            [this.tap, this.file('config.bin'), this.file('state.bin')],
            {},
          ]
        : [
            process.env['FT900_SIM'] ?? join(ROOM, '.tools/ft900-sim/ft900-sim'),
            [join(ROOM, 'build/ft900/postern-ft900.elf')],
            { FT900_FLASH: this.file('flash.bin'), FT900_TAP: this.tap, FT900_UART0: this.file('uart0') },
          ];
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.process = child;
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (this.output += chunk.toString('utf8')));
  }

  /** What UART0 sent. */
  uart(): Buffer {
    if (this.kind === 'the FT900 image on the simulator') return readFileSync(this.file('uart0'));
    return Buffer.from(
      [...this.output.matchAll(/^uart0 ([0-9a-f]*)$/gm)].map((match) => match[1]!).join(''),
      'hex',
    );
  }

  /** Waits for something that it says, from here on. */
  async says(what: RegExp, since: number, timeoutMs = 60_000): Promise<string> {
    return until(
      `the board says ${what.source}`,
      () => {
        if (this.process?.exitCode !== null) throw new Error(`the board ended:\n${this.output}`);
        return what.exec(this.output.slice(since))?.[0];
      },
      timeoutMs,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}; it said:\n${this.output.slice(-3000)}`);
    });
  }

  async stop(): Promise<void> {
    const child = this.process;
    this.process = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await gone;
    clearTimeout(killer);
  }
}
