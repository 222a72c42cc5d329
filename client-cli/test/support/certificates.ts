import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Certificates by the openssl command, so that what the CLI meets was made by something independent of it. */
export interface TestCa {
  readonly folder: string;
  readonly caFile: string;
  readonly caPem: string;
}

const openssl = (...args: string[]): string =>
  execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString();

export function makeCa(folder: string, name: string): TestCa {
  const caFile = join(folder, `${name}.pem`);
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '30',
    '-subj',
    `/CN=${name}`,
    '-addext',
    'keyUsage=critical,keyCertSign,cRLSign',
    '-keyout',
    join(folder, `${name}.key`),
    '-out',
    caFile,
  );
  return { folder, caFile, caPem: readFileSync(caFile, 'utf8') };
}

export interface ServerCertificate {
  readonly key: string;
  readonly cert: string;
}

/** A server's certificate; `from` and `until` as openssl takes them (YYYYMMDDHHMMSSZ). */
export function makeServerCertificate(
  ca: TestCa,
  options: { san: string; from?: string; until?: string },
): ServerCertificate {
  const base = join(ca.folder, `server-${Math.random().toString(36).slice(2)}`);
  openssl(
    'req',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=server',
    '-keyout',
    `${base}.key`,
    '-out',
    `${base}.csr`,
  );
  writeFileSync(`${base}.cnf`, `subjectAltName=${options.san}\nextendedKeyUsage=serverAuth\n`);
  if (options.until === undefined) sign(ca, `${base}.csr`, `${base}.pem`, `${base}.cnf`, '30');
  else {
    // `openssl x509` of version 3.0 cannot set dates; `openssl ca` can.
    writeFileSync(`${base}.db`, '');
    writeFileSync(
      `${base}.ca.cnf`,
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${base}.db\nnew_certs_dir=${ca.folder}\nrand_serial=yes\ndefault_md=sha256\npolicy=p\n` +
        `[p]\ncommonName=supplied\n[e]\nsubjectAltName=${options.san}\n`,
    );
    openssl(
      'ca',
      '-batch',
      '-notext',
      '-config',
      `${base}.ca.cnf`,
      '-extensions',
      'e',
      '-cert',
      ca.caFile,
      '-keyfile',
      ca.caFile.replace(/pem$/, 'key'),
      '-startdate',
      options.from ?? '20200101000000Z',
      '-enddate',
      options.until,
      '-in',
      `${base}.csr`,
      '-out',
      `${base}.pem`,
    );
  }
  return { key: readFileSync(`${base}.key`, 'utf8'), cert: readFileSync(`${base}.pem`, 'utf8') };
}

/** What the gateway does with a CSR: checks its signature and certifies its key. */
export function signRequest(ca: TestCa, csrPem: string, deviceId: string): string {
  const base = join(ca.folder, `leaf-${Math.random().toString(36).slice(2)}`);
  writeFileSync(`${base}.csr`, csrPem);
  openssl('req', '-in', `${base}.csr`, '-verify', '-noout');
  writeFileSync(`${base}.cnf`, `subjectAltName=DNS:${deviceId}\nextendedKeyUsage=clientAuth\n`);
  sign(ca, `${base}.csr`, `${base}.pem`, `${base}.cnf`, '30', ['-subj', `/CN=${deviceId}`]);
  return readFileSync(`${base}.pem`, 'utf8');
}

function sign(
  ca: TestCa,
  csr: string,
  out: string,
  extensions: string,
  days: string,
  more: string[] = [],
): void {
  openssl(
    'x509',
    '-req',
    '-in',
    csr,
    '-CA',
    ca.caFile,
    '-CAkey',
    ca.caFile.replace(/pem$/, 'key'),
    '-days',
    days,
    '-extfile',
    extensions,
    '-out',
    out,
    ...more,
  );
}
