import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describeCertificate } from '../describe.js';
import { isErrno, syncFolder, writeNewFile } from '../durable-files.js';
import { updateLedger } from '../ledger.js';
import type { Authority, IssuedCertificate, KeySource } from '../types.js';
import { UsageError } from './usage-error.js';

export const PROFILES = ['broker', 'https', 'gateway', 'device'] as const;
export type Profile = (typeof PROFILES)[number];

export interface IssueOptions {
  readonly id?: string;
  readonly cn?: string;
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly days?: number;
  readonly out: string;
}

/** Issues, notes it in the ledger, and only then hands the files out: nothing is out there that cannot be revoked. */
export async function issue(
  authority: Authority,
  profile: Profile,
  options: IssueOptions & { readonly ledger: string; readonly source: KeySource },
  line: (text: string) => void,
): Promise<void> {
  const issued = await issueProfile(authority, profile, options);
  const { commonName } = describeCertificate(issued.certificatePem);
  await updateLedger(options.ledger, (ledger) => ({
    ledger: {
      ...ledger,
      certificates: [
        ...ledger.certificates,
        {
          serial: issued.serial,
          profile,
          commonName,
          notAfter: issued.notAfter,
          revokedAt: null,
          reason: null,
        },
      ],
    },
    result: undefined,
  }));
  await writeFiles(options.out, commonName.replace('*', '_'), issued, line);
  line(`serial ${issued.serial}, good until ${new Date(issued.notAfter).toISOString()}`);
}

function issueProfile(
  authority: Authority,
  profile: Profile,
  options: IssueOptions & { readonly source: KeySource },
): Promise<IssuedCertificate> {
  const common = { ...options.source, ...(options.days === undefined ? {} : { validityDays: options.days }) };
  const isServer = profile === 'broker' || profile === 'https';
  refuse(options.id !== undefined && profile !== 'device', '--id is for the profile device.');
  refuse(options.cn !== undefined && profile !== 'gateway', '--cn is for the profile gateway.');
  refuse(options.dns.length + options.ip.length > 0 && !isServer, '--dns and --ip are for broker and https.');
  if (isServer) {
    const server = { ...common, dnsNames: options.dns, ipAddresses: options.ip };
    return profile === 'broker' ? authority.issueBrokerServer(server) : authority.issueHttpsServer(server);
  }
  if (profile === 'gateway') {
    return authority.issueGatewayClient({
      ...common,
      ...(options.cn === undefined ? {} : { commonName: options.cn }),
    });
  }
  if (options.id === undefined) throw new UsageError('A device needs its id: --id <deviceId>.');
  return authority.issueDevice({ ...common, deviceId: options.id });
}

function refuse(when: boolean, message: string): void {
  if (when) throw new UsageError(message);
}

async function writeFiles(
  dir: string,
  name: string,
  issued: IssuedCertificate,
  line: (text: string) => void,
): Promise<void> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const files: [path: string, content: string, mode: number][] = [
    [join(dir, `${name}.crt.pem`), issued.chainPem, 0o644],
  ];
  // The key first: where it cannot be written, no certificate lies there without one.
  if (issued.privateKeyPem !== undefined)
    files.unshift([join(dir, `${name}.key.pem`), issued.privateKeyPem, 0o600]);
  for (const [path, content, mode] of files) {
    try {
      await writeNewFile(path, content, mode);
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error;
      throw new UsageError(
        `${path} is there already and is not overwritten: take another folder with --out.`,
      );
    }
    line(path);
  }
  await syncFolder(dir);
}
