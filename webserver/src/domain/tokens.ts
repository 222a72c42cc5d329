import { createHash, createHmac, hkdfSync, randomBytes, timingSafeEqual } from 'node:crypto';

/** What an access token says. */
export interface AccessClaims {
  readonly userId: string;
  readonly username: string;
  readonly sessionId: string;
  /** Milliseconds since 1970, whole seconds. */
  readonly expiresAt: number;
}

/** Signs and checks access tokens. `verify` rejects with ExpectedError UNAUTHENTICATED or TOKEN_EXPIRED. */
export interface AccessTokens {
  sign(claims: AccessClaims, issuedAt: number): Promise<string>;
  verify(token: string, now: number): Promise<AccessClaims>;
}

/** 256 random bits as base64url: nothing to guess, so a plain SHA-256 is all that the store needs. */
export const randomSecret = (): string => randomBytes(32).toString('base64url');
export const randomId = (): string => randomBytes(16).toString('base64url');
export const sha256Hex = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Compares in constant time; false for different lengths. */
export function sameSecret(a: string, b: string): boolean {
  const left = Buffer.from(a);
  const right = Buffer.from(b);
  return left.length === right.length && timingSafeEqual(left, right);
}

export interface RefreshToken {
  readonly sessionId: string;
  readonly tokenHash: string;
  /** True where this gateway made the token, however long ago. */
  readonly authentic: boolean;
}

const REFRESH_TOKEN = /^([A-Za-z0-9_-]{22})\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{22})$/;

/**
 * Refresh tokens are `<session>.<256 random bits>.<MAC>`. The session's record knows only the token that is good
 * now and the one before; the MAC tells a token of long ago, which only a thief or a robbed client would show,
 * from one that somebody made up to end another's session.
 */
export class RefreshTokens {
  private readonly key: Buffer;

  constructor(masterKey: Uint8Array) {
    this.key = Buffer.from(hkdfSync('sha256', masterKey, '', 'postern refresh token', 32));
  }

  create(sessionId: string): { token: string; tokenHash: string } {
    const unsigned = `${sessionId}.${randomSecret()}`;
    const token = `${unsigned}.${this.mac(unsigned)}`;
    return { token, tokenHash: sha256Hex(token) };
  }

  /** Null for what is no refresh token at all. */
  parse(token: string): RefreshToken | null {
    const match = REFRESH_TOKEN.exec(token);
    if (!match) return null;
    const authentic = sameSecret(match[3]!, this.mac(`${match[1]}.${match[2]}`));
    return { sessionId: match[1]!, tokenHash: sha256Hex(token), authentic };
  }

  private mac(unsigned: string): string {
    return createHmac('sha256', this.key).update(unsigned).digest().subarray(0, 16).toString('base64url');
  }
}
