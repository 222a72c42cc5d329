import { createHash } from 'node:crypto';
import { errors, jwtVerify, SignJWT } from 'jose';
import { ExpectedError } from '../domain/errors.js';
import type { AccessTokens } from '../domain/tokens.js';

const ALGORITHM = 'HS256';
const KEY_BYTES = 32;
/** A token of ours has some 400 characters; a longer one is not looked at. */
const MAX_TOKEN_LENGTH = 2_048;

export interface AccessTokenOptions {
  /** 256 bits; all instances of a deployment share it. */
  readonly key: Uint8Array;
  readonly issuer: string;
  readonly audience?: string;
}

/** Access tokens as JWT (RFC 7519), HS256 alone whatever a token's header says (RFC 8725 3.1). */
export function createAccessTokens(options: AccessTokenOptions): AccessTokens {
  const { key, issuer, audience = 'postern-api' } = options;
  if (key.length !== KEY_BYTES)
    throw new RangeError(`the token key must have ${KEY_BYTES} bytes, not ${key.length}`);
  const kid = createHash('sha256').update('kid').update(key).digest('hex').slice(0, 8);
  const refused = (): ExpectedError =>
    new ExpectedError('UNAUTHENTICATED', { detail: 'The access token is not valid; log in again.' });

  return {
    sign(claims, issuedAt) {
      return new SignJWT({ sid: claims.sessionId, name: claims.username })
        .setProtectedHeader({ alg: ALGORITHM, typ: 'at+jwt', kid })
        .setSubject(claims.userId)
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt(Math.floor(issuedAt / 1000))
        .setExpirationTime(Math.floor(claims.expiresAt / 1000))
        .sign(key);
    },
    async verify(token, now) {
      if (token.length > MAX_TOKEN_LENGTH) throw refused();
      try {
        const { payload, protectedHeader } = await jwtVerify(token, key, {
          algorithms: [ALGORITHM],
          typ: 'at+jwt',
          issuer,
          audience,
          currentDate: new Date(now),
          requiredClaims: ['sub', 'sid', 'name', 'exp', 'iat'],
        });
        const { sub, exp } = payload;
        const { sid, name } = payload as { sid?: unknown; name?: unknown };
        if (
          protectedHeader.kid !== kid ||
          typeof sid !== 'string' ||
          typeof name !== 'string' ||
          !sub ||
          !exp
        )
          throw refused();
        return { userId: sub, username: name, sessionId: sid, expiresAt: exp * 1000 };
      } catch (error) {
        if (error instanceof errors.JWTExpired) throw new ExpectedError('TOKEN_EXPIRED');
        throw refused();
      }
    },
  };
}
