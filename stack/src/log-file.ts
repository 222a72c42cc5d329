import { closeSync, copyFileSync, fstatSync, ftruncateSync, openSync, readSync, statSync } from 'node:fs';

/** A log that has grown past this, in bytes, is moved to `<name>.1`, over the one before it. */
export const MAX_LOG_BYTES = 10 * 1024 * 1024;
/** How often the size is looked at, in milliseconds: a log may pass its bound by what is written meanwhile. */
const CHECK_EVERY_MS = 2_000;
/** The end of a log that is read to show why something failed, in bytes. */
const TAIL_BYTES = 16 * 1024;

/**
 * A file that a child writes to directly, so that its log does not pass through this process and is whole when
 * this process is killed. Opened for appending: after the truncation the child goes on at the new end.
 */
export class LogFile {
  readonly path: string;
  readonly #maxBytes: number;
  readonly #fd: number;
  readonly #timer: NodeJS.Timeout;
  #mark = 0;

  constructor(path: string, maxBytes: number = MAX_LOG_BYTES) {
    this.path = path;
    this.#maxBytes = maxBytes;
    this.#fd = openSync(path, 'a+', 0o600);
    this.#timer = setInterval(() => this.rotateIfLarge(), CHECK_EVERY_MS);
    this.#timer.unref();
    this.mark();
  }

  /** For `stdio` of a child. */
  get fd(): number {
    return this.#fd;
  }

  /** What is written from here on is what {@link lastLines} gives. */
  mark(): void {
    this.#mark = fstatSync(this.#fd).size;
  }

  /** The last lines since {@link mark}. */
  lastLines(count: number): string[] {
    const { size } = fstatSync(this.#fd);
    const start = Math.max(this.#mark > size ? 0 : this.#mark, size - TAIL_BYTES);
    const buffer = Buffer.alloc(Math.max(0, size - start));
    readSync(this.#fd, buffer, 0, buffer.length, start);
    return buffer
      .toString('utf8')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(-count);
  }

  rotateIfLarge(): void {
    if (statSync(this.path, { throwIfNoEntry: false }) === undefined) return;
    if (fstatSync(this.#fd).size <= this.#maxBytes) return;
    copyFileSync(this.path, `${this.path}.1`);
    ftruncateSync(this.#fd, 0);
    this.#mark = 0;
  }

  close(): void {
    clearInterval(this.#timer);
    closeSync(this.#fd);
  }
}
