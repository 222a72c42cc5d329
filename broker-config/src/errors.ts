/** What the caller asked for cannot be rendered: one sentence says what is wrong and what would be right. */
export class BrokerConfigError extends Error {
  readonly code = 'BROKER_CONFIG_INVALID';
  override readonly name = 'BrokerConfigError';
}

/** No RabbitMQ (or no Erlang) that could be started here; the message says how to get one. */
export class BrokerNotFoundError extends Error {
  readonly code = 'BROKER_NOT_FOUND';
  override readonly name = 'BrokerNotFoundError';
}

/** A RabbitMQ is there, but it is older than the templates know, or this user may not run it. */
export class BrokerUnusableError extends Error {
  readonly code = 'BROKER_UNUSABLE';
  override readonly name = 'BrokerUnusableError';
}

/** Why a node did not come up. Stable: the caller decides by it whether another try makes sense. */
export type BrokerStartFailure =
  /** A port of ours is held by somebody else: trying again helps only once it is free. */
  | 'PORT_IN_USE'
  /** RabbitMQ refused its configuration, or a TLS file is missing or damaged: trying again does not help. */
  | 'BAD_CONFIG'
  /** The data folder cannot be written, or the disk is full. */
  | 'STORAGE'
  /** Another launcher that still lives runs a node in this data folder. */
  | 'ALREADY_RUNNING'
  /** The node did not say that it was ready within `startTimeoutMs`. */
  | 'TIMED_OUT'
  /** The node ended by itself for another reason. */
  | 'EXITED'
  /** `stop()` was called before the node was ready. */
  | 'STOPPED';

/** The node did not come up. `message` is a sentence for people; `logLines` is what the broker's log said of it. */
export class BrokerStartError extends Error {
  readonly code = 'BROKER_START_FAILED';
  override readonly name = 'BrokerStartError';
  readonly failure: BrokerStartFailure;
  readonly logLines: readonly string[];
  readonly logFile: string | null;

  constructor(
    message: string,
    options: {
      failure: BrokerStartFailure;
      logLines?: readonly string[];
      logFile?: string | null;
      cause?: unknown;
    },
  ) {
    const lines = options.logLines ?? [];
    const quoted = lines.length > 0 ? `\nThe broker's log said:\n  ${lines.join('\n  ')}` : '';
    super(`${message}${quoted}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.failure = options.failure;
    this.logLines = lines;
    this.logFile = options.logFile ?? null;
  }
}
