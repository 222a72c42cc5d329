import { readPrivateFile } from '../key-file.js';
import { UsageError } from './usage-error.js';
import type { CommandIo } from './io.js';

/** From a 0600 file, from standard input (`-`), or asked for twice at a terminal. Never from the arguments. */
export async function newPassword(file: string | undefined, io: CommandIo): Promise<string> {
  if (file === '-') return firstLine(await readAll(io.stdin));
  if (file !== undefined) return firstLine(await readPrivateFile(file, 'The password file'));
  if (!io.stdin.isTTY) {
    throw new UsageError(
      'A password is needed: --password-file <file>, or "-" to read it from standard input.',
    );
  }
  const first = await askHidden('Password for the bundle: ', io);
  if (first !== (await askHidden('Once more: ', io))) throw new UsageError('The two passwords differ.');
  return first;
}

function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0] ?? '';
}

async function readAll(stdin: NodeJS.ReadStream): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of stdin) parts.push(Buffer.from(part as Buffer | string));
  return Buffer.concat(parts).toString('utf8');
}

function askHidden(question: string, io: CommandIo): Promise<string> {
  const { stdin } = io;
  io.err(question);
  return new Promise((resolve, reject) => {
    let typed = '';
    const done = (finish: () => void): void => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      io.err('\n');
      finish();
    };
    const onData = (chunk: Buffer): void => {
      for (const character of chunk.toString('utf8')) {
        if (character === '\r' || character === '\n') return done(() => resolve(typed));
        if (character === '\u0003' || character === '\u0004') {
          return done(() => reject(new UsageError('No password was given.')));
        }
        typed = character === '\u007f' || character === '\b' ? typed.slice(0, -1) : typed + character;
      }
    };
    // Raw: the terminal shows nothing of what is typed.
    stdin.setRawMode(true);
    stdin.resume();
    stdin.on('data', onData);
  });
}
