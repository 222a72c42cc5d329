import { createServer, connect } from 'node:net';

/** A port that was free on 127.0.0.1 a moment ago. */
export function freeLoopbackPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

/** Why `port` cannot be listened on: `EADDRINUSE`, `EACCES`, ... or null when it can. */
export function portProblem(port: number, address: string): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host: address, exclusive: true }, () => server.close(() => resolve(null)));
  });
}

/** True when somebody accepts connections there. */
export function accepts(port: number, host: string, timeoutMs = 2_000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host });
    const done = (value: boolean): void => {
      socket.destroy();
      resolve(value);
    };
    socket.setTimeout(timeoutMs, () => done(false));
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}

/**
 * Ends the epmd that listens on `port`, whoever started it (KILL_REQ of the Erlang port mapper's protocol).
 * epmd obeys only when no node is registered with it, and to local callers alone.
 */
export function stopEpmd(port: number): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.end(Buffer.from([0, 1, 0x6b])));
    socket.setTimeout(2_000, () => socket.destroy());
    socket.once('error', () => resolve());
    socket.once('close', () => resolve());
    socket.resume();
  });
}
