import type { IncomingMessage } from 'node:http';
import { ExpectedError } from '../domain/errors.js';

/** The access token of an Authorization header (RFC 6750 2.1), and of nowhere else: a URL ends up in logs. */
export function bearerToken(req: IncomingMessage): string {
  const match = /^Bearer +([A-Za-z0-9._~+/=-]+)$/i.exec(req.headers.authorization ?? '');
  if (!match)
    throw new ExpectedError('UNAUTHENTICATED', {
      detail: 'Send the access token as "Authorization: Bearer <accessToken>".',
    });
  return match[1]!;
}
