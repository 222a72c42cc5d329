import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { TLSSocket } from 'node:tls';
import type { Logger } from 'pino';
import { BROKER_CLIENT_COMMON_NAME } from '@postern/protocol';
import type { AccessDialect, DeviceAccess, UserAnswer } from '../domain/device-access.js';

/** A question of the broker, in bytes: names and a routing key of at most 255 bytes each, and some. */
const MAX_QUESTION_BYTES = 16 * 1024;

const DIALECTS: Readonly<Record<string, AccessDialect>> = { v3: 'without-password', v4: 'password-none' };

/** The broker keeps its connections; longer than its own idle time, in ms. */
const KEEP_ALIVE_MS = 120_000;

export interface BrokerAuthOptions {
  readonly access: DeviceAccess;
  readonly logger: Logger;
}

export interface BrokerAuthTls {
  /** Leaf first, for `localhost`, then the issuing CA; PEM. */
  readonly cert: string;
  readonly key: string;
  /** Root and issuing CA, PEM. */
  readonly ca: string;
}

/**
 * The listener on loopback that the broker asks. Mutual TLS: the broker must know that no other program has taken
 * the port, and what is answered here (whether a password is right) is for the broker alone, not for every
 * certificate of our CA. It does not listen yet.
 */
export function createBrokerAuthServer(options: BrokerAuthOptions & { readonly tls: BrokerAuthTls }): Server {
  const handler = createBrokerAuthHandler(options);
  return createServer(
    {
      ...options.tls,
      minVersion: 'TLSv1.2',
      requestCert: true,
      rejectUnauthorized: true,
      keepAliveTimeout: KEEP_ALIVE_MS,
    },
    (request, response) => {
      const peer = (request.socket as TLSSocket).getPeerCertificate().subject?.CN;
      if (peer === BROKER_CLIENT_COMMON_NAME) return handler(request, response);
      options.logger.warn({ peer }, 'somebody other than the broker asked who may do what');
      response.writeHead(403, { connection: 'close', 'content-length': 0 }).end();
    },
  );
}

/**
 * Answers rabbitmq_auth_backend_http: POST `/<dialect>/user|vhost|resource|topic` with a form, `allow` or `deny` as
 * text. Whatever goes wrong is a denial.
 */
function createBrokerAuthHandler(
  options: BrokerAuthOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  const { logger } = options;
  return (request, response) => {
    const answer = (body: UserAnswer): void => {
      response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length }).end(body);
    };
    const { url = '' } = request;
    readForm(request)
      .then(async (form) => {
        const decision = await decide(options, url, form);
        if (decision === 'deny')
          logger.info({ question: url, username: form.get('username')?.slice(0, 64) }, 'denied the broker');
        answer(decision);
      })
      .catch((error: unknown) => {
        logger.error({ err: error, question: url }, 'could not answer the broker: denied');
        answer('deny');
      });
  };
}

const verdict = (allowed: boolean): UserAnswer => (allowed ? 'allow' : 'deny');

async function decide(
  { access }: BrokerAuthOptions,
  url: string,
  form: URLSearchParams,
): Promise<UserAnswer> {
  const [, dialectName = '', question] = url.split('/');
  const dialect = DIALECTS[dialectName];
  if (!dialect) return 'deny';
  const field = (name: string): string => form.get(name) ?? '';
  const clientId = form.get('client_id') ?? undefined;
  const who = {
    username: field('username'),
    vhost: field('vhost'),
    ...(clientId !== undefined && { clientId }),
  };
  if (question === 'user') {
    const password = form.get('password') ?? undefined;
    return access.user({ ...who, ...(password !== undefined && { password }) }, dialect);
  }
  if (question === 'vhost') return verdict(access.vhost(who));
  const resource = {
    ...who,
    resource: field('resource'),
    name: field('name'),
    permission: field('permission'),
  };
  if (question === 'resource') return verdict(access.resource(resource));
  if (question === 'topic') return verdict(access.topic({ ...resource, routingKey: field('routing_key') }));
  return 'deny';
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  if (request.method !== 'POST')
    throw new Error('the broker must ask by POST, so that no password is in a URL');
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_QUESTION_BYTES) throw new Error('the question is too large');
    chunks.push(chunk);
  }
  return new URLSearchParams(Buffer.concat(chunks).toString('utf8'));
}
