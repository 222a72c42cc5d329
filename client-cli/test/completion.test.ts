import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LAUNCHER, ended } from './support/cli.js';
import { onTerminal } from './support/pty.js';
import { World } from './support/world.js';

let world: World;
let path: string;
beforeAll(async () => {
  world = await World.make();
  await world.login();
  world.gateway.addDevice('demo', 'lamp');
  world.gateway.addDevice('demo', 'hall lamp');
  world.gateway.addDevice('demo', 'site:one@home');
  const bin = join(world.shell.home, 'bin');
  mkdirSync(bin);
  symlinkSync(LAUNCHER, join(bin, 'postern'));
  path = `${bin}:${process.env['PATH'] ?? ''}`;
});
afterAll(() => world.dispose());

const which = (shell: string): string | null => {
  try {
    return execFileSync('sh', ['-c', `command -v ${shell}`])
      .toString()
      .trim();
  } catch {
    return null;
  }
};

/** Types into a real bash, presses Tab, and answers the command line that results. */
async function tabInBash(typed: string): Promise<string> {
  const { transcript, unmet } = await onTerminal(world.shell, {
    argv: ['/bin/bash', '--norc', '--noprofile', '-i'],
    env: { PATH: path, PS1: 'READY> ', HISTFILE: '/dev/null' },
    steps: [
      {
        expect: 'READY> ',
        send: 'bind "set enable-bracketed-paste off"; bind "set bell-style none"; bind \'"\\C-t": shell-expand-line\'; source <(postern completion bash); echo LOADED-$?\r',
      },
      { expect: 'LOADED-0', send: '' },
      // Ctrl-A puts a word in front that makes bash show its arguments in place of running them.
      { expect: 'READY> ', send: `${typed}\t\u0001printf '<%s>' \u0005; echo; echo DO''NE\r` },
      { expect: 'DONE', send: 'exit\r' },
    ],
  });
  expect(unmet).toEqual([]);
  const shown = [...transcript.matchAll(/^((?:<[^>]*>)+)\r?$/gm)].map((match) => match[1]!);
  return shown.at(-1) ?? `nothing in: ${transcript}`;
}

describe('completion in bash', () => {
  it.each([
    ['a command', 'postern gp', '<postern><gpio>'],
    ['a command below', 'postern device reg', '<postern><device><register>'],
    [
      'behind an option with a value',
      'postern --profile x device rem',
      '<postern><--profile><x><device><remove>',
    ],
    [
      'an option',
      'postern device register lamp --gateway-',
      '<postern><device><register><lamp><--gateway-key>',
    ],
    [
      'the value of an option',
      'postern device register lamp --key-type rs',
      '<postern><device><register><lamp><--key-type><rsa-2048>',
    ],
    ['a device of this user', 'postern gpio get la', '<postern><gpio><get><lamp>'],
    ['a device with a space in its name', 'postern gpio get hal', '<postern><gpio><get><hall lamp>'],
    ['a device with a colon in its name', 'postern gpio get site:o', '<postern><gpio><get><site:one@home>'],
    ['a profile', 'postern profile use localh', /^<postern><profile><use><localhost-\d+-demo>$/],
    ['the value of an argument', 'postern rtc set lamp no', '<postern><rtc><set><lamp><now>'],
  ])('completes %s', async (_what, typed, expected) => {
    const line = await tabInBash(typed);
    if (typeof expected === 'string') expect(line).toBe(expected);
    else expect(line).toMatch(expected);
  });
});

describe.skipIf(which('zsh') === null)('completion in zsh (where it is installed)', () => {
  it.each([
    ['postern gp', 'postern gpio'],
    ['postern device reg', 'postern device register'],
    ['postern gpio get la', 'postern gpio get lamp'],
    ['postern device register x --key-type rs', '--key-type rsa-2048'],
  ])('completes %s', async (typed, expected) => {
    const zsh = which('zsh')!;
    const { transcript, unmet } = await onTerminal(world.shell, {
      argv: [zsh, '-f', '-i'],
      env: { PATH: path, PS1: 'READY> ' },
      steps: [
        {
          expect: 'READY> ',
          send: 'autoload -Uz compinit; compinit -D -u; source <(postern completion zsh); echo LOADED-$?\r',
        },
        { expect: 'LOADED-0', send: '' },
        { expect: 'READY> ', send: `${typed}\t\u0001echo "<\u0005>"; echo DO''NE\r` },
        { expect: 'DONE', send: 'exit\r' },
      ],
    });
    expect(unmet).toEqual([]);
    expect(transcript).toContain(
      `<${expected.startsWith('--') ? `postern device register x ${expected}` : expected}`,
    );
  });
});

describe.skipIf(which('fish') === null)('completion in fish (where it is installed)', () => {
  it.each([
    ['postern gp', 'gpio'],
    ['postern device reg', 'register'],
    ['postern gpio get la', 'lamp'],
    ['postern device register x --key-type rs', 'rsa-2048'],
  ])('completes %s', async (typed, expected) => {
    const script = `postern completion fish | source; complete -C '${typed}'`;
    const { stdout } = await ended(
      world.shell.track(
        spawn(which('fish')!, ['--no-config', '-c', script], { env: world.shell.env({ PATH: path }) }),
      ),
    );
    expect(stdout.split('\n').map((line) => line.split('\t')[0])).toContain(expected);
  });
});

it('refuses a shell that it does not know', async () => {
  const { code, stderr } = await world.shell.run(['completion', 'tcsh']);
  expect(code).toBe(2);
  expect(stderr).toContain('bash, zsh, fish');
});

it('stays silent where devices cannot be listed', async () => {
  const result = await world.shell.run(['complete-words', 'device'], {
    env: { POSTERN_CONFIG_DIR: join(world.shell.home, 'empty') },
  });
  expect(result).toEqual({ code: 0, stdout: '', stderr: '' });
});
