import type { IncomingMessage, RequestListener } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { TLSSocket } from 'node:tls';
import { readFileSync } from 'node:fs';
import { GATEWAY_COMMON_NAME, isDeviceId } from '@postern/protocol';
import type { Leaf } from './pki.js';

export interface Question {
  path: string;
  fields: Record<string, string>;
  answer: string;
}

export interface DeviceEntry {
  revoked?: boolean;
  password?: string;
}

/** The decision table of broker-config/README.md, as small as it can be written. The gateway has its own. */
export class ReferencePolicy {
  readonly devices = new Map<string, DeviceEntry>();
  /** What a certificate login looks like: RabbitMQ 3.10 sends no password, 4.0 sends `none`. */
  certificatePassword: string | undefined;
  managementPassword = '';
  readonly managementUser = 'postern-management';

  decide(path: string, fields: Record<string, string>): string {
    const allowed = (() => {
      switch (path) {
        case 'user':
          return this.#user(fields);
        case 'vhost':
          return this.#vhost(fields);
        case 'resource':
          return this.#resource(fields);
        case 'topic':
          return this.#topic(fields);
        default:
          return false;
      }
    })();
    if (!allowed) return 'deny';
    return path === 'user' && fields['username'] === this.managementUser ? 'allow administrator' : 'allow';
  }

  #user(fields: Record<string, string>): boolean {
    const { username = '', password, client_id: clientId } = fields;
    if (username === this.managementUser) {
      return clientId === undefined && this.managementPassword !== '' && password === this.managementPassword;
    }
    const byCertificate =
      password === undefined ||
      (this.certificatePassword !== undefined && password === this.certificatePassword);
    if (username === GATEWAY_COMMON_NAME) return byCertificate && clientId === undefined;
    const device = this.devices.get(username);
    if (!isDeviceId(username) || !device || device.revoked) return false;
    if (clientId !== undefined && clientId !== username) return false;
    return byCertificate || (device.password !== undefined && device.password === password);
  }

  #vhost(fields: Record<string, string>): boolean {
    const { username = '', vhost, client_id: clientId } = fields;
    if (vhost !== '/') return false;
    if (username === GATEWAY_COMMON_NAME || username === this.managementUser) return clientId === undefined;
    return this.devices.has(username) && (clientId === undefined || clientId === username);
  }

  #resource(fields: Record<string, string>): boolean {
    const { username = '', vhost, resource, name, permission = '' } = fields;
    if (vhost !== '/') return false;
    if (username === GATEWAY_COMMON_NAME) return true;
    if (!this.devices.has(username)) return false;
    if (resource === 'queue') {
      return name === `mqtt-subscription-${username}qos0` || name === `mqtt-subscription-${username}qos1`;
    }
    return (
      resource === 'exchange' && name === 'amq.topic' && ['configure', 'write', 'read'].includes(permission)
    );
  }

  #topic(fields: Record<string, string>): boolean {
    const { username = '', vhost, name, permission, routing_key: key = '' } = fields;
    if (vhost !== '/') return false;
    if (username === GATEWAY_COMMON_NAME) return true;
    if (!this.devices.has(username) || name !== 'amq.topic') return false;
    if (permission === 'write') return key.startsWith(`server.${username}.`);
    return permission === 'read' && key.startsWith(`${username}.`);
  }
}

export interface PolicyServer {
  readonly url: string;
  readonly policy: ReferencePolicy;
  readonly questions: Question[];
  /** Common names of the client certificates that were shown. */
  readonly callers: Set<string>;
  /** TLS connections that were made to it. */
  readonly connections: () => number;
  /** Closes those that wait for a next question. */
  readonly closeIdle: () => void;
  /** How long it thinks about each question, in ms. */
  thinkMs: number;
  close(): Promise<void>;
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = '';
  for await (const chunk of request) body += String(chunk);
  return body;
}

/** Serves the reference policy on 127.0.0.1, to callers with a certificate of `caFile` alone. */
export async function startPolicyServer(
  policy: ReferencePolicy,
  tls: { leaf: Leaf; caFile: string },
): Promise<PolicyServer> {
  const questions: Question[] = [];
  const callers = new Set<string>();
  const handler: RequestListener = (request, response) => {
    void readBody(request).then((body) => {
      if (request.socket instanceof TLSSocket)
        callers.add(String(request.socket.getPeerCertificate().subject.CN));
      const path = (request.url ?? '').split('/').pop() ?? '';
      const fields = Object.fromEntries(new URLSearchParams(body));
      const answer = request.method === 'POST' ? policy.decide(path, fields) : 'deny';
      questions.push({ path, fields, answer });
      setTimeout(
        () => response.writeHead(200, { 'content-type': 'text/plain' }).end(answer),
        policyServer.thinkMs,
      );
    });
  };
  const server = createHttpsServer(
    {
      cert: tls.leaf.cert,
      key: tls.leaf.key,
      ca: readFileSync(tls.caFile),
      requestCert: true,
      rejectUnauthorized: true,
    },
    handler,
  );
  let connections = 0;
  server.on('secureConnection', () => (connections += 1));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const policyServer: PolicyServer = {
    url: `https://127.0.0.1:${port}/broker`,
    policy,
    questions,
    callers,
    connections: () => connections,
    closeIdle: () => server.closeIdleConnections(),
    thinkMs: 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return policyServer;
}
