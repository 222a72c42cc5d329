import { TIMEOUT_MS, deviceNameSchema } from '@postern/protocol';
import type { Command } from 'commander';
import { UsageError } from './errors.js';
import { GatewayClient } from './gateway/client.js';
import { Session } from './gateway/session.js';
import { Transport } from './gateway/transport.js';
import type { Io } from './io.js';
import { Output } from './output.js';
import { readEnvironment, type GatewayEnvironment } from './profiles/environment.js';
import { selectProfile, type Selected } from './profiles/select.js';
import { ProfileStore, configFolder } from './profiles/store.js';

/** The options that every command takes. */
export interface GlobalOptions {
  json?: boolean;
  verbose?: boolean;
  profile?: string;
  gateway?: string;
  /** Milliseconds. */
  timeout?: number;
}

export interface Connection {
  readonly selected: Selected;
  readonly session: Session;
  readonly client: GatewayClient;
}

/** What one run of one command works with. {@link close} ends its connections. */
export class CommandContext {
  readonly out: Output;
  readonly store: ProfileStore;
  private readonly transports: Transport[] = [];
  private connection: Connection | undefined;

  constructor(
    readonly io: Io,
    readonly globals: GlobalOptions,
  ) {
    this.out = new Output(io, globals.json === true);
    this.store = new ProfileStore(configFolder(io), (text) => this.out.warn(text));
  }

  environment(): GatewayEnvironment {
    return readEnvironment(this.io);
  }

  select(): Selected {
    const { profile, gateway } = this.globals;
    return selectProfile({ store: this.store, environment: this.environment(), profile, gateway });
  }

  /** The gateway, as the user of the profile that {@link selectProfile} finds. */
  connect(): Connection {
    if (this.connection === undefined) {
      const selected = this.select();
      const transport = this.transport(selected.url, selected.profile.caPem);
      const session = new Session({ io: this.io, store: this.store, selected, transport });
      this.connection = { selected, session, client: new GatewayClient(transport, session) };
    }
    return this.connection;
  }

  /** The gateway, as nobody: for login and signup. */
  anonymous(gateway: string, caPem: string | null): GatewayClient {
    return new GatewayClient(this.transport(gateway, caPem), null);
  }

  /** How long a device has for a call. */
  get deviceTimeoutMs(): number {
    const wanted = this.globals.timeout ?? TIMEOUT_MS.default;
    if (wanted < TIMEOUT_MS.min || wanted > TIMEOUT_MS.max)
      throw new UsageError(
        `--timeout must be ${TIMEOUT_MS.min} ms to ${TIMEOUT_MS.max / 1000} s for a call to a device.`,
      );
    return wanted;
  }

  close(): void {
    for (const transport of this.transports) transport.close();
  }

  private transport(gateway: string, caPem: string | null): Transport {
    const trace = (line: string): void => void this.io.stderr.write(`# ${line}\n`);
    const transport = new Transport({ gateway, caPem, ...(this.globals.verbose === true ? { trace } : {}) });
    this.transports.push(transport);
    return transport;
  }
}

export interface Invocation<Args extends readonly unknown[], Options> {
  readonly ctx: CommandContext;
  readonly args: Args;
  readonly options: Options;
}
/** Makes a commander action of a function that takes an {@link Invocation}. */
export type Bind = <Args extends readonly unknown[], Options = object>(
  run: (invocation: Invocation<Args, Options>) => Promise<void>,
) => (...all: unknown[]) => Promise<void>;
/** Adds one command below its noun. */
export type Verb = (parent: Command, bind: Bind) => void;

export function binder(io: Io): Bind {
  return (run) =>
    async (...all) => {
      const command = all.at(-1) as Command;
      const options = all.at(-2);
      const ctx = new CommandContext(io, command.optsWithGlobals<GlobalOptions>());
      try {
        await run({ ctx, args: all.slice(0, -2) as never, options: options as never });
      } finally {
        ctx.close();
      }
    };
}

/** The name of a device as an argument. */
export function deviceArgument(text: string): string {
  const parsed = deviceNameSchema.safeParse(text);
  if (!parsed.success)
    throw new UsageError(`"${text}" is not the name of a device: it ${parsed.error.issues[0]?.message}.`);
  return text;
}

/** A time to wait: `1500`, `1500ms`, `5s`, `2m`. Answers milliseconds. */
export function durationArgument(text: string): number {
  const match = /^(\d{1,9})(ms|s|m)?$/.exec(text);
  const unit = { ms: 1, s: 1000, m: 60_000 }[match?.[2] ?? 'ms'] ?? 1;
  const value = Number(match?.[1]) * unit;
  if (match === null || value < 1)
    throw new UsageError(
      `--timeout is "${text}"; it must be milliseconds, or a time such as 500ms, 5s or 2m.`,
    );
  return value;
}
