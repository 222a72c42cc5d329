import { z } from 'zod';
import { KEY_TYPES } from '@postern/protocol';

/**
 * Every setting of the gateway, as environment variables. One schema: it validates at the start, and
 * {@link describeSettings} makes the table of `docs/operations.md` from it. Keys and passwords are never
 * settings themselves: a setting names the file that holds one.
 */

const port = z.coerce.number().int().min(0, 'must be 0 to 65535').max(65_535, 'must be 0 to 65535');
const whole = (min: number, max: number) =>
  z.coerce
    .number('must be a number')
    .int('must be a whole number')
    .min(min, `must be ${min} to ${max}`)
    .max(max, `must be ${min} to ${max}`);
const text = z.string().min(1, 'must not be empty');
const url = (...protocols: string[]) =>
  text.refine(
    (value) => URL.canParse(value) && protocols.includes(new URL(value).protocol),
    `must be a URL that begins with ${protocols.map((name) => `${name}//`).join(' or ')}`,
  );
/** `off`, a number of proxies in front, or addresses and networks of proxies. */
const trustProxy = text.transform((value, ctx): false | number | string[] => {
  if (value === 'off') return false;
  if (/^[1-9]$/.test(value)) return Number(value);
  const names = value.split(',').map((item) => item.trim());
  if (names.every((name) => /^(?:loopback|linklocal|uniquelocal|[0-9a-fA-F.:]+(?:\/\d{1,3})?)$/.test(name)))
    return names;
  ctx.addIssue({
    code: 'custom',
    message: 'must be "off", a number of proxies (1 to 9), or addresses such as loopback,10.0.0.0/8',
  });
  return z.NEVER;
});

const setting = <T extends z.ZodType>(schema: T, description: string) => schema.meta({ description });

