import { randomUUID } from 'node:crypto';
import { API_PREFIX } from '@postern/protocol';
import type { z } from 'zod';
import { BadAnswerError, GatewayProblemError, parseJson, problemOf, type Subject } from './problem.js';
import { BrokenConnectionError, type HttpAnswer, type HttpCall, type Transport } from './transport.js';

/** How long a call that waits for no device may take, in milliseconds. */
export const PLAIN_TIMEOUT_MS = 30_000;
/** What the gateway and the network may add to the time that a device has, in milliseconds. */
export const DEVICE_TIMEOUT_MARGIN_MS = 10_000;

/** Where access tokens come from. */
export interface Authority {
  accessToken(): Promise<string>;
  /** Called where the gateway refused a token: a new one, or an error that says to log in again. */
  renewed(refused: string): Promise<string>;
}

export interface ApiCall<T> {
  readonly method: HttpCall['method'];
  /** Below {@link API_PREFIX}; each part is encoded here. */
  readonly path: readonly string[];
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  /** What a good answer holds. */
  readonly answer: z.ZodType<T>;
  /** For a call that reaches a device: how long that has, in milliseconds. */
  readonly deviceTimeoutMs?: number | undefined;
  /** For other calls: how long it may take. */
  readonly timeoutMs?: number | undefined;
  readonly subject?: Subject;
}

/** `/api/v1` as typed calls. */
export class GatewayClient {
  constructor(
    private readonly transport: Transport,
    private readonly authority: Authority | null,
  ) {}

  /**
   * Rejects with GatewayProblemError (the gateway's own errors), BadAnswerError, and what
   * {@link Transport.send} rejects with. A connection that breaks before the answer is tried once more, where
   * that is safe: reads are, and changes carry an Idempotency-Key under which the gateway executes them once.
   */
  async call<T>(call: ApiCall<T>): Promise<T> {
    // Only a caller that is known has idempotency keys: a login or a signup is not repeated.
    const repeatable = call.method === 'GET' || this.authority !== null;
    const http: HttpCall = {
      method: call.method,
      path: pathOf(call),
      timeoutMs:
        call.deviceTimeoutMs === undefined
          ? (call.timeoutMs ?? PLAIN_TIMEOUT_MS)
          : call.deviceTimeoutMs + DEVICE_TIMEOUT_MARGIN_MS,
      headers: call.method !== 'GET' && repeatable ? { 'idempotency-key': randomUUID() } : {},
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
    };
    const answer = await this.authorized(http, repeatable);
    if (answer.status >= 400) throw problemOf(answer, call.subject ?? {});
    const parsed = call.answer.safeParse(answer.status === 204 ? {} : parseJson(answer.body));
    if (answer.status >= 300 || !parsed.success) {
      const issue = parsed.error?.issues[0];
      throw new BadAnswerError(
        `The gateway's answer to ${call.method} ${http.path} is not what this command knows` +
          (issue === undefined
            ? ` (status ${answer.status}).`
            : ` (${issue.path.join('.') || 'body'}: ${issue.message}).`),
        { hints: ['Is --gateway the address of a Postern gateway, and this command of the same version?'] },
      );
    }
    return parsed.data;
  }

  private async authorized(call: HttpCall, repeatable: boolean): Promise<HttpAnswer> {
    if (this.authority === null) return this.transport.send(call);
    const send = (token: string): Promise<HttpAnswer> =>
      this.repeated({ ...call, headers: { ...call.headers, authorization: `Bearer ${token}` } }, repeatable);
    const token = await this.authority.accessToken();
    const answer = await send(token);
    return answer.status === 401 && isAboutToken(answer) ? send(await this.authority.renewed(token)) : answer;
  }

  private async repeated(call: HttpCall, repeatable: boolean): Promise<HttpAnswer> {
    const deadline = Date.now() + call.timeoutMs;
    try {
      return await this.transport.send(call);
    } catch (error) {
      const left = deadline - Date.now();
      if (!repeatable || !(error instanceof BrokenConnectionError) || left <= 0) throw error;
      return this.transport.send({ ...call, timeoutMs: left });
    }
  }
}

function isAboutToken(answer: HttpAnswer): boolean {
  const problem = problemOf(answer, {});
  return (
    problem instanceof GatewayProblemError && ['TOKEN_EXPIRED', 'UNAUTHENTICATED'].includes(problem.code)
  );
}

function pathOf(call: ApiCall<unknown>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries({ ...call.query, timeoutMs: call.deviceTimeoutMs }))
    if (value !== undefined) query.set(name, String(value));
  const text = query.toString();
  return `${API_PREFIX}/${call.path.map(encodeURIComponent).join('/')}${text === '' ? '' : `?${text}`}`;
}
