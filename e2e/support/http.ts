import { Agent, request as httpsRequest } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import { randomBytes } from 'node:crypto';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** The body as JSON; undefined where it is none. */
  readonly json: any; // eslint-disable-line @typescript-eslint/no-explicit-any -- a test reads whatever came
}

export interface ClientOptions {
  readonly url: string;
  readonly ca: string;
  /** Connections kept open; default 64. */
  readonly maxSockets?: number;
}

/** HTTPS with a JSON body, also on GET, and TLS checked against our root. */
export class Client {
  readonly agent: Agent;

  constructor(private readonly options: ClientOptions) {
    this.agent = new Agent({ keepAlive: true, maxSockets: options.maxSockets ?? 64, ca: options.ca });
  }

  send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    const payload =
      body === undefined ? undefined : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
    return new Promise((resolve, reject) => {
      const outgoing = httpsRequest(
        new URL(path, this.options.url),
        {
          method,
          agent: this.agent,
          headers: {
            ...(payload && { 'content-type': 'application/json', 'content-length': String(payload.length) }),
            ...headers,
          },
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8');
            let json: unknown;
            try {
              json = JSON.parse(text);
            } catch {
              json = undefined;
            }
            resolve({ status: response.statusCode!, headers: response.headers, text, json });
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end(payload);
    });
  }

  close(): void {
    this.agent.destroy();
  }
}

/** A user of the flat calls. */
export class FlatUser {
  secret = '';

  constructor(
    readonly client: Client,
    readonly username = `user_${randomBytes(6).toString('hex')}@example_com`,
    readonly password = randomBytes(6).toString('hex'),
  ) {}

  static async signUp(client: Client): Promise<FlatUser> {
    const user = new FlatUser(client);
    const { username, password } = user;
    const signup = await client.send('POST', '/signup', { username, password });
    if (signup.json?.status !== 'OK') throw new Error(`signup: ${signup.status} ${signup.text}`);
    await user.logIn();
    return user;
  }

  async logIn(): Promise<void> {
    const { username, password } = this;
    const login = await this.client.send('POST', '/login', { username, password });
    if (login.json?.status !== 'OK') throw new Error(`login: ${login.status} ${login.text}`);
    this.secret = login.json.secret as string;
  }

  call(method: 'GET' | 'POST', path: string, fields: Record<string, unknown> = {}): Promise<Answer> {
    return this.client.send(method, path, { username: this.username, secret: this.secret, ...fields });
  }

  async register(devicename: string): Promise<FlatDevice> {
    const answer = await this.call('POST', '/register_device', { devicename });
    if (answer.json?.status !== 'OK') throw new Error(`register_device: ${answer.status} ${answer.text}`);
    return answer.json as FlatDevice;
  }
}

/** What `/register_device` returns. */
export interface FlatDevice {
  readonly devicename: string;
  readonly deviceid: string;
  readonly rootca: string;
  readonly devicecert: string;
  readonly devicepkey: string;
  readonly username: string;
  readonly password: string;
}

/** A user of `/api/v1`. */
export class ApiUser {
  accessToken = '';
  refreshToken = '';

  constructor(
    readonly client: Client,
    readonly username = `user-${randomBytes(6).toString('hex')}`,
    readonly password = randomBytes(12).toString('hex'),
  ) {}

  static async signUp(client: Client): Promise<ApiUser> {
    const user = new ApiUser(client);
    const { username, password } = user;
    const signup = await client.send('POST', '/api/v1/auth/signup', { username, password });
    if (signup.status !== 201) throw new Error(`signup: ${signup.status} ${signup.text}`);
    await user.logIn();
    return user;
  }

  async logIn(): Promise<void> {
    const { username, password } = this;
    const login = await this.client.send('POST', '/api/v1/auth/login', { username, password });
    if (login.status !== 200) throw new Error(`login: ${login.status} ${login.text}`);
    this.accessToken = login.json.accessToken as string;
    this.refreshToken = login.json.refreshToken as string;
  }

  call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.client.send(method, `/api/v1/${path}`, body, {
      authorization: `Bearer ${this.accessToken}`,
      ...headers,
    });
  }
}
