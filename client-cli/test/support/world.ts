import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeCa, makeServerCertificate, type TestCa } from './certificates.js';
import { PASSWORD, Shell } from './cli.js';
import { TestGateway } from './gateway.js';

/** A CA, a gateway with a user `demo`, and a machine that is logged in on it. */
export class World {
  private constructor(
    readonly folder: string,
    readonly ca: TestCa,
    readonly gateway: TestGateway,
    readonly shell: Shell,
  ) {}

  static async make(): Promise<World> {
    const folder = mkdtempSync(join(tmpdir(), 'postern-ca-'));
    const ca = makeCa(folder, 'root');
    const gateway = await TestGateway.start(
      ca,
      makeServerCertificate(ca, { san: 'DNS:localhost,IP:127.0.0.1' }),
    );
    gateway.users.set('demo', PASSWORD);
    return new World(folder, ca, gateway, new Shell());
  }

  async login(): Promise<void> {
    await this.shell.login(this.gateway.url, this.ca.caFile);
  }

  async dispose(): Promise<void> {
    this.shell.dispose();
    await this.gateway.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
