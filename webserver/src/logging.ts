import { destination, pino, type DestinationStream, type Logger } from 'pino';

export type { Logger };

export interface LoggingOptions {
  readonly level: string;
  /** Default: standard output, written in blocks and at least once a second, so that a log line costs no system call. */
  readonly stream?: DestinationStream;
}

/** Fields that must not be in a log whoever puts them there. */
const SECRET_FIELDS = [
  'password',
  'secret',
  'accessToken',
  'refreshToken',
  'privateKeyPem',
  'devicepkey',
  'authorization',
];

export function createLogger(options: LoggingOptions): Logger {
  const stream =
    options.stream ?? destination({ dest: 1, sync: false, minLength: 12_288, periodicFlush: 1_000 });
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (level) => ({ level }) },
      redact: { paths: SECRET_FIELDS.flatMap((field) => [field, `*.${field}`]), censor: '[secret]' },
    },
    stream,
  );
}
