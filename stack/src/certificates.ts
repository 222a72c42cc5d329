import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { openAuthority, openOrCreateAuthority, type Authority, type IssuedCertificate } from '@postern/certs';
import { BROKER_CLIENT_COMMON_NAME } from '@postern/protocol';
import { readIfThere, writeDurably, type DataFolder } from './data-folder.js';
import { StackError } from './errors.js';
import type { Say } from './screen.js';

/** Servers and gateway get a new leaf, at a start, once the old one has less than this left, in milliseconds. */
export const RENEW_BEFORE_MS = 30 * 24 * 60 * 60 * 1000;

export interface LeafFiles {
  /** Leaf first, then the issuing CA. */
  readonly certFile: string;
  /** PKCS#8, 0600. */
  readonly keyFile: string;
}

export interface Certificates {
  /** The root alone: what clients and devices trust. */
  readonly rootFile: string;
  /** Root and issuing CA: what servers check peers with, also those that send their leaf alone. */
  readonly trustFile: string;
  readonly broker: LeafFiles;
  readonly https: LeafFiles;
  /** The gateway, as a client of the broker. */
  readonly gateway: LeafFiles;
  /** The broker, as a client of the gateway, which it asks who may do what. */
  readonly brokerClient: LeafFiles;
  /** The gateway's listener for that, on loopback. */
  readonly brokerAuth: LeafFiles;
}

export interface CertificateOptions {
  readonly folder: DataFolder;
  readonly keyFile: string;
  /** The public URL of the CRL, for leaves to come. */
  readonly crlUrl: string;
  /** Beside localhost, the loopback addresses and the machine's own name. */
  readonly hostNames: readonly string[];
  readonly say: Say;
  readonly now?: () => number;
}

/** Each leaf, its files, and whom it speaks for. */
const LEAVES = {
  broker: { file: 'broker', title: 'the broker' },
  https: { file: 'https', title: 'the HTTPS server' },
  gateway: { file: 'gateway', title: 'the gateway' },
  brokerClient: { file: 'broker-client', title: 'the broker as a client' },
  brokerAuth: { file: 'broker-auth', title: "the gateway's listener for the broker" },
} as const;
type LeafName = keyof typeof LEAVES;
const LEAF_NAMES = Object.keys(LEAVES) as LeafName[];

/**
 * The CA and the leaves of broker, HTTPS server and gateway: made on the first run, renewed when they get old or
 * have to answer to other names.
 *
 * @throws CertsError for a CA whose files are damaged or gone
 * @throws StackError `LEAF_DAMAGED` for a leaf whose files are damaged
 */
export async function prepareCertificates(options: CertificateOptions): Promise<Certificates> {
  const { folder, keyFile, crlUrl, say } = options;
  const dir = folder.at('ca');
  const files = Object.fromEntries(LEAF_NAMES.map((name) => [name, leafFiles(folder, name)])) as Record<
    LeafName,
    LeafFiles
  >;
  const isFirst = !existsSync(dir);
  // Where there are leaves there was a CA. One that is gone must come back from the backup: a new one would
  // lock out every device.
  const open = LEAF_NAMES.some((name) => existsSync(files[name].certFile))
    ? openAuthority
    : openOrCreateAuthority;
  const authority = await open({ dir, keyFile, crlUrl });
  if (isFirst) say(`Made a certificate authority: ${folder.at('ca', 'rootca.pem')}`);

  const trustFile = folder.at('tls', 'trust.pem');
  if (readIfThere(trustFile) !== authority.trustBundlePem) writeDurably(trustFile, authority.trustBundlePem);

  const names = serverNames(options.hostNames);
  const loopback = serverNames([], '');
  const issuers: Record<LeafName, { names: ServerNames | null; issue: () => Promise<IssuedCertificate> }> = {
    broker: { names, issue: () => authority.issueBrokerServer(names) },
    https: { names, issue: () => authority.issueHttpsServer(names) },
    gateway: { names: null, issue: () => authority.issueGatewayClient() },
    brokerClient: {
      names: null,
      issue: () => authority.issueGatewayClient({ commonName: BROKER_CLIENT_COMMON_NAME }),
    },
    brokerAuth: { names: loopback, issue: () => authority.issueHttpsServer(loopback) },
  };
  const now = (options.now ?? Date.now)();
  for (const name of LEAF_NAMES) {
    const { names: wanted, issue } = issuers[name];
    const reason = whyNew(files[name], { authority, names: wanted, now });
    if (reason === null) continue;
    writeLeaf(files[name], await issue());
    if (reason !== 'first') say(`Renewed the certificate of ${LEAVES[name].title}: ${reason}.`);
  }
  return { rootFile: folder.at('ca', 'rootca.pem'), trustFile, ...files };
}

