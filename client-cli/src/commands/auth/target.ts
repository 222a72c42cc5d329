import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { CommandContext } from '../../context.js';
import { UsageError } from '../../errors.js';
import { FileError, systemReason } from '../../files/durable.js';
import {
  DEFAULT_HTTPS_PORT,
  caFingerprint,
  readDataFolder,
  type DataFolder,
} from '../../profiles/environment.js';
import { gatewayOf, localGateway } from '../../profiles/select.js';

/** A gateway to log in on, and what proves that it is the one. */
export interface Target {
  readonly gateway: string;
  /** Null: the system's trust store decides. */
  readonly caPem: string | null;
  /** Where the CA was found, for the remark after login. */
  readonly caSource: string | null;
  /** The data folder of that gateway, where it is on this machine. */
  readonly dataDir: string | null;
}

/**
 * The gateway: `--gateway`, POSTERN_HTTPS_PORT, what the data folder says, https://localhost:8443.
 * The CA: `--ca`, that of POSTERN_DATA_DIR, that of `.postern` in the current folder, the system's.
 */
export function loginTarget(ctx: CommandContext, caOption: string | undefined): Target {
  const { dataFolder, port } = ctx.environment();
  const here = dataFolder ?? readDataFolder(resolve(ctx.io.cwd, '.postern'));
  const gateway =
    ctx.globals.gateway !== undefined
      ? gatewayOf(ctx.globals.gateway)
      : port !== null
        ? localGateway(port)
        : (here.gateway ?? localGateway(DEFAULT_HTTPS_PORT));
  if (caOption !== undefined) {
    const path = resolve(ctx.io.cwd, caOption);
    const caPem = readCa(path);
    return { gateway, caPem, caSource: path, dataDir: folderOf(caPem, [here, folderOfCa(path)]) };
  }
  if (here.caPem !== null) {
    const path = resolve(here.path, 'ca', 'rootca.pem');
    return { gateway, caPem: checkCa(here.caPem, path), caSource: path, dataDir: here.path };
  }
  if (dataFolder !== null)
    throw new UsageError(`POSTERN_DATA_DIR is ${dataFolder.path}, and there is no ca/rootca.pem in it.`, {
      hints: ['make run puts it there when it starts for the first time; --ca <file> names another.'],
    });
  return { gateway, caPem: null, caSource: null, dataDir: null };
}

function readCa(path: string): string {
  try {
    return checkCa(readFileSync(path, 'utf8'), path);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new FileError(`Cannot read the CA ${path}: ${systemReason(error)}.`, { cause: error });
  }
}

function checkCa(pem: string, path: string): string {
  try {
    if (new X509Certificate(pem).ca) return pem;
  } catch (error) {
    throw new UsageError(`${path} is not a certificate in PEM (-----BEGIN CERTIFICATE-----).`, {
      cause: error,
    });
  }
  throw new UsageError(`${path} is a certificate, but not that of a CA (RFC 5280 4.2.1.9: cA is not true).`, {
    hints: [
      '--ca takes the CA that issued the certificate of the gateway; of make run: $POSTERN_DATA_DIR/ca/rootca.pem',
    ],
  });
}

/** `<folder>/ca/rootca.pem` beside a `gateway.json` is the CA of a gateway of this machine. */
function folderOfCa(path: string): DataFolder | null {
  if (basename(path) !== 'rootca.pem' || basename(dirname(path)) !== 'ca') return null;
  const folder = readDataFolder(dirname(dirname(path)));
  return folder.gateway === null ? null : folder;
}

function folderOf(caPem: string, candidates: readonly (DataFolder | null)[]): string | null {
  const wanted = caFingerprint(caPem);
  return candidates.find((folder) => folder !== null && caFingerprint(folder.caPem) === wanted)?.path ?? null;
}
