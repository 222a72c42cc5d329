import { connect, type TLSSocket } from 'node:tls';

/** An answer without chunks: what Postern and the other servers of this benchmark send is read by Content-Length. */
export interface Answer {
  status: number;
  body: string;
}

export interface Server {
  host: string;
  port: number;
  ca: Buffer;
  /** TLS session of an earlier connection to resume. */
  session?: Buffer | undefined;
  /** Gets the session to resume with, once the server has sent a ticket. */
  onSession?: (session: Buffer) => void;
}

const HEAD_END = Buffer.from('\r\n\r\n');
const EMPTY = Buffer.alloc(0);

/**
 * One HTTPS connection, kept alive, one request at a time. Node's own client costs several times as much CPU, which
 * on a machine that runs everything would be taken from what is measured.
 */
export class HttpConnection {
  #socket: TLSSocket | null = null;
  #buffer: Buffer = EMPTY;
  #waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void; at: number } | null = null;

  constructor(private readonly server: Server) {}

  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      const { port, ca, session, onSession } = this.server;
      // The stack listens on IPv4; a try of ::1 before it would cost each new connection a failure.
      const host = this.server.host === 'localhost' ? '127.0.0.1' : this.server.host;
      const socket = connect({ host, port, ca, servername: 'localhost', ...(session && { session }) }, () => {
        socket.setNoDelay(true);
        this.#socket = socket;
        resolve();
      });
      if (onSession) socket.on('session', onSession);
      socket.on('data', (chunk: Buffer) => this.#onData(chunk));
      socket.on('error', (error) => {
        reject(error);
        this.#fail(error);
      });
      socket.on('close', () => this.#fail(new Error('connection closed')));
    });
  }

  /**
   * `head`: request line and headers, each with its line end, without the empty line. Connects where it is not: servers
   * close what was idle for their keep-alive time.
   */
  async request(head: string, body: string): Promise<Answer> {
    if (!this.#socket) await this.open();
    return new Promise((resolve, reject) => {
      if (this.#waiting) return reject(new Error('one request at a time'));
      this.#waiting = { resolve, reject, at: performance.now() };
      this.#socket!.write(
        body === '' ? `${head}\r\n` : `${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
    });
  }

  /** Cuts it where its request has waited for longer than this, in ms. */
  cutIfOverdue(limitMs: number): void {
    if (this.#waiting && performance.now() - this.#waiting.at > limitMs) this.#fail(new Error('TIMEOUT'));
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = null;
  }

  #fail(error: Error): void {
    this.close();
    this.#buffer = EMPTY;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(error);
  }

  #onData(chunk: Buffer): void {
    const data = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk]);
    const end = data.indexOf(HEAD_END);
    const head = end < 0 ? '' : data.toString('latin1', 0, end);
    const length = end < 0 ? 0 : Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (end < 0 || data.length < end + 4 + length) {
      this.#buffer = data;
      return;
    }
    this.#buffer = EMPTY;
    const waiting = this.#waiting;
    this.#waiting = null;
    if (!waiting || data.length > end + 4 + length) return this.#fail(new Error('more than one answer'));
    waiting.resolve({
      status: Number(head.slice(9, 12)),
      body: data.toString('utf8', end + 4, end + 4 + length),
    });
  }
}
