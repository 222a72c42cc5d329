import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAuthority } from '@postern/certs';
import { until } from './cli.js';

const MAIN = fileURLToPath(new URL('../../../webserver/dist/main.js', import.meta.url));

/** The gateway's own process on a data folder of its own, with no broker: all but the way to a device is real. */
export class RealGateway {
  private constructor(
    readonly dataDir: string,
    readonly url: string,
    private readonly child: ChildProcess,
  ) {}

  static async start(): Promise<RealGateway> {
    const dataDir = mkdtempSync(join(tmpdir(), 'postern-gateway-'));
    for (const folder of ['secrets', 'tls', 'crl']) mkdirSync(join(dataDir, folder), { mode: 0o700 });
    const secret = (name: string): string => {
      const path = join(dataDir, 'secrets', name);
      writeFileSync(path, `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
      return path;
    };
    const [keyFile, tokenKeyFile] = [secret('key-encryption.key'), secret('token.key')];
    const [https, nobody] = await freePorts(2);
    const authority = await createAuthority({
      dir: join(dataDir, 'ca'),
      keyFile,
      crlUrl: `https://localhost:${https}/ca/issuing.crl`,
    });
    const leaves = {
      https: await authority.issueHttpsServer({ dnsNames: ['localhost'], ipAddresses: ['127.0.0.1'] }),
      gateway: await authority.issueGatewayClient(),
      'broker-auth': await authority.issueHttpsServer({
        dnsNames: ['localhost'],
        ipAddresses: ['127.0.0.1'],
      }),
    };
    for (const [name, leaf] of Object.entries(leaves)) {
      writeFileSync(join(dataDir, 'tls', `${name}.pem`), leaf.chainPem, { mode: 0o600 });
      writeFileSync(join(dataDir, 'tls', `${name}.key.pem`), leaf.privateKeyPem!, { mode: 0o600 });
    }
    const url = `https://localhost:${https}`;
    writeFileSync(join(dataDir, 'gateway.json'), JSON.stringify({ url }));
    const child = spawn(process.execPath, [MAIN], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'] ?? '',
        POSTERN_DATA_DIR: dataDir,
        POSTERN_HTTPS_HOST: '127.0.0.1',
        POSTERN_HTTPS_PORT: String(https),
        POSTERN_AMQPS_PORT: String(nobody),
        POSTERN_BROKER_AUTH_PORT: '0',
        POSTERN_KEY_FILE: keyFile,
        POSTERN_TOKEN_KEY_FILE: tokenKeyFile,
        POSTERN_HTTPS_CERT_FILE: join(dataDir, 'tls', 'https.pem'),
        POSTERN_HTTPS_KEY_FILE: join(dataDir, 'tls', 'https.key.pem'),
        POSTERN_SCRYPT_COST: '15',
        POSTERN_LOGIN_RATE: '1000',
        POSTERN_LOG_LEVEL: 'info',
      },
    });
    let log = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (log += text));
    const gateway = new RealGateway(dataDir, url, child);
    try {
      await until(
        'the gateway listens',
        () => {
          if (child.exitCode !== null) throw new Error(`The gateway ended:\n${log}`);
          return log.includes('the gateway listens');
        },
        20_000,
      );
    } catch (error) {
      await gateway.stop();
      throw error;
    }
    return gateway;
  }

  async stop(): Promise<void> {
    if (this.child.exitCode === null) {
      const gone = once(this.child, 'exit');
      this.child.kill('SIGKILL');
      await gone;
    }
    rmSync(this.dataDir, { recursive: true, force: true });
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
