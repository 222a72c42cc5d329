import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Leaf {
  /** Leaf, then issuing CA. */
  certFile: string;
  keyFile: string;
  cert: Buffer;
  key: Buffer;
}

type Profile = 'server' | 'client';

const seconds = (date: Date): string => `${date.toISOString().replace(/[-:T]|\.\d+Z/g, '')}Z`;

/** A root, an issuing CA and leaves by openssl: what the certs room makes, without depending on it. */
export class TestPki {
  readonly #dir: string;
  readonly #label: string;
  #serial = 0;

  constructor(dir: string, label = 'Test') {
    this.#dir = dir;
    this.#label = label;
    mkdirSync(this.crlDir, { recursive: true });
    writeFileSync(this.#file('index.txt'), '');
    writeFileSync(
      this.#file('ca.cnf'),
      [
        '[ca]',
        'default_ca = issuing',
        '[issuing]',
        `database = ${this.#file('index.txt')}`,
        `new_certs_dir = ${dir}`,
        `serial = ${this.#file('serial')}`,
        `certificate = ${this.#file('issuing.pem')}`,
        `private_key = ${this.#file('issuing.key')}`,
        `crlnumber = ${this.#file('crlnumber')}`,
        'default_md = sha256',
        'policy = any',
        'unique_subject = no',
        'crl_extensions = crl',
        '[any]',
        'commonName = supplied',
        '[crl]',
        'authorityKeyIdentifier = keyid',
      ].join('\n'),
    );
    writeFileSync(this.#file('crlnumber'), '01\n');
    this.#key('root', 'ec');
    this.#openssl(
      'req -x509 -new -key root.key -out root.pem -days 30 -addext keyUsage=critical,keyCertSign,cRLSign -subj',
      `/CN=${label} Root`,
    );
    this.#key('issuing', 'ec');
    this.#openssl('req -new -key issuing.key -out issuing.csr -subj', `/CN=${label} Issuing`);
    writeFileSync(
      this.#file('issuing.ext'),
      'basicConstraints=critical,CA:true,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n' +
        'subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n',
    );
    this.#openssl(
      'x509 -req -in issuing.csr -CA root.pem -CAkey root.key -set_serial 2 -days 30 -extfile issuing.ext -out issuing.pem',
    );
    writeFileSync(this.caFile, this.read('root.pem') + this.read('issuing.pem'));
    this.publishCrl();
  }

  /** Root and issuing CA. */
  get caFile(): string {
    return this.#file('bundle.pem');
  }

  get rootFile(): string {
    return this.#file('root.pem');
  }

  get crlDir(): string {
    return join(this.#dir, 'crl');
  }

  /** Where the broker looks for the issuing CA's CRL. */
  get crlFile(): string {
    const hash = this.#openssl('x509 -noout -subject_hash -in issuing.pem').trim();
    return join(this.crlDir, `${hash}.r0`);
  }

  read(name: string): string {
    return readFileSync(this.#file(name), 'utf8');
  }

  /** A leaf as the profiles of the certs room make it: one EKU, SAN, a CRL distribution point. */
  leaf(options: {
    commonName: string;
    profile?: Profile;
    san?: string | null;
    keyType?: 'ec' | 'rsa';
    notBefore?: Date;
    notAfter?: Date;
    selfSigned?: boolean;
  }): Leaf {
    const { commonName, profile = 'client', keyType = 'ec' } = options;
    const san = options.san === undefined ? `DNS:${commonName}` : options.san;
    const name = `leaf${++this.#serial}`;
    this.#key(name, keyType);
    this.#openssl(`req -new -key ${name}.key -out ${name}.csr -subj`, `/CN=${commonName}`);
    writeFileSync(
      this.#file(`${name}.ext`),
      [
        'basicConstraints=CA:false',
        'keyUsage=critical,digitalSignature',
        `extendedKeyUsage=${profile}Auth`,
        'subjectKeyIdentifier=hash',
        'authorityKeyIdentifier=keyid',
        'crlDistributionPoints=URI:http://127.0.0.1:1/issuing.crl',
        ...(san === null ? [] : [`subjectAltName=${san}`]),
      ].join('\n'),
    );
    if (options.selfSigned) {
      this.#openssl(`x509 -req -in ${name}.csr -key ${name}.key -days 2 -out ${name}.pem`);
    } else {
      writeFileSync(this.#file('serial'), `${(0x1000 + this.#serial).toString(16)}\n`);
      const from = options.notBefore ?? new Date(Date.now() - 3_600_000);
      const to = options.notAfter ?? new Date(Date.now() + 86_400_000);
      this.#openssl(
        `ca -config ca.cnf -batch -notext -startdate ${seconds(from)} -enddate ${seconds(to)} -extfile ${name}.ext -in ${name}.csr -out ${name}.leaf`,
      );
      writeFileSync(this.#file(`${name}.pem`), this.read(`${name}.leaf`) + this.read('issuing.pem'));
    }
    const certFile = this.#file(`${name}.pem`);
    const keyFile = this.#file(`${name}.key`);
    return { certFile, keyFile, cert: readFileSync(certFile), key: readFileSync(keyFile) };
  }

  /** A certificate that another leaf signed, as if it were a CA. */
  leafIssuedBy(issuer: Leaf, commonName: string): Leaf {
    const name = `leaf${++this.#serial}`;
    this.#key(name, 'ec');
    this.#openssl(`req -new -key ${name}.key -out ${name}.csr -subj`, `/CN=${commonName}`);
    this.#openssl(
      `x509 -req -in ${name}.csr -CA ${issuer.certFile} -CAkey ${issuer.keyFile} -set_serial 77 -days 2 -out ${name}.leaf`,
    );
    const cert = Buffer.from(this.read(`${name}.leaf`) + issuer.cert.toString());
    return {
      certFile: this.#file(`${name}.leaf`),
      keyFile: this.#file(`${name}.key`),
      cert,
      key: Buffer.from(this.read(`${name}.key`)),
    };
  }

  /** Puts the leaf on the list; the broker hears of it by {@link publishCrl}. */
  revoke(leaf: Leaf): void {
    this.#openssl(`ca -config ca.cnf -batch -revoke`, leaf.certFile.replace(/\.pem$/, '.leaf'));
  }

  /** Writes the CRL as the gateway does: whole or not at all. */
  publishCrl(validSeconds = 86_400): void {
    this.#openssl(`ca -config ca.cnf -gencrl -crlsec ${validSeconds} -out issuing.crl`);
    const temporary = join(this.crlDir, 'next');
    writeFileSync(temporary, this.read('issuing.crl'));
    renameSync(temporary, this.crlFile);
  }

  #file(name: string): string {
    return join(this.#dir, name);
  }

  #key(name: string, type: 'ec' | 'rsa'): void {
    const how = type === 'ec' ? 'EC -pkeyopt ec_paramgen_curve:P-256' : 'RSA -pkeyopt rsa_keygen_bits:2048';
    this.#openssl(`genpkey -algorithm ${how} -out ${name}.key`);
  }

  /** `last` is one argument that may hold spaces. */
  #openssl(line: string, last?: string): string {
    return execFileSync('openssl', [...line.split(' '), ...(last === undefined ? [] : [last])], {
      cwd: this.#dir,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  get label(): string {
    return this.#label;
  }
}
