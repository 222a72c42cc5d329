import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { HttpConnection, type Answer } from './http-connection.js';
import type { Facts } from './stack.js';
import type { BenchDevice } from './workers/devices.js';
import type { HttpTarget, RegisterReport } from './workers/http.js';
import type { Worker } from './worker.js';

/** A registered device: its name for callers, the rest for the device itself. */
export interface Registered extends BenchDevice {
  name: string;
}

export const targetOf = (facts: Facts, instances = 1): HttpTarget => ({
  urls: facts.gateways.slice(0, instances).map(({ url }) => url),
  caFile: facts.caFile,
});

/** A user of Postern's: registers devices, and calls them. */
export class Account {
  readonly username = `bench-${randomBytes(4).toString('hex')}`;
  readonly #password = randomBytes(12).toString('base64url');
  accessToken = '';

  private constructor(
    private readonly facts: () => Facts,
    private readonly folder: string,
  ) {}

  /** `folder`: where devices' files go. */
  static async signUp(facts: () => Facts, folder: string): Promise<Account> {
    const account = new Account(facts, folder);
    await account.#send('/api/v1/auth/signup', account.#credentials, 201);
    await account.logIn();
    return account;
  }

  /** A fresh access token: they count for 15 minutes. */
  async logIn(): Promise<string> {
    const answer = await this.#send('/api/v1/auth/login', this.#credentials, 200);
    this.accessToken = (JSON.parse(answer.body) as { accessToken: string }).accessToken;
    return this.accessToken;
  }

  /** The flat calls' credentials. */
  async flatLogIn(): Promise<{ username: string; secret: string }> {
    const answer = await this.#send('/login', this.#credentials, 200);
    const { secret } = JSON.parse(answer.body) as { secret: string };
    return { username: this.username, secret };
  }

  /** Registers devices with keys that the gateway makes, and writes their files. */
  async register(
    worker: Worker,
    prefix: string,
    count: number,
  ): Promise<{ devices: Registered[]; report: RegisterReport }> {
    const names = Array.from({ length: count }, (_, index) => `${prefix}-${index}`);
    const report = await worker.ask<RegisterReport>('register', {
      target: targetOf(this.facts()),
      accessToken: this.accessToken,
      names,
      inFlight: 16,
    });
    if (Object.keys(report.failures).length > 0)
      throw new Error(`devices could not be registered: ${JSON.stringify(report.failures)}`);
    return { devices: report.issued.map((one) => this.#write(one as Issued)), report };
  }

  #write(issued: Issued): Registered {
    const id = issued.device.id;
    const folder = join(this.folder, id);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const certFile = join(folder, 'chain.pem');
    const keyFile = join(folder, 'key.pem');
    writeFileSync(certFile, issued.chainPem);
    writeFileSync(keyFile, issued.privateKeyPem, { mode: 0o600 });
    return { id, name: issued.device.name, certFile, keyFile };
  }

  get #credentials(): { username: string; password: string } {
    return { username: this.username, password: this.#password };
  }

  async #send(path: string, body: object, expected: number): Promise<Answer> {
    const { url, caFile } = this.facts();
    const { hostname, port, host } = new URL(url);
    const connection = new HttpConnection({ host: hostname, port: Number(port), ca: readFileSync(caFile) });
    try {
      const head = `POST ${path} HTTP/1.1\r\nHost: ${host}\r\nContent-Type: application/json\r\n`;
      const answer = await connection.request(head, JSON.stringify(body));
      if (answer.status !== expected) throw new Error(`${path} answered ${answer.status}: ${answer.body}`);
      return answer;
    } finally {
      connection.close();
    }
  }
}

interface Issued {
  device: { id: string; name: string };
  chainPem: string;
  privateKeyPem: string;
}
