/** Executions that a device lists one by one when told to; beyond that it only counts. About 20 MB. */
export const MAX_LISTED_EXECUTIONS = 200_000;

export interface Execution {
  method: string;
  correlationId: string;
  times: number;
}

/** Counts what a device really carried out, for programs that must know that nothing ran twice. */
export class ExecutionLog {
  readonly #byMethod = new Map<string, number>();
  readonly #byId = new Map<string, Execution>();
  readonly #listed: boolean;
  #truncated = false;

  constructor({ listed }: { listed: boolean }) {
    this.#listed = listed;
  }

  add(method: string, correlationId: string | null): void {
    this.#byMethod.set(method, (this.#byMethod.get(method) ?? 0) + 1);
    if (!this.#listed || correlationId === null) return;
    const known = this.#byId.get(correlationId);
    if (known) known.times += 1;
    else if (this.#byId.size < MAX_LISTED_EXECUTIONS) {
      this.#byId.set(correlationId, { method, correlationId, times: 1 });
    } else this.#truncated = true;
  }

  get byMethod(): Record<string, number> {
    return Object.fromEntries(this.#byMethod);
  }

  /** Empty unless `listed`. */
  get list(): Execution[] {
    return [...this.#byId.values()];
  }

  get truncated(): boolean {
    return this.#truncated;
  }
}
