import { Agent, request } from 'node:https';
import type { IncomingHttpHeaders } from 'node:http';
import type { Exchange, ExchangeValidator } from '../../../src/http/exchange-validator.js';

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look at answers of any shape
  body: any;
}
export interface CallOptions {
  token?: string | undefined;
  body?: unknown;
  /** Sent as it is, instead of `body`. */
  raw?: string | Buffer;
  headers?: Record<string, string>;
  agent?: Agent;
}

/** Calls the gateway over HTTPS with its root pinned, and holds each answer against the OpenAPI document. */
export class Client {
  readonly exchanges: Exchange[] = [];
  readonly violations: string[] = [];
  readonly agent: Agent;

  constructor(
    readonly port: number,
    ca: string,
    private readonly validate: ExchangeValidator,
  ) {
    this.agent = new Agent({ ca, keepAlive: true, servername: 'localhost', maxSockets: 64 });
  }

  call(method: string, path: string, options: CallOptions = {}): Promise<Answer> {
    const payload =
      options.raw !== undefined
        ? Buffer.from(options.raw)
        : options.body === undefined
          ? null
          : Buffer.from(JSON.stringify(options.body));
    const headers: Record<string, string | number> = {
      ...(payload && { 'content-type': 'application/json', 'content-length': payload.length }),
      ...(options.token !== undefined && { authorization: `Bearer ${options.token}` }),
      ...options.headers,
    };
    return new Promise((resolve, reject) => {
      const req = request(
        { host: '127.0.0.1', port: this.port, method, path, headers, agent: options.agent ?? this.agent },
        (res) => {
          const chunks: Buffer[] = [];
          res.on('data', (chunk: Buffer) => chunks.push(chunk));
          res.on('error', reject);
          res.on('end', () => {
            const bytes = Buffer.concat(chunks);
            const text = bytes.toString('utf8');
            const status = res.statusCode!;
            const exchange: Exchange = { method, path, status, headers: res.headers, body: bytes };
            this.exchanges.push(exchange);
            this.violations.push(...this.validate(exchange));
            const isJson = /[/+]json/.test(res.headers['content-type'] ?? '') && text !== '';
            resolve({ status, headers: res.headers, text, body: isJson ? JSON.parse(text) : undefined });
          });
        },
      );
      req.on('error', reject);
      req.end(payload ?? undefined);
    });
  }

  get = (path: string, options?: CallOptions) => this.call('GET', path, options);
  post = (path: string, body?: unknown, options?: CallOptions) =>
    this.call('POST', path, { ...options, body });
  put = (path: string, body?: unknown, options?: CallOptions) => this.call('PUT', path, { ...options, body });
  delete = (path: string, options?: CallOptions) => this.call('DELETE', path, options);

  close(): void {
    this.agent.destroy();
  }
}
