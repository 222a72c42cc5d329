import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { KEY_TYPES, issuedSchema, type Issued, type KeyType } from '@postern/protocol';
import { Option, type Command } from 'commander';
import type { CommandContext } from '../context.js';
import { CliError, UsageError } from '../errors.js';
import { FileError, systemReason } from '../files/durable.js';
import { GatewayProblemError, shellWord } from '../gateway/problem.js';
import { CONFIG_BLOCK, DeviceFolder } from './folder.js';
import { configBlockOf } from './ft900-config-block.js';
import { makeKeyAndRequest, requestWithKey } from './key-and-request.js';

/** The options that register and renew share. */
export interface IssueOptions {
  out?: string;
  keyType?: KeyType;
  csr?: string;
  gatewayKey?: boolean;
  sameKey?: boolean;
  force?: boolean;
  firmware?: Firmware;
}

/** Firmware that takes its configuration as one binary file. */
const FIRMWARE = ['ft900'] as const;
type Firmware = (typeof FIRMWARE)[number];

export function addIssueOptions(command: Command): Command {
  return command
    .option('--out <folder>', 'where the files go (default: ./<name>)')
    .addOption(
      new Option('--key-type <type>', 'the kind of key to make (default: ec-p256)').choices(KEY_TYPES),
    )
    .option('--csr <file>', 'certify the key of this PKCS#10 request (PEM); the key stays where it is')
    .option(
      '--gateway-key',
      'let the gateway make the key (default: it is made here and never leaves this machine)',
    )
    .option('--force', 'where files are there already, move them into a folder below')
    .addOption(
      new Option(
        '--firmware <kind>',
        'also write config.bin, the configuration block of this firmware',
      ).choices(FIRMWARE),
    );
}

export interface IssueRequest {
  readonly ctx: CommandContext;
  readonly name: string;
  readonly options: IssueOptions;
  readonly folder: DeviceFolder;
  /** The call, and the body that it takes beside `csr` or `keyType`. */
  readonly path: readonly string[];
  readonly body: Readonly<Record<string, unknown>>;
  /** Whether files that are there may be moved aside. */
  readonly replace: boolean;
}
export interface IssueResult {
  readonly issued: Issued;
  readonly withKey: boolean;
  readonly movedTo: string | null;
}

export function checkIssueOptions(options: IssueOptions): void {
  const keySources = [
    options.csr !== undefined && '--csr',
    options.gatewayKey && '--gateway-key',
    options.sameKey && '--same-key',
  ];
  const [first, second] = keySources.filter((source) => typeof source === 'string');
  if (second !== undefined)
    throw new UsageError(`${first} and ${second} exclude each other: a device has one key.`);
  if (options.firmware !== undefined && options.csr !== undefined)
    throw new UsageError('--firmware does not go with --csr: the configuration block holds the private key.');
  if (options.keyType !== undefined && (options.csr !== undefined || options.sameKey === true))
    throw new UsageError(`--key-type does not go with ${first}: that key is made already.`);
}

export function folderFor(ctx: CommandContext, name: string, options: IssueOptions): DeviceFolder {
  const path = resolve(ctx.io.cwd, options.out ?? name);
  return new DeviceFolder(path, options.firmware === 'ft900' ? { [CONFIG_BLOCK]: configBlockOf } : {});
}

/**
 * Has a certificate issued and writes it. In this order, so that nothing is lost: look at the files, make the
 * key, put it on the disk, ask the gateway, write the rest.
 */
export async function issue(request: IssueRequest): Promise<IssueResult> {
  const { ctx, name, options, folder } = request;
  const { client, session } = ctx.connect();
  const withKey = options.csr === undefined;
  folder.check({ withKey, replace: request.replace });
  const key = await keyFor(request);
  await session.accessToken();
  folder.prepare();
  if (key.keyPem !== null) folder.stageKey(key.keyPem);
  let issued: Issued;
  try {
    issued = await client.call({
      method: 'POST',
      path: request.path,
      body: { ...request.body, ...key.body },
      answer: issuedSchema,
      timeoutMs: ctx.globals.timeout,
      subject: { device: name },
    });
  } catch (error) {
    if (nothingWasIssued(error)) folder.discard();
    else if (key.keyPem !== null)
      ctx.out.warn(
        `Whether a certificate was issued is not known: the key is kept, ${folder.file('key.pem.new')}`,
      );
    throw error;
  }
  try {
    const keyPem = key.keyPem ?? (options.gatewayKey === true ? privateKeyOf(issued) : null);
    return { issued, withKey, ...folder.write(issued, name, keyPem) };
  } catch (error) {
    throw notWritten(error, name, issued);
  }
}

async function keyFor({
  ctx,
  name,
  options,
  folder,
}: IssueRequest): Promise<{ keyPem: string | null; body: object }> {
  if (options.csr !== undefined)
    return { keyPem: null, body: { csr: readText(resolve(ctx.io.cwd, options.csr)) } };
  if (options.gatewayKey === true)
    return { keyPem: null, body: options.keyType === undefined ? {} : { keyType: options.keyType } };
  const file = folder.file('key.pem');
  const made =
    options.sameKey === true
      ? await requestWithKey(readText(file), name, file)
      : await makeKeyAndRequest(options.keyType ?? 'ec-p256', name);
  return { keyPem: made.keyPem, body: { csr: made.csrPem } };
}

function privateKeyOf(issued: Issued): string {
  if (issued.privateKeyPem !== undefined) return issued.privateKeyPem;
  throw new FileError('The gateway was asked to make the key, and its answer holds none.');
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new FileError(`Cannot read ${path}: ${systemReason(error)}.`, { cause: error });
  }
}

/** True where the gateway refused, or nothing reached it. */
function nothingWasIssued(error: unknown): boolean {
  if (error instanceof GatewayProblemError)
    return (
      error.details.status < 500 &&
      error.code !== 'IDEMPOTENCY_OUTCOME_UNKNOWN' &&
      error.code !== 'REQUEST_TIMEOUT'
    );
  return (
    error instanceof CliError && error.name !== 'BrokenConnectionError' && error.code !== 'GATEWAY_BAD_ANSWER'
  );
}

function notWritten(error: unknown, name: string, issued: Issued): unknown {
  if (!(error instanceof CliError)) return error;
  return new FileError(
    `${error.message} The certificate ${issued.certificate.serial} of ${name} is issued, but its files are not complete.`,
    {
      cause: error,
      hints: [
        'Nothing is lost: a new key and certificate replace it, once there is room and right to write:',
        `postern device renew ${shellWord(name)} --out <folder> --drop-old`,
      ],
    },
  );
}
