import { StringDecoder } from 'node:string_decoder';
import { InterruptedError, UsageError } from './errors.js';
import type { Input, Io } from './io.js';

/** What can be read from stdin in place of a prompt or an argument, in bytes. */
export const MAX_STDIN_BYTES = 64 * 1024;

export const isInteractive = (io: Pick<Io, 'stdin'>): boolean => io.stdin.isTTY === true;

/** Asks on the terminal (stderr, since stdout is for results). Rejects with {@link InterruptedError} on Ctrl-C and Ctrl-D. */
export async function prompt(
  io: Pick<Io, 'stdin' | 'stderr'>,
  question: string,
  options: { hidden: boolean },
): Promise<string> {
  const { stdin, stderr } = io;
  stdin.ref?.();
  stdin.setRawMode?.(true);
  try {
    stderr.write(question);
    return await readEdited(io, options.hidden);
  } finally {
    stdin.setRawMode?.(false);
    stdin.pause();
    stdin.unref?.();
    stderr.write('\n');
  }
}

/** What came with a line and belongs to the next prompt. */
const typedAhead = new WeakMap<Input, string>();

/**
 * One line of a terminal in raw mode. Raw also where the line is shown: one reader for both means that what was
 * typed ahead (name, Enter, password) is in no buffer that the next prompt does not see.
 */
function readEdited({ stdin, stderr }: Pick<Io, 'stdin' | 'stderr'>, hidden: boolean): Promise<string> {
  return new Promise((resolve, reject) => {
    const decoder = new StringDecoder('utf8');
    let line = '';
    const settle = (act: () => void): void => {
      stdin.off('data', onData);
      stdin.off('end', onEnd);
      stdin.off('error', onError);
      act();
    };
    const interrupted = (): void => settle(() => reject(new InterruptedError('Interrupted.')));
    const onEnd = interrupted;
    const onError = (error: Error): void => settle(() => reject(error));
    const onData = (data: Buffer): void => {
      const text = decoder.write(data);
      let done = 0;
      for (const key of text) {
        done += key.length;
        if (key === '\r' || key === '\n') {
          const ahead = text.slice(done);
          return settle(() => {
            typedAhead.set(stdin, ahead);
            resolve(line);
          });
        }
        if (key === '\u0003') return interrupted();
        if (key === '\u0004') {
          if (line === '') return interrupted();
        } else if (key === '\u007f' || key === '\b') {
          if (line !== '' && !hidden) stderr.write('\b \b');
          line = [...line].slice(0, -1).join('');
        } else if (key === '\u0015') {
          if (!hidden) stderr.write('\b \b'.repeat([...line].length));
          line = '';
        } else if (key >= ' ') {
          line += key;
          if (!hidden) stderr.write(key);
        }
      }
    };
    stdin.on('data', onData);
    stdin.on('end', onEnd);
    stdin.on('error', onError);
    const ahead = typedAhead.get(stdin) ?? '';
    typedAhead.delete(stdin);
    if (ahead !== '') onData(Buffer.from(ahead, 'utf8'));
    stdin.resume();
  });
}

/** Yes only for y or yes. */
export async function confirm(io: Pick<Io, 'stdin' | 'stderr'>, question: string): Promise<boolean> {
  return /^y(es)?$/i.test((await prompt(io, `${question} [y/N] `, { hidden: false })).trim());
}

/** All of stdin. */
export async function readStdin(io: Pick<Io, 'stdin'>, limit = MAX_STDIN_BYTES): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of io.stdin) {
    const bytes = Buffer.isBuffer(part) ? part : Buffer.from(String(part), 'utf8');
    size += bytes.length;
    if (size > limit) throw new UsageError(`What was given on stdin is larger than ${limit} bytes.`);
    parts.push(bytes);
  }
  return Buffer.concat(parts);
}
