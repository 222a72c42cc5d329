import { resolve } from 'node:path';
import { z } from 'zod';
import { StackError } from './errors.js';

/** What the environment may say. Every other POSTERN_* setting is the gateway's own and is handed on to it. */
const port = (standard: number) =>
  z
    .string()
    .regex(/^\d{1,5}$/, 'must be a port, 1 to 65535, or 0 for any free one')
    .transform(Number)
    .refine((value) => value <= 65_535, 'must be a port, 1 to 65535, or 0 for any free one')
    .default(standard);

const hostName = z
  .string()
  .max(253)
  .regex(/^(?=.*[^.])[A-Za-z0-9_*:.-]+$/, 'must be host names or IP addresses, separated by commas');

const environmentSchema = z.object({
  POSTERN_DATA_DIR: z
    .string()
    .min(1)
    .default('.postern')
    .describe('Folder of all state: registry, CA, keys, broker. Mode 0700.'),
  POSTERN_HTTPS_PORT: port(8443).describe('Port of HTTPS; 0 takes a free one.'),
  POSTERN_MQTTS_PORT: port(8883).describe('Port of MQTTS; 0 takes a free one.'),
  POSTERN_AMQPS_PORT: port(5671).describe('Port of AMQPS; 0 takes a free one.'),
  POSTERN_BIND_ADDRESS: z
    .union([z.ipv4(), z.ipv6()], 'must be an IP address, such as 0.0.0.0 (every interface) or 127.0.0.1')
    .default('0.0.0.0')
    .describe('Address that HTTPS, MQTTS and AMQPS listen on.'),
  POSTERN_HOSTNAMES: z
    .string()
    .default('')
    .transform((text) => text.split(/[\s,]+/).filter((name) => name !== ''))
    .pipe(z.array(hostName).max(90))
    .describe(
      "Names and addresses that the server certificates answer to beside localhost and the machine's own name, with commas between. The first one stands in the public URL.",
    ),
  POSTERN_RABBITMQ_HOME: z
    .string()
    .optional()
    .describe('Folder of the RabbitMQ to run. Default: the one that is installed.'),
  POSTERN_MONGODB_URL: z
    .string()
    .regex(/^mongodb(\+srv)?:\/\//, 'must begin with mongodb:// or mongodb+srv://')
    .optional()
    .describe('Registry in MongoDB. Default: SQLite in the data folder.'),
  POSTERN_DEMO: z
    .enum(['0', '1'], 'must be 1 (make a user demo and a simulated lamp) or 0')
    .default('1')
    .describe('1 makes the user demo and a simulated lamp; 0 makes neither.'),
  POSTERN_GATEWAYS: z
    .string()
    .regex(/^[1-9]$/, 'must be a number of gateway processes, 1 to 9')
    .transform(Number)
    .default(1)
    .describe('Gateway processes, 1 to 9. All but the first take free ports, which `stack.json` names.'),
});

/** For the table of `docs/operations.md`. `default` is null where there is none. */
export function describeStackSettings(): { name: string; default: string | null; description: string }[] {
  return Object.entries(environmentSchema.shape).map(([name, setting]) => {
    const parsed = setting.safeParse(undefined);
    const text = parsed.success && parsed.data !== undefined ? String(parsed.data) : '';
    return { name, default: text === '' ? null : text, description: setting.description ?? '' };
  });
}

/** The order in which ports are checked, and the variable that moves each. */
export const PORT_VARIABLES = {
  https: 'POSTERN_HTTPS_PORT',
  mqtts: 'POSTERN_MQTTS_PORT',
  amqps: 'POSTERN_AMQPS_PORT',
} as const;
export type PortName = keyof typeof PORT_VARIABLES;

export interface Settings {
  /** Absolute. */
  readonly dataDir: string;
  /** True where nobody chose another folder. */
  readonly dataDirIsDefault: boolean;
  /** 0: any free port. */
  readonly ports: Readonly<Record<PortName, number>>;
  readonly bindAddress: string;
  /** Beside localhost and the machine's own name: what the server certificates must answer to. */
  readonly hostNames: readonly string[];
  /** Folder of the RabbitMQ to run; undefined: the one that is installed. */
  readonly rabbitmqHome: string | undefined;
  readonly mongodbUrl: string | undefined;
  readonly demo: boolean;
  readonly gateways: number;
}

/**
 * @param directory what a relative POSTERN_DATA_DIR is relative to
 * @throws StackError `BAD_SETTING` that names each variable that is wrong
 */
export function readSettings(environment: NodeJS.ProcessEnv, directory: string): Settings {
  // An empty variable is how shells and make files say "not set".
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = environmentSchema.safeParse(given);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) =>
        `${String(issue.path[0])} is ${JSON.stringify(given[String(issue.path[0])])}; it ${issue.message}.`,
    );
    throw new StackError('BAD_SETTING', [...new Set(problems)].join('\n'));
  }
  const values = parsed.data;
  const settings: Settings = {
    dataDir: resolve(directory, values.POSTERN_DATA_DIR),
    dataDirIsDefault: given['POSTERN_DATA_DIR'] === undefined,
    ports: {
      https: values.POSTERN_HTTPS_PORT,
      mqtts: values.POSTERN_MQTTS_PORT,
      amqps: values.POSTERN_AMQPS_PORT,
    },
    bindAddress: values.POSTERN_BIND_ADDRESS,
    hostNames: values.POSTERN_HOSTNAMES,
    rabbitmqHome: values.POSTERN_RABBITMQ_HOME,
    mongodbUrl: values.POSTERN_MONGODB_URL,
    demo: values.POSTERN_DEMO === '1',
    gateways: values.POSTERN_GATEWAYS,
  };
  refuseSharedPorts(settings);
  return settings;
}

function refuseSharedPorts({ ports }: Settings): void {
  const names = Object.keys(PORT_VARIABLES) as PortName[];
  for (const [index, name] of names.entries()) {
    const other = names
      .slice(0, index)
      .find((earlier) => ports[earlier] !== 0 && ports[earlier] === ports[name]);
    if (other !== undefined)
      throw new StackError(
        'BAD_SETTING',
        `${PORT_VARIABLES[other]} and ${PORT_VARIABLES[name]} are both ${ports[name]}; give each a port of its own.`,
      );
  }
}