const settings = {
  POSTERN_DATA_DIR: setting(
    text.default('.postern'),
    'Folder of all state: registry, CA, keys, broker. Mode 0700.',
  ),
  POSTERN_HTTPS_HOST: setting(text.default('::'), 'Address that HTTPS listens on.'),
  POSTERN_HTTPS_PORT: setting(port.default(8443), 'Port of HTTPS; 0 takes a free one.'),
  POSTERN_PUBLIC_URL: setting(
    url('https:').optional(),
    'URL at which clients reach the gateway; stands in certificates (CRL). Default: `https://localhost:<port>`.',
  ),
  POSTERN_HTTPS_CERT_FILE: setting(
    text.optional(),
    'Certificate chain of HTTPS, PEM. Default: `tls/https.pem` in the data folder.',
  ),
  POSTERN_HTTPS_KEY_FILE: setting(
    text.optional(),
    'Private key to it, PEM, mode 0600. Default: `tls/https.key.pem` in the data folder.',
  ),
  POSTERN_MONGODB_URL: setting(
    url('mongodb:', 'mongodb+srv:').optional(),
    'Registry in MongoDB. Default: SQLite in the data folder.',
  ),
  POSTERN_MONGODB_CA_FILE: setting(text.optional(), "CA that signed MongoDB's certificate, PEM."),
  POSTERN_AMQPS_HOST: setting(text.default('localhost'), 'Broker: host of the AMQPS listener.'),
  POSTERN_AMQPS_PORT: setting(port.default(5671), 'Broker: port of the AMQPS listener.'),
  POSTERN_MQTTS_PORT: setting(port.default(8883), 'Broker: port of the MQTTS listener.'),
  POSTERN_AMQPS_CERT_FILE: setting(
    text.optional(),
    'Certificate chain that the gateway shows the broker, PEM. Default: `tls/gateway.pem` in the data folder.',
  ),
  POSTERN_AMQPS_KEY_FILE: setting(
    text.optional(),
    'Private key to it, PEM, mode 0600. Default: `tls/gateway.key.pem` in the data folder.',
  ),
  POSTERN_BROKER_AUTH_PORT: setting(
    port.default(15_680),
    'Port on 127.0.0.1 where the broker asks who may do what; 0 takes a free one.',
  ),
  POSTERN_BROKER_AUTH_CERT_FILE: setting(
    text.optional(),
    'Certificate chain shown to the broker there, PEM, for `localhost`. Default: `tls/broker-auth.pem` in the data folder.',
  ),
  POSTERN_BROKER_AUTH_KEY_FILE: setting(
    text.optional(),
    'Private key to it, PEM, mode 0600. Default: `tls/broker-auth.key.pem` in the data folder.',
  ),
  POSTERN_MANAGEMENT_URL: setting(
    url('http:', 'https:').optional(),
    "The broker's management API. Without it the sessions of revoked devices live on until they end.",
  ),
  POSTERN_MANAGEMENT_PASSWORD_FILE: setting(
    text.optional(),
    "File with the password of the gateway's user on the management API, mode 0600.",
  ),
  POSTERN_CRL_DIR: setting(
    text.optional(),
    'Folder where the broker reads revocations. Default: `crl` in the data folder.',
  ),
  POSTERN_KEY_FILE: setting(
    text.optional(),
    'Key that encrypts what is secret at rest (base64 of 32 bytes, mode 0600). Default: `secrets/key-encryption.key` in the data folder.',
  ),
  POSTERN_TOKEN_KEY_FILE: setting(
    text.optional(),
    'Key that signs access tokens (base64 of 32 bytes, mode 0600). Default: `secrets/token.key` in the data folder.',
  ),
  POSTERN_BROKER_PUBLIC_HOST: setting(
    text.optional(),
    'Host that devices are told to connect to. Default: the host of the public URL.',
  ),
  POSTERN_SIGNUP: setting(
    z.enum(['open', 'closed'], { error: 'must be "open" or "closed"' }).default('open'),
    'Whether anybody may make an account.',
  ),
  POSTERN_MAX_DEVICES_PER_USER: setting(
    whole(1, 1_000_000).default(10_000),
    'Devices of one account. Bounds the flat device list, which has no pages.',
  ),
  POSTERN_FLAT_KEY_TYPE: setting(
    z.enum(KEY_TYPES, { error: 'must be "ec-p256" or "rsa-2048"' }).default('ec-p256'),
    'Key type of devices that the flat call registers; `rsa-2048` where old devices know no ECDSA.',
  ),
  POSTERN_SCRYPT_COST: setting(
    whole(15, 18).default(17),
    "log2 of scrypt's N. 17 (OWASP's first choice) takes 128 MiB and some 0.4 s for each login; 15 a quarter of both.",
  ),
  POSTERN_LOGIN_RATE: setting(
    whole(1, 100_000).default(20),
    'Logins and signups of one address (IPv6: /64) in a minute.',
  ),
  POSTERN_LOGIN_FREE_FAILURES: setting(
    whole(1, 1_000).default(5),
    'Failed logins of a name before it has to wait.',
  ),
  POSTERN_LOGIN_MAX_DELAY_SECONDS: setting(
    whole(1, 86_400).default(900),
    'Longest wait of a name after failed logins. It begins with 1 s and doubles.',
  ),
  POSTERN_TRUST_PROXY: setting(
    trustProxy.prefault('off'),
    'Whose X-Forwarded-For counts: `off`, a number of proxies in front, or their addresses.',
  ),
  POSTERN_MAX_CONNECTIONS: setting(
    whole(10, 1_000_000).default(10_000),
    'HTTPS connections at once; more are closed at once.',
  ),
  POSTERN_KEEP_ALIVE_SECONDS: setting(
    whole(75, 3_600).default(90),
    'How long an idle HTTPS connection stays open. Clients of the flat calls pause for a minute.',
  ),
  POSTERN_HEADERS_TIMEOUT_SECONDS: setting(
    whole(1, 300).default(15),
    'Time for the headers of a request to arrive (slow-loris).',
  ),
  POSTERN_REQUEST_TIMEOUT_SECONDS: setting(
    whole(1, 600).default(30),
    'Time for a whole request to arrive. Does not bound the wait for a device.',
  ),
  POSTERN_SHUTDOWN_SECONDS: setting(
    whole(0, 300).default(10),
    'Time for calls in flight at shutdown; what is left then is cut.',
  ),
  POSTERN_METRICS_TOKEN_FILE: setting(
    text.optional(),
    'File with the bearer token for `/metrics`. Without it `/metrics` answers loopback addresses only.',
  ),
  POSTERN_LOG_LEVEL: setting(
    z
      .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
        error: 'must be fatal, error, warn, info, debug, trace or silent',
      })
      .default('info'),
    'Log level. `info` has one line for each request.',
  ),
} as const;

const schema = z.object(settings).superRefine((value, ctx) => {
  const both = ['POSTERN_HTTPS_CERT_FILE', 'POSTERN_HTTPS_KEY_FILE'] as const;
  for (const [index, name] of both.entries())
    if (value[name] === undefined && value[both[1 - index]!] !== undefined)
      ctx.addIssue({ code: 'custom', path: [name], message: `must be set where ${both[1 - index]} is` });
  if (value.POSTERN_MONGODB_CA_FILE !== undefined && value.POSTERN_MONGODB_URL === undefined)
    ctx.addIssue({
      code: 'custom',
      path: ['POSTERN_MONGODB_CA_FILE'],
      message: 'has no effect without POSTERN_MONGODB_URL',
    });
  if (value.POSTERN_HEADERS_TIMEOUT_SECONDS > value.POSTERN_REQUEST_TIMEOUT_SECONDS)
    ctx.addIssue({
      code: 'custom',
      path: ['POSTERN_HEADERS_TIMEOUT_SECONDS'],
      message: 'must not be more than POSTERN_REQUEST_TIMEOUT_SECONDS',
    });
});

