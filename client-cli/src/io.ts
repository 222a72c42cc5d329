import { homedir } from 'node:os';
import type { Readable, Writable } from 'node:stream';

/** A stream to read from, with what a terminal adds. */
export type Input = Readable & {
  isTTY?: boolean;
  setRawMode?: (on: boolean) => unknown;
  ref?: () => unknown;
  unref?: () => unknown;
};
/** A stream to write to, with what a terminal adds. */
export type OutputStream = Writable & { isTTY?: boolean; columns?: number };

/** All that a command knows of the world outside, so that tests and other programs can supply it. */
export interface Io {
  readonly stdin: Input;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly home: string;
  readonly platform: NodeJS.Platform;
  /** Milliseconds since 1970. */
  now(): number;
  /** Runs `work` to its end also when the user presses Ctrl-C meanwhile (a second Ctrl-C ends it all the same). */
  uninterrupted<T>(work: () => Promise<T>): Promise<T>;
}

export function processIo(uninterrupted: Io['uninterrupted']): Io {
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    home: homedir(),
    platform: process.platform,
    now: () => Date.now(),
    uninterrupted,
  };
}
