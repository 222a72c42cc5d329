import type { IncomingHttpHeaders } from 'node:http';
import { Agent, request } from 'node:https';
import { GatewayUnreachableError, explainTrouble } from './tls-trouble.js';

/** The gateway took the call, or a part of it, and the connection broke before its answer: it may have been carried out. */
export class BrokenConnectionError extends GatewayUnreachableError {}

/** An answer, in bytes. A page of 200 devices has some 100 KiB; this stops a wrong server from filling the memory. */
export const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
/** How long a TCP and TLS handshake may take, in milliseconds. */
export const CONNECT_TIMEOUT_MS = 10_000;

export interface HttpCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Path and query, encoded. */
  readonly path: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
  /** From the start of the call to the end of the answer, in milliseconds. */
  readonly timeoutMs: number;
}
export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface TransportOptions {
  readonly gateway: string;
  /** The one CA to trust; null: the system's trust store. */
  readonly caPem: string | null;
  /** Told of each exchange; gets no header and no body, since these hold secrets. */
  readonly trace?: (line: string) => void;
}

/** HTTPS to one gateway. Connections are kept for as long as the command runs, and closed by {@link close}. */
export class Transport {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 4, minVersion: 'TLSv1.2' });
  constructor(private readonly options: TransportOptions) {}

  /** Rejects with GatewayUnreachableError, {@link BrokenConnectionError} or GatewayUntrustedError. */
  async send(call: HttpCall): Promise<HttpAnswer> {
    const started = performance.now();
    const told = (outcome: string): void =>
      this.options.trace?.(
        `${call.method} ${this.options.gateway}${call.path}: ${outcome}, ${Math.round(performance.now() - started)} ms`,
      );
    try {
      const answer = await this.exchange(call);
      const id = answer.headers['x-request-id'];
      told(`${answer.status}${id === undefined ? '' : `, request ${String(id)}`}`);
      return answer;
    } catch (error) {
      told(error instanceof Error ? error.message : String(error));
      throw error;
    }
  }

  close(): void {
    this.agent.destroy();
  }

  private exchange(call: HttpCall): Promise<HttpAnswer> {
    const { gateway, caPem } = this.options;
    return new Promise((resolve, reject) => {
      let connected = false;
      const outgoing = request(new URL(call.path, gateway), {
        method: call.method,
        agent: this.agent,
        ...(caPem === null ? {} : { ca: caPem }),
        headers: {
          accept: 'application/json, application/problem+json',
          'user-agent': 'postern-cli',
          ...(call.body === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(call.body)) }),
          ...call.headers,
        },
      });
      const whole = setTimeout(
        () =>
          fail(new BrokenConnectionError(`${gateway} has not answered within ${call.timeoutMs / 1000} s.`)),
        call.timeoutMs,
      );
      const connect = setTimeout(
        () =>
          fail(
            new GatewayUnreachableError(
              `${gateway} did not accept a connection within ${CONNECT_TIMEOUT_MS / 1000} s.`,
            ),
          ),
        CONNECT_TIMEOUT_MS,
      );
      const done = (): void => {
        clearTimeout(whole);
        clearTimeout(connect);
      };
      const fail = (error: Error): void => {
        done();
        outgoing.destroy();
        reject(error);
      };
      const broken = (error: Error): void => {
        if (!connected)
          return fail(explainTrouble({ gateway, pinned: caPem !== null, error: firstOf(error) }));
        fail(
          new BrokenConnectionError(`The connection to ${gateway} broke before the answer came.`, {
            cause: error,
          }),
        );
      };
      outgoing.on('socket', (socket) => {
        const open = (): void => {
          connected = true;
          clearTimeout(connect);
        };
        if (outgoing.reusedSocket) open();
        else socket.once('secureConnect', open);
      });
      outgoing.on('error', broken);
      outgoing.on('response', (incoming) => {
        const parts: Buffer[] = [];
        let size = 0;
        incoming.on('data', (part: Buffer) => {
          size += part.length;
          if (size > MAX_ANSWER_BYTES)
            return fail(
              new GatewayUnreachableError(
                `The answer of ${gateway} is larger than ${MAX_ANSWER_BYTES} bytes.`,
              ),
            );
          parts.push(part);
        });
        incoming.on('error', broken);
        incoming.on('end', () => {
          done();
          resolve({
            status: incoming.statusCode ?? 0,
            headers: incoming.headers,
            body: Buffer.concat(parts).toString('utf8'),
          });
        });
      });
      outgoing.end(call.body);
    });
  }
}

/** Where a name has several addresses, Node reports the failures of all as one AggregateError. */
function firstOf(error: Error): Error & { code?: string; reason?: string } {
  if (!(error instanceof AggregateError)) return error;
  const first: unknown = error.errors[0];
  return first instanceof Error ? first : error;
}
