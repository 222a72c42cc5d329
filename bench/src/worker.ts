import { fork, type ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** A part of the benchmark in a process of its own, asked by messages. */
export class Worker {
  readonly #process: ChildProcess;
  readonly #waiting = new Map<
    number,
    { resolve: (value: unknown) => void; reject: (error: Error) => void }
  >();
  #counter = 0;
  #ending = false;

  private constructor(
    readonly name: string,
    child: ChildProcess,
  ) {
    this.#process = child;
    child.on('message', (message: { id: number; result?: unknown; error?: string }) => {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (message.error === undefined) waiting?.resolve(message.result);
      else waiting?.reject(new Error(`${name}: ${message.error}`));
    });
    child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values())
        reject(new Error(`the process ${name} ended (${signal ?? code})`));
      this.#waiting.clear();
      if (!this.#ending) process.stderr.write(`The process ${name} ended (${signal ?? code}).\n`);
    });
  }

  /** `file`: its name in `workers/`, without `.js`. */
  static start(file: string, options: { name?: string } = {}): Worker {
    const path = fileURLToPath(new URL(`./workers/${file}.js`, import.meta.url));
    return new Worker(
      options.name ?? file,
      fork(path, [], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] }),
    );
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** @throws what the process threw, or that it has ended */
  ask<T>(operation: string, options: unknown = {}): Promise<T> {
    const id = ++this.#counter;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#process.send({ id, operation, options }, (error) => error && reject(error));
    });
  }

  async stop(): Promise<void> {
    this.#ending = true;
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const gone = new Promise((resolve) => this.#process.once('exit', resolve));
    // It may have been stopped by a signal already.
    if (this.#process.connected) this.#process.disconnect();
    const killer = setTimeout(() => this.#process.kill('SIGKILL'), 5_000);
    await gone;
    clearTimeout(killer);
  }
}

export type Operations = Record<string, (options: never) => unknown>;

/** In the process: answers what {@link Worker.ask} asks. Ends when the benchmark does. */
export function serve(operations: Operations): void {
  process.on('message', (message: { id: number; operation: string; options: never }) => {
    const { id, operation, options } = message;
    void Promise.resolve()
      .then(() => operations[operation]!(options))
      .then(
        (result) => process.send?.({ id, result }),
        (error: unknown) =>
          process.send?.({
            id,
            error: error instanceof Error ? (error.stack ?? error.message) : String(error),
          }),
      );
  });
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C goes to the whole group: the benchmark ends its processes itself, in order.
  process.on('SIGINT', () => undefined);
}
