import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** The documents, held against the checkout that they speak of. */

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Of files that git knows or would: what was fetched or built (node_modules, third_party) is not ours to check. */
const listed = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: ROOT,
  encoding: 'utf8',
});
if (listed.status !== 0) throw new Error(`git ls-files failed: ${listed.stderr}`);
const documents = listed.stdout
  .split('\n')
  .filter((name) => name !== '' && existsSync(join(ROOT, name)))
  .map((name) => ({ name, text: readFileSync(join(ROOT, name), 'utf8') }));

/** Without code: what stands there is typed, not linked. */
const prose = (text: string): string =>
  text
    .replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '')
    .replaceAll(/^(?: {4}|\t).*$/gm, '')
    .replaceAll(/`[^`\n]*`/g, '');

/** GitHub's anchor of a heading. */
const anchor = (heading: string): string =>
  heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
const anchorsOf = (text: string): Set<string> =>
  new Set([...text.matchAll(/^#{1,6} (.+)$/gm)].map(([, heading]) => anchor(heading!)));

describe('the documents', () => {
  it('link to files and headings that are there', () => {
    const broken: string[] = [];
    let links = 0;
    for (const { name, text } of documents) {
      for (const [, target] of prose(text).matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)) {
        if (/^[a-z]+:/.test(target!)) continue;
        links += 1;
        const [path = '', fragment] = target!.split('#');
        const file = path === '' ? join(ROOT, name) : join(ROOT, dirname(name), decodeURI(path));
        if (!existsSync(file) || relative(ROOT, file).startsWith('..')) broken.push(`${name}: ${target}`);
        else if (fragment !== undefined && !anchorsOf(readFileSync(file, 'utf8')).has(fragment))
          broken.push(`${name}: ${target} (no such heading)`);
      }
    }
    expect(broken).toEqual([]);
    expect(links).toBeGreaterThan(20);
  });

  it('name make targets that there are', () => {
    const targetsOf = (makefile: string): Set<string> =>
      new Set(
        [...readFileSync(makefile, 'utf8').matchAll(/^([a-z][a-z0-9-]*):/gm)].map(([, target]) => target!),
      );
    const missing: string[] = [];
    let named = 0;
    for (const { name, text } of documents) {
      // A room's document may speak of the room's own Makefile; `make -C room target` of that one.
      const own = join(ROOT, dirname(name), 'Makefile');
      const parent = join(ROOT, dirname(dirname(name)), 'Makefile');
      const known = new Set(
        [join(ROOT, 'Makefile'), own, parent]
          .filter((file) => existsSync(file))
          .flatMap((file) => [...targetsOf(file)]),
      );
      // Typed (`make test`, or a line of a session), not the English word.
      const typed = [
        ...text.matchAll(/`(?:[A-Z_0-9]+=\S+ )*make(?: -C (\S+))? ([a-z][a-z0-9-]*)[^`\n]*`/g),
        ...text.matchAll(/^ {4}(?:\$ )?(?:[A-Z_0-9]+=\S+ )*make(?: -C (\S+))? ([a-z][a-z0-9-]*)\b/gm),
      ];
      for (const [, folder, target] of typed) {
        named += 1;
        const targets = folder === undefined ? known : targetsOf(join(ROOT, folder, 'Makefile'));
        if (!targets.has(target!)) missing.push(`${name}: make ${target}`);
      }
    }
    expect(missing).toEqual([]);
    expect(named).toBeGreaterThan(10);
  });

  it('cite tests that are there', () => {
    const missing: string[] = [];
    let cited = 0;
    for (const { name, text } of documents) {
      for (const [citation, file] of text.matchAll(/`([\w./-]+\.test\.ts)`((?:[:;] "[^"]+")+)/g)) {
        const path = join(ROOT, file!);
        const source = existsSync(path) ? readFileSync(path, 'utf8') : '';
        for (const [, title] of citation.matchAll(/"([^"]+)"/g)) {
          cited += 1;
          if (!["'", '"', '`'].some((quote) => source.includes(`${quote}${title}${quote}`)))
            missing.push(`${name}: ${file} has no "${title}"`);
        }
      }
    }
    expect(missing).toEqual([]);
    expect(cited).toBeGreaterThan(40);
  });

  it('hold the tables of settings that the schemas make', () => {
    const check = spawnSync(process.execPath, ['scripts/config-table.mjs', '--check'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    expect(check.stderr).toBe('');
    expect(check.status).toBe(0);
  });

  it('say what the gateway logs', () => {
    const source = ['webserver/src'].flatMap((folder) => {
      const files = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', folder], {
        cwd: ROOT,
        encoding: 'utf8',
      });
      return files.stdout.split('\n').filter((file) => file.endsWith('.ts'));
    });
    const code = source.map((file) => readFileSync(join(ROOT, file), 'utf8')).join('\n');
    const operations = documents.find(({ name }) => name === 'docs/operations.md')!.text;
    const section = /## What log lines mean\n([\s\S]*?)\n## /.exec(operations)![1]!;
    const messages = [...section.matchAll(/^\| (`[^|]+`) \| (?!level)/gm)].flatMap(([, cell]) =>
      [...cell!.matchAll(/`([^`]+)`/g)].map(([, message]) => message!),
    );
    // Up to what stands for something that varies.
    const beginning = (message: string): string => message.split(/ ?(?:\.\.\.|<)/)[0]!;
    expect(messages.filter((message) => !code.includes(beginning(message)))).toEqual([]);
    expect(messages.length).toBeGreaterThan(15);
  });
});
