import { X509Certificate } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Issued } from '@postern/protocol';
import { CliError } from '../errors.js';
import { FileError, syncFolder, systemReason, writeDurably, writeNew } from '../files/durable.js';

/** Files are there that would be written over. */
export class FileExistsError extends CliError {
  readonly code = 'FILE_EXISTS';
}

/** The configuration block of `--firmware ft900`. */
export const CONFIG_BLOCK = 'config.bin';
const KEY = 'key.pem';
/** The key until its certificate is there. */
const STAGED_KEY = 'key.pem.new';

/** The files of one device: key, certificate, chain, root and where to connect. 0600 in a folder of 0700. */
export class DeviceFolder {
  private made = false;
  constructor(
    readonly path: string,
    /** Extra files, by name: what they hold is made from the answer. */
    private readonly extra: Readonly<
      Record<string, (issued: Issued, keyPem: string) => string | Uint8Array>
    > = {},
  ) {}

  file(name: string): string {
    return join(this.path, name);
  }

  private names(withKey: boolean): string[] {
    return [
      ...(withKey ? [KEY] : []),
      'certificate.pem',
      'chain.pem',
      'rootca.pem',
      'device.json',
      ...Object.keys(this.extra),
    ];
  }

  /** Throws {@link FileExistsError} where something would be replaced (`replace`: that may be), or was left half done. */
  check({ withKey, replace }: { withKey: boolean; replace: boolean }): void {
    if (existsSync(this.file(STAGED_KEY)))
      throw new FileExistsError(`${this.file(STAGED_KEY)} is there: an earlier command was cut short.`, {
        hints: ['It is the key of no certificate that was written here: delete it, and go on.'],
      });
    const there = this.names(withKey).filter((name) => existsSync(this.file(name)));
    if (there.length > 0 && !replace)
      throw new FileExistsError(`${this.path} holds ${there.join(', ')} already. Nothing was done.`, {
        hints: ['--out names another folder; --force moves these files into a folder below it.'],
      });
  }

  /** The id of the device whose files these are; null where there is none. */
  deviceId(): string | null {
    try {
      const value = JSON.parse(readFileSync(this.file('device.json'), 'utf8')) as {
        deviceId?: unknown;
      } | null;
      return typeof value?.deviceId === 'string' ? value.deviceId : null;
    } catch {
      return null;
    }
  }

  /** Makes the folder, so that what fails, fails before the gateway is asked. */
  prepare(): void {
    this.guarded(() => {
      this.made = mkdirSync(this.path, { recursive: true, mode: 0o700 }) !== undefined;
    });
  }

  /** Puts the key on the disk before anyone certifies it. */
  stageKey(keyPem: string): void {
    this.guarded(() => writeNew(this.file(STAGED_KEY), keyPem));
  }

  /** Takes back {@link prepare} and {@link stageKey}, where it is sure that nothing was issued. */
  discard(): void {
    rmSync(this.file(STAGED_KEY), { force: true });
    if (!this.made) return;
    try {
      rmdirSync(this.path);
    } catch {
      // No longer empty: someone else's files.
    }
  }

  /**
   * Writes what was issued. What was there goes to `previous-<serial>` below. `keyPem` is the gateway's key or
   * the staged one, null where the key never was here. Answers where the earlier files went.
   */
  write(issued: Issued, name: string, keyPem: string | null): { movedTo: string | null } {
    const extra = Object.entries(this.extra).map(
      ([file, make]) => [file, make(issued, keyPem ?? '')] as const,
    );
    return this.guarded(() => {
      if (keyPem !== null && !existsSync(this.file(STAGED_KEY))) writeNew(this.file(STAGED_KEY), keyPem);
      const movedTo = this.moveAside(keyPem !== null);
      const { mqtts, amqps } = issued.connection;
      const device = {
        deviceId: issued.device.id,
        name,
        mqtts: { host: mqtts.host, port: mqtts.port },
        amqps: { host: amqps.host, port: amqps.port },
      };
      writeDurably(this.file('certificate.pem'), issued.certificatePem);
      writeDurably(this.file('chain.pem'), issued.chainPem);
      writeDurably(this.file('rootca.pem'), issued.rootCaPem);
      writeDurably(this.file('device.json'), `${JSON.stringify(device, null, 2)}\n`);
      for (const [file, content] of extra) writeDurably(this.file(file), content);
      if (keyPem !== null) renameSync(this.file(STAGED_KEY), this.file(KEY));
      syncFolder(this.path);
      return { movedTo };
    });
  }

  /** The paths that {@link write} wrote. */
  files(withKey: boolean): Record<string, string> {
    return Object.fromEntries(
      this.names(withKey).map((name) => [name.replace(/\..*$/, ''), this.file(name)]),
    );
  }

  private moveAside(withKey: boolean): string | null {
    // An old configuration block goes with its certificate, also where no new one is made.
    const names = new Set([...this.names(withKey), CONFIG_BLOCK]);
    const there = [...names].filter((name) => existsSync(this.file(name)));
    if (there.length === 0) return null;
    const wanted = this.file(`previous-${this.serial() ?? 'unknown'}`);
    let folder = wanted;
    for (let n = 2; existsSync(folder); n += 1) folder = `${wanted}-${n}`;
    mkdirSync(folder, { mode: 0o700 });
    for (const name of there) renameSync(this.file(name), join(folder, name));
    return folder;
  }

  private serial(): string | null {
    try {
      return new X509Certificate(readFileSync(this.file('certificate.pem'))).serialNumber.toLowerCase();
    } catch {
      return null;
    }
  }

  private guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw new FileError(`Cannot write into ${this.path}: ${systemReason(error)}.`, { cause: error });
    }
  }
}
