import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openAuthority, openOrCreateAuthority } from '@postern/certs';
import { CRL_URL, tempFolder } from './support/temp-ca.js';

const SCRIPT = fileURLToPath(new URL('./support/create-once.mjs', import.meta.url));

describe('several processes and crashes', { timeout: 60_000 }, () => {
  let home: string;
  let remove: () => void;
  let dir: string;
  let keyFile: string;
  const children: ChildProcess[] = [];
  beforeEach(() => {
    ({ home, remove } = tempFolder());
    [dir, keyFile] = [join(home, 'ca'), join(home, 'ca.key')];
  });
  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL');
        await once(child, 'exit');
      }
    }
    remove();
  });

  function start(): { child: ChildProcess; output: Promise<string> } {
    const child = spawn(process.execPath, [SCRIPT, dir, keyFile, CRL_URL], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    children.push(child);
    let [out, err] = ['', ''];
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    const output = once(child, 'close').then(([code]) => {
      if (code !== 0 && child.signalCode === null) throw new Error(err);
      return out.replace('started\n', '');
    });
    return { child, output };
  }

  it('four processes at once make one CA, which all of them open', async () => {
    const roots = await Promise.all([start(), start(), start(), start()].map(({ output }) => output));
    expect(roots[0]).toMatch(/BEGIN CERTIFICATE/);
    expect(new Set(roots).size).toBe(1);
    expect(readdirSync(home).sort()).toEqual(['ca', 'ca.key']);
    expect((await openAuthority({ dir, keyFile })).rootCaPem).toBe(roots[0]);
  });

  it('so do eight calls in one process', async () => {
    const options = { dir, keyFile, crlUrl: CRL_URL };
    const all = await Promise.all(Array.from({ length: 8 }, () => openOrCreateAuthority(options)));
    expect(new Set(all.map(({ rootCaPem }) => rootCaPem)).size).toBe(1);
    expect(readdirSync(home).sort()).toEqual(['ca', 'ca.key']);
  });

  // From before the first file until after the last: creation takes about 0.7 s.
  it.each([0, 60, 150, 300, 450, 600, 800])(
    'killed %i ms into it, there is a whole CA or none, and the next start succeeds',
    async (afterMs) => {
      const { child, output } = start();
      await once(child.stdout!, 'data');
      await new Promise((resolve) => setTimeout(resolve, afterMs));
      child.kill('SIGKILL');
      await output;
      const whole = existsSync(dir);
      const before = whole ? (await openAuthority({ dir, keyFile })).rootCaPem : undefined;
      const { rootCaPem } = await openOrCreateAuthority({ dir, keyFile, crlUrl: CRL_URL });
      if (before !== undefined) expect(rootCaPem).toBe(before);
      expect((await openAuthority({ dir, keyFile })).rootCaPem).toBe(rootCaPem);
    },
  );

  it('what a killed creation left is removed by a later one, if it is old and has such a name', async () => {
    const stale = [
      join(home, 'ca.new-0123456789ab'),
      join(home, 'ca.new-ffffffffffff'),
      join(home, 'ca.new-mine'),
    ];
    stale.forEach((path) => mkdirSync(path));
    utimesSync(stale[0]!, 0, 0);
    utimesSync(stale[2]!, 0, 0);
    await openOrCreateAuthority({ dir, keyFile, crlUrl: CRL_URL });
    expect(stale.map((path) => existsSync(path))).toEqual([false, true, true]);
    stale.forEach((path) => rmSync(path, { recursive: true, force: true }));
  });
});
