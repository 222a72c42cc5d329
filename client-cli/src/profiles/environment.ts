import { X509Certificate } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { UsageError } from '../errors.js';
import { FileError, systemReason } from '../files/durable.js';
import type { Io } from '../io.js';
import { normalGateway } from './store.js';

/** The port of a gateway that nothing moved elsewhere. */
export const DEFAULT_HTTPS_PORT = 8443;

/** The data folder of a gateway on this machine (`make run`: POSTERN_DATA_DIR). */
export interface DataFolder {
  readonly path: string;
  /** The root CA of that gateway, null where it was never started. */
  readonly caPem: string | null;
  /** Where that gateway listens, as it wrote itself when it was ready; null where it did not. */
  readonly gateway: string | null;
}

/** What the environment says of the gateway that is meant. */
export interface GatewayEnvironment {
  /** POSTERN_DATA_DIR, where it is set. */
  readonly dataFolder: DataFolder | null;
  /** POSTERN_HTTPS_PORT, where it is set. */
  readonly port: number | null;
}

export function readEnvironment(io: Pick<Io, 'env' | 'cwd'>): GatewayEnvironment {
  const folder = io.env['POSTERN_DATA_DIR'] ?? '';
  return {
    dataFolder: folder === '' ? null : readDataFolder(resolve(io.cwd, folder)),
    port: portOf(io.env['POSTERN_HTTPS_PORT'] ?? ''),
  };
}

function portOf(text: string): number | null {
  if (text === '') return null;
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535)
    throw new UsageError(`POSTERN_HTTPS_PORT is "${text}"; it must be a port, 1 to 65535.`);
  return port;
}

export function readDataFolder(path: string): DataFolder {
  let real = path;
  try {
    real = realpathSync(path);
  } catch {
    // Not there (yet): the path as it was given is the name that it will have.
  }
  return { path: real, caPem: readIfThere(join(real, 'ca', 'rootca.pem')), gateway: readGateway(real) };
}

function readGateway(folder: string): string | null {
  const text = readIfThere(join(folder, 'gateway.json'));
  if (text === null) return null;
  try {
    const value = JSON.parse(text) as { url?: unknown } | null;
    return typeof value?.url === 'string' ? normalGateway(value.url) : null;
  } catch {
    // Written by another program, and only a hint to where that listens: the defaults still hold.
    return null;
  }
}

function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new FileError(`Cannot read ${path}: ${systemReason(error)}.`, { cause: error });
  }
}

/** The first certificate of a PEM file, so that two copies of one CA compare as equal; null where it is none. */
export function caFingerprint(pem: string | null): string | null {
  if (pem === null) return null;
  try {
    return new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase();
  } catch {
    return null;
  }
}
