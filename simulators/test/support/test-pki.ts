import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A throw-away CA, made with openssl: the simulators must work with what another program signed. */
export class TestPki {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    this.#openssl(
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out rootca.pem -subj /CN=test-root -days 2',
    );
  }

  get rootPath(): string {
    return join(this.#folder, 'rootca.pem');
  }

  /** A leaf with CN = name and the SANs given; returns the paths of chain and key. */
  issue(name: string, sans: string): { cert: string; key: string } {
    const ext = join(this.#folder, `${name}.ext`);
    writeFileSync(ext, `subjectAltName=${sans}\n`);
    this.#openssl(
      `req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`,
    );
    this.#openssl(
      `x509 -req -in ${name}.csr -CA rootca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ${name}.ext -out ${name}.pem`,
    );
    chmodSync(join(this.#folder, `${name}.key`), 0o600);
    return this.pathsOf(name);
  }

  /** Where the files of a leaf that was issued lie. */
  pathsOf(name: string): { cert: string; key: string } {
    return { cert: join(this.#folder, `${name}.pem`), key: join(this.#folder, `${name}.key`) };
  }

  issueDevice(deviceId: string): { cert: string; key: string } {
    return this.issue(deviceId, `DNS:${deviceId}`);
  }

  /** A device's folder as registration writes it. */
  writeDeviceFolder(folder: string, deviceId: string, ports: { mqtts: number; amqps: number }): string {
    const { cert, key } = this.issueDevice(deviceId);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const put = (name: string, text: string, mode: number): void =>
      writeFileSync(join(folder, name), text, { mode });
    put('chain.pem', readFileSync(cert, 'utf8'), 0o600);
    put('key.pem', readFileSync(key, 'utf8'), 0o600);
    put('rootca.pem', readFileSync(this.rootPath, 'utf8'), 0o644);
    put(
      'device.json',
      JSON.stringify({
        deviceId,
        name: 'lamp',
        mqtts: { host: 'localhost', port: ports.mqtts },
        amqps: { host: 'localhost', port: ports.amqps },
      }),
      0o600,
    );
    return folder;
  }

  #openssl(command: string): void {
    execFileSync('openssl', command.split(' '), { cwd: this.#folder, stdio: 'pipe' });
  }
}
