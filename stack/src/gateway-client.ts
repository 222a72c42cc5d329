import { Agent, request } from 'node:https';

/** An answer must begin within this, in milliseconds: the gateway is on this machine. */
const ANSWER_TIMEOUT_MS = 10_000;
/** What this room asks for is small; more is not read. Bytes. */
const MAX_ANSWER_BYTES = 64 * 1024;

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** HTTPS to a gateway of this machine; its certificate is checked against our own root. */
export class GatewayClient {
  readonly #agent: Agent;
  readonly #host: string;
  readonly #port: number;

  constructor(options: { host: string; port: number; rootPem: string }) {
    this.#host = options.host;
    this.#port = options.port;
    // Each question on a connection of its own: nothing here is worth keeping one open.
    this.#agent = new Agent({ ca: options.rootPem, servername: 'localhost', keepAlive: false });
  }

  /** @throws the socket's error where there is no answer */
  call(method: 'GET' | 'POST', path: string, body?: object): Promise<Answer> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          host: this.#host,
          port: this.#port,
          method,
          path,
          agent: this.#agent,
          timeout: ANSWER_TIMEOUT_MS,
          headers: {
            host: `localhost:${this.#port}`,
            ...(text !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(text),
            }),
          },
        },
        (response) => {
          let answer = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            if (answer.length < MAX_ANSWER_BYTES) answer += chunk;
          });
          response.once('error', reject);
          response.once('end', () => resolve({ status: response.statusCode ?? 0, body: answer }));
        },
      );
      sent.once('timeout', () => sent.destroy(new Error('The gateway did not answer.')));
      sent.once('error', reject);
      sent.end(text);
    });
  }

  /** True where the answer is 200, false for any other or none. */
  async isOk(path: string): Promise<boolean> {
    return this.call('GET', path).then(
      ({ status }) => status === 200,
      () => false,
    );
  }
}