function leafFiles(folder: DataFolder, name: LeafName): LeafFiles {
  const { file } = LEAVES[name];
  return { certFile: folder.at('tls', `${file}.pem`), keyFile: folder.at('tls', `${file}.key.pem`) };
}

export interface ServerNames {
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
}

export function serverNames(hostNames: readonly string[], machine: string = hostname()): ServerNames {
  // A machine's name may hold what no certificate may (underscores, nothing but digits): then it is left out.
  const own = /^(?=.{1,253}$)(?=.*[A-Za-z])[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*$/.test(machine)
    ? [machine]
    : [];
  const all = ['localhost', ...own, ...hostNames].map((name) => name.toLowerCase());
  const addresses = ['127.0.0.1', '::1', ...all.filter((name) => isIP(name) !== 0)];
  return {
    dnsNames: [...new Set(all.filter((name) => isIP(name) === 0))],
    ipAddresses: [...new Set(addresses)],
  };
}

/** Null where the leaf can stay; `first` where there is none; else the reason in words. */
function whyNew(
  files: LeafFiles,
  wanted: { authority: Authority; names: ServerNames | null; now: number },
): string | null {
  finishWrite(files);
  const [certPem, keyPem] = [readIfThere(files.certFile), readIfThere(files.keyFile)];
  if (certPem === null && keyPem === null) return 'first';
  const leaf = readLeaf(files, certPem, keyPem);
  const issuing = new X509Certificate(wanted.authority.issuingCaPem);
  if (!leaf.checkIssued(issuing) || !leaf.verify(issuing.publicKey)) return 'it was of another authority';
  const left = Date.parse(leaf.validTo) - wanted.now;
  if (left <= 0) return `it ended on ${leaf.validTo}`;
  if (left < RENEW_BEFORE_MS) return `it ends on ${leaf.validTo}`;
  if (Date.parse(leaf.validFrom) > wanted.now) return 'it is not valid yet by the clock of this machine';
  return wanted.names !== null && !answersTo(leaf, wanted.names) ? 'it has to answer to other names' : null;
}

function readLeaf(files: LeafFiles, certPem: string | null, keyPem: string | null): X509Certificate {
  const damaged = (problem: string, cause?: unknown): StackError =>
    new StackError(
      'LEAF_DAMAGED',
      `${problem} Put ${files.certFile} and ${files.keyFile} back from a backup, or remove both to get new ones.`,
      { cause },
    );
  if (certPem === null || keyPem === null)
    throw damaged(`${certPem === null ? files.certFile : files.keyFile} is missing.`);
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(certPem);
  } catch (error) {
    throw damaged(`${files.certFile} is damaged: it holds no certificate in PEM.`, error);
  }
  try {
    if (leaf.checkPrivateKey(createPrivateKey(keyPem))) return leaf;
  } catch (error) {
    throw damaged(`${files.keyFile} is damaged: it holds no private key in PEM.`, error);
  }
  throw damaged(`${files.keyFile} is not the key of ${files.certFile}.`);
}

function answersTo(leaf: X509Certificate, names: ServerNames): boolean {
  const entries = (leaf.subjectAltName ?? '').split(', ').length;
  return (
    entries === names.dnsNames.length + names.ipAddresses.length &&
    names.dnsNames.every((name) => (leaf.subjectAltName ?? '').split(', ').includes(`DNS:${name}`)) &&
    names.ipAddresses.every((address) => leaf.checkIP(address) !== undefined)
  );
}

const PENDING = '.new';

/** Two files cannot change at once: both are on the disk before the first is put in its place. */
function writeLeaf(files: LeafFiles, issued: IssuedCertificate): void {
  if (issued.privateKeyPem === undefined) throw new Error('a leaf without a request comes with its key');
  writeDurably(files.keyFile + PENDING, issued.privateKeyPem);
  writeDurably(files.certFile + PENDING, issued.chainPem);
  finishWrite(files);
}

/** Also after a crash in the middle of {@link writeLeaf}; half of a pair that never got its other half goes. */
function finishWrite(files: LeafFiles): void {
  if (existsSync(files.certFile + PENDING)) {
    // The key goes first, so that a certificate that still waits means that the key may have gone already.
    if (existsSync(files.keyFile + PENDING)) renameSync(files.keyFile + PENDING, files.keyFile);
    renameSync(files.certFile + PENDING, files.certFile);
  }
  rmSync(files.keyFile + PENDING, { force: true });
}

/** For clients of the gateway's own. */
export function readRoot(certificates: Certificates): string {
  return readFileSync(certificates.rootFile, 'utf8');
}