/** The settings as the environment spells them, validated, with defaults. */
export type Settings = z.output<typeof schema>;

/** A setting that is not usable. The message names each and says what would be right. */
export class ConfigError extends Error {
  readonly code = 'CONFIG_INVALID';
  constructor(problems: readonly string[]) {
    super(`The configuration is not usable:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

/** Reads settings from an environment. An empty value counts as not set. Rejects values, not unknown names: other parts of Postern have their own. */
export function loadSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const given = Object.fromEntries(
    Object.keys(settings).flatMap((name) => (env[name] ? [[name, env[name]]] : [])),
  );
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new ConfigError(parsed.error.issues.map(({ path, message }) => `${path.join('.')} ${message}`));
}

export interface SettingDescription {
  readonly name: string;
  readonly default: string | null;
  readonly description: string;
}

/** For the table of `docs/operations.md`. */
export function describeSettings(): SettingDescription[] {
  return Object.entries(settings).map(([name, setting]) => {
    const parsed = setting.safeParse(undefined);
    const value: unknown = parsed.success ? parsed.data : undefined;
    return {
      name,
      default: value === undefined ? null : value === false ? 'off' : String(value),
      description: setting.meta()?.description ?? '',
    };
  });
}

/** What the HTTP side needs to know; made from {@link Settings} by {@link httpConfig}. */
export interface HttpConfig {
  /** Without a slash at its end. */
  readonly publicUrl: string;
  /** Where devices connect. */
  readonly broker: { readonly host: string; readonly mqttsPort: number; readonly amqpsPort: number };
  readonly signupOpen: boolean;
  readonly maxDevicesPerUser: number;
  readonly flatKeyType: (typeof KEY_TYPES)[number];
  readonly scryptCost: number;
  readonly loginRatePerMinute: number;
  readonly loginFreeFailures: number;
  readonly loginMaxDelayMs: number;
  readonly trustProxy: false | number | string[];
  readonly limits: {
    readonly maxConnections: number;
    readonly keepAliveMs: number;
    readonly headersTimeoutMs: number;
    readonly requestTimeoutMs: number;
    readonly shutdownMs: number;
  };
  /** Null: `/metrics` is for loopback addresses only. */
  readonly metricsToken: string | null;
}

/** `metricsToken` is what the token file holds, read by the caller. */
export function httpConfig(settings: Settings, metricsToken: string | null = null): HttpConfig {
  const publicUrl = (
    settings.POSTERN_PUBLIC_URL ?? `https://localhost:${settings.POSTERN_HTTPS_PORT}`
  ).replace(/\/+$/, '');
  return {
    publicUrl,
    broker: {
      host: settings.POSTERN_BROKER_PUBLIC_HOST ?? new URL(publicUrl).hostname,
      mqttsPort: settings.POSTERN_MQTTS_PORT,
      amqpsPort: settings.POSTERN_AMQPS_PORT,
    },
    signupOpen: settings.POSTERN_SIGNUP === 'open',
    maxDevicesPerUser: settings.POSTERN_MAX_DEVICES_PER_USER,
    flatKeyType: settings.POSTERN_FLAT_KEY_TYPE,
    scryptCost: settings.POSTERN_SCRYPT_COST,
    loginRatePerMinute: settings.POSTERN_LOGIN_RATE,
    loginFreeFailures: settings.POSTERN_LOGIN_FREE_FAILURES,
    loginMaxDelayMs: settings.POSTERN_LOGIN_MAX_DELAY_SECONDS * 1000,
    trustProxy: settings.POSTERN_TRUST_PROXY,
    limits: {
      maxConnections: settings.POSTERN_MAX_CONNECTIONS,
      keepAliveMs: settings.POSTERN_KEEP_ALIVE_SECONDS * 1000,
      headersTimeoutMs: settings.POSTERN_HEADERS_TIMEOUT_SECONDS * 1000,
      requestTimeoutMs: settings.POSTERN_REQUEST_TIMEOUT_SECONDS * 1000,
      shutdownMs: settings.POSTERN_SHUTDOWN_SECONDS * 1000,
    },
    metricsToken,
  };
}
