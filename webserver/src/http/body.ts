import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { MAX_BODY_BYTES } from '@postern/protocol';
import { ExpectedError } from '../domain/errors.js';

/** Of a body over the limit, so much is read and thrown away, so that its sender gets to read the answer. */
export const DRAIN_LIMIT = { bytes: 16 * 1024 * 1024, ms: 5_000 } as const;

/** The client went away before its request was complete: there is nobody to answer. */
export class ClientGone extends Error {
  readonly code = 'CLIENT_GONE';
  constructor() {
    super('the client closed the connection before its request was complete');
    this.name = 'ClientGone';
  }
}

const tooLarge = (): ExpectedError =>
  new ExpectedError('BODY_TOO_LARGE', { detail: `The body must be at most ${MAX_BODY_BYTES} bytes.` });

/** True where the request says that a body follows (RFC 9112 6). */
export const hasBody = (req: IncomingMessage): boolean =>
  req.headers['transfer-encoding'] !== undefined ||
  (req.headers['content-length'] !== undefined && req.headers['content-length'] !== '0');

/** The whole body, at most {@link MAX_BODY_BYTES}. Rejects with BODY_TOO_LARGE while the rest is still unread. */
export function readBody(req: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (Number(req.headers['content-length'] ?? 0) > MAX_BODY_BYTES) return reject(tooLarge());
    const chunks: Buffer[] = [];
    let size = 0;
    const finish = (settle: () => void): void => {
      req.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
      settle();
    };
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= MAX_BODY_BYTES) {
        chunks.push(chunk);
        return;
      }
      req.pause();
      finish(() => reject(tooLarge()));
    };
    const onEnd = (): void =>
      finish(() => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size)));
    const onClose = (): void => finish(() => reject(new ClientGone()));
    req.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}

/** The body as JSON. An empty one is `undefined`. */
export function parseJson(body: Buffer): unknown {
  if (body.length === 0) return undefined;
  if (!isUtf8(body)) throw malformed('it is not UTF-8');
  const text = body.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // V8's message quotes the body; the position is all that the sender needs.
    const position = /position (\d+)/.exec((error as Error).message)?.[1];
    throw malformed(position === undefined ? 'it ends too early' : `look at character ${position}`);
  }
  // Few bodies hold either; the walk is for those.
  if (text.includes('__proto__') || text.includes('\\u')) refusePoison(value);
  return value;
}

/** A key `__proto__` turns into a prototype wherever such an object is copied carelessly. */
function refusePoison(value: unknown): void {
  const left: unknown[] = [value];
  for (let item = left.pop(); item !== undefined; item = left.pop()) {
    if (typeof item !== 'object' || item === null) continue;
    if (Object.hasOwn(item, '__proto__'))
      throw new ExpectedError('VALIDATION_FAILED', {
        detail: 'The body must not hold a key "__proto__".',
        errors: [{ path: 'body', message: 'must not hold a key "__proto__"' }],
      });
    for (const inner of Object.values(item)) if (inner !== undefined) left.push(inner);
  }
}

const malformed = (why: string): ExpectedError =>
  new ExpectedError('MALFORMED_JSON', { detail: `The body must be one JSON object: ${why}.` });

/**
 * Ends an answer whose request is not all read. The answer is on its way already; closing now would make the
 * kernel reset the connection, and the sender, still busy sending, would never see it.
 */
export function endAfterDrain(req: IncomingMessage, res: ServerResponse): void {
  let left: number = DRAIN_LIMIT.bytes;
  const done = (): void => {
    clearTimeout(timer);
    req.off('data', onData).off('end', done).off('close', done);
    res.end();
  };
  const onData = (chunk: Buffer): void => {
    left -= chunk.length;
    if (left <= 0) done();
  };
  const timer = setTimeout(done, DRAIN_LIMIT.ms);
  req.on('data', onData).on('end', done).on('close', done);
  req.resume();
}
