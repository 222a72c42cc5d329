import { createServer, type Server, type ServerOptions } from 'node:https';
import type { RequestListener } from 'node:http';
import type { Duplex } from 'node:stream';

export interface ServerLimits {
  readonly maxConnections: number;
  readonly keepAliveMs: number;
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

export interface TlsFiles {
  /** Leaf first, then the issuing CA; PEM. */
  readonly cert: string;
  readonly key: string;
}

/** All headers of a request, in bytes, and how many. A token is some 400 bytes; more is an attack on memory. */
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_HEADERS = 100;
const HANDSHAKE_TIMEOUT_MS = 10_000;
/** How often the two request timeouts are looked at: how late they may be. */
const TIMEOUT_CHECK_MS = 2_000;
/** Requests on one connection before it is closed: no limit, an old client keeps one connection for days. */
const MAX_REQUESTS_PER_SOCKET = 0;

/**
 * Forward secrecy and authenticated encryption only, as the broker has it; Node's own list keeps CBC with SHA-1 and
 * suites without forward secrecy. Every client since 2014 or so has one of these; the first three are TLS 1.3.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':');

/** An HTTPS server with every limit set. It does not listen yet. */
export function createHttpsServer(
  app: RequestListener,
  options: { tls: TlsFiles; limits: ServerLimits },
): Server {
  const { tls, limits } = options;
  const serverOptions: ServerOptions = {
    ...tls,
    minVersion: 'TLSv1.2',
    ciphers: CIPHERS,
    honorCipherOrder: true,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveMs,
    connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    noDelay: true,
    requireHostHeader: true,
    insecureHTTPParser: false,
  };
  const server = createServer(serverOptions, app);
  server.maxConnections = limits.maxConnections;
  server.maxHeadersCount = MAX_HEADERS;
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_SOCKET;
  // A call may wait for a device for minutes without a byte on the wire.
  server.timeout = 0;
  server.on('clientError', answerBrokenRequest);
  return server;
}

const BROKEN: Readonly<Record<string, { status: string; code: string; detail: string }>> = {
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: '408 Request Timeout',
    code: 'REQUEST_TIMEOUT',
    detail: 'The request did not arrive in time.',
  },
  HPE_HEADER_OVERFLOW: {
    status: '431 Request Header Fields Too Large',
    code: 'VALIDATION_FAILED',
    detail: `The headers must be at most ${MAX_HEADER_BYTES} bytes in all.`,
  },
};
const MALFORMED = {
  status: '400 Bad Request',
  code: 'VALIDATION_FAILED',
  detail: 'This is not a valid HTTP request.',
};

/** What node's parser refuses never reaches a route; the connection is over. */
function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const { status, code, detail } = BROKEN[error.code ?? ''] ?? MALFORMED;
  const title = status.slice(4);
  const body = JSON.stringify({
    type: `urn:postern:error:${code}`,
    title,
    status: Number(status.slice(0, 3)),
    code,
    detail,
  });
  socket.end(
    `HTTP/1.1 ${status}\r\nContent-Type: application/problem+json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}

/** Stops accepting, lets answers finish for at most `deadlineMs`, then cuts what is left. */
export async function closeGracefully(server: Server, deadlineMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), deadlineMs);
  // A connection that was kept alive becomes idle after its answer.
  const sweep = setInterval(() => server.closeIdleConnections(), 100);
  await closed;
  clearTimeout(cut);
  clearInterval(sweep);
}
