import { LRUCache } from 'lru-cache';
import type { Tokens } from '@postern/protocol';
import type { AuditTrail, Origin } from './audit.js';
import { ExpectedError } from './errors.js';
import { LoginGuard, LOGIN_GUARD_LIMITS, type LoginGuardLimits } from './login-guard.js';
import type { Session, User } from './model.js';
import type { PasswordHasher } from './passwords.js';
import type { ChangeNotifier, Clock } from './ports.js';
import type { AccountStore } from './store.js';
import {
  randomId,
  randomSecret,
  sameSecret,
  sha256Hex,
  type AccessClaims,
  type AccessTokens,
  type RefreshTokens,
} from './tokens.js';

/** An authenticated caller. `credential` is the id of the session, or the hash of the flat secret. */
export interface Principal {
  readonly userId: string;
  readonly username: string;
  readonly kind: 'session' | 'secret';
  readonly credential: string;
}

const DAY_MS = 24 * 60 * 60_000;
export const ACCOUNT_LIMITS = {
  accessTokenMs: 15 * 60_000,
  /** From the last refresh. */
  refreshTokenMs: 30 * DAY_MS,
  /** A rotated refresh token that comes again within this is a client's retry; later it is a thief's. */
  reuseGraceMs: 10_000,
  /** Flat secrets of one user that count. */
  secretsKept: 10,
  /** From the last use. */
  secretMs: 30 * DAY_MS,
  /** A use is written down at most this often: not one write per call. */
  secretTouchMs: 60 * 60_000,
  /** How long another instance's logout may go unseen where its notice was lost. */
  cacheTtlMs: 5_000,
  cacheEntries: 10_000,
} as const;

export interface AccountsOptions {
  readonly store: AccountStore;
  readonly passwords: PasswordHasher;
  readonly accessTokens: AccessTokens;
  readonly refreshTokens: RefreshTokens;
  readonly notifier: ChangeNotifier;
  readonly audit: AuditTrail;
  readonly clock: Clock;
  /** False: nobody can sign up (accounts that are there go on). */
  readonly signupOpen: boolean;
  readonly loginGuard?: Partial<LoginGuardLimits>;
}

const badCredentials = (): ExpectedError => new ExpectedError('BAD_CREDENTIALS');
const endedSession = (): ExpectedError =>
  new ExpectedError('UNAUTHENTICATED', { detail: 'The session has ended; log in again.' });

/** Users, their sessions (`/api/v1`) and their secrets (flat calls). */
export class Accounts {
  private readonly guard: LoginGuard;
  private readonly claims = new LRUCache<string, AccessClaims>({ max: ACCOUNT_LIMITS.cacheEntries });
  private readonly liveSessions = new LRUCache<string, number>({ max: ACCOUNT_LIMITS.cacheEntries });
  private readonly liveSecrets = new LRUCache<string, { principal: Principal; checkedAt: number }>({
    max: ACCOUNT_LIMITS.cacheEntries,
  });
  /** Sessions and secrets never come back: what has ended is not cached again by a look-up that was under way. */
  private readonly ended = new LRUCache<string, true>({ max: ACCOUNT_LIMITS.cacheEntries });

  constructor(private readonly options: AccountsOptions) {
    this.guard = new LoginGuard(options.store, options.clock, {
      ...LOGIN_GUARD_LIMITS,
      ...options.loginGuard,
    });
  }

  async signup(credentials: { username: string; password: string }, origin: Origin): Promise<User> {
    const { store, passwords, clock } = this.options;
    const { username, password } = credentials;
    if (!this.options.signupOpen)
      throw new ExpectedError('FORBIDDEN', { detail: 'This gateway takes no new accounts.' });
    const taken = (): ExpectedError => new ExpectedError('USERNAME_TAKEN');
    if (await store.findUserByName(username)) throw taken();
    const passwordHash = await passwords.hash(password);
    const user: User = { id: randomId(), username, passwordHash, createdAt: clock.now() };
    if (!(await store.insertUser(user))) throw taken();
    await this.record(user, 'account.signup', 'ok', origin);
    return user;
  }

  async login(credentials: { username: string; password: string }, origin: Origin): Promise<Tokens> {
    const user = await this.checkPassword(credentials, origin);
    const now = this.options.clock.now();
    const sessionId = randomId();
    const refresh = this.options.refreshTokens.create(sessionId);
    await this.options.store.insertSession({
      id: sessionId,
      userId: user.id,
      tokenHash: refresh.tokenHash,
      previousTokenHash: null,
      rotatedAt: now,
      createdAt: now,
      expiresAt: now + ACCOUNT_LIMITS.refreshTokenMs,
    });
    await this.record(user, 'account.login', 'ok', origin);
    return this.tokens(user, sessionId, refresh.token);
  }

  /** The flat calls' login: a secret that counts until it is revoked, unused for 30 days, or the eleventh. */
  async flatLogin(credentials: { username: string; password: string }, origin: Origin): Promise<string> {
    const user = await this.checkPassword(credentials, origin);
    const now = this.options.clock.now();
    const secret = randomSecret();
    await this.options.store.insertApiSecret(
      {
        secretHash: sha256Hex(secret),
        userId: user.id,
        createdAt: now,
        lastUsedAt: now,
        expiresAt: now + ACCOUNT_LIMITS.secretMs,
      },
      ACCOUNT_LIMITS.secretsKept,
    );
    // One of the older ones may have been dropped: look all of this user's up again.
    for (const [hash, { principal }] of this.liveSecrets.entries())
      if (principal.userId === user.id) this.liveSecrets.delete(hash);
    await this.record(user, 'account.login', 'ok', origin);
    return secret;
  }

  async refresh(refreshToken: string, origin: Origin): Promise<Tokens> {
    const { store, clock, refreshTokens } = this.options;
    const token = refreshTokens.parse(refreshToken);
    const now = clock.now();
    const session = token && (await store.findSession(token.sessionId, now));
    if (!token || !session) throw endedSession();
    if (!sameSecret(token.tokenHash, session.tokenHash)) {
      await this.refuseOldToken(token, session, now, origin);
    }
    const next = refreshTokens.create(session.id);
    const rotated = await store.rotateSession({
      id: session.id,
      expectedTokenHash: session.tokenHash,
      tokenHash: next.tokenHash,
      rotatedAt: now,
      expiresAt: now + ACCOUNT_LIMITS.refreshTokenMs,
    });
    if (!rotated) throw usedToken();
    const user = await store.findUserById(session.userId);
    if (!user) throw endedSession();
    return this.tokens(user, session.id, next.token);
  }

  /** Ends what the caller is logged in by: a session with both its tokens, or a flat secret. */
  async logout(principal: Principal, origin: Origin): Promise<void> {
    const { store } = this.options;
    if (principal.kind === 'session') await store.deleteSession(principal.credential);
    else await store.deleteApiSecret(principal.credential);
    this.announceEnd(principal.credential);
    await this.record({ id: principal.userId, username: principal.username }, 'account.logout', 'ok', origin);
  }

  /** Logout for a client whose access token has run out. Says nothing where the session was gone already. */
  async logoutByRefreshToken(refreshToken: string, origin: Origin): Promise<void> {
    const token = this.options.refreshTokens.parse(refreshToken);
    const session =
      token && (await this.options.store.findSession(token.sessionId, this.options.clock.now()));
    if (!token || !session || !sameSecret(token.tokenHash, session.tokenHash)) throw endedSession();
    const user = await this.options.store.findUserById(session.userId);
    await this.logout(
      { userId: session.userId, username: user?.username ?? '', kind: 'session', credential: session.id },
      origin,
    );
  }

  /** Who shows this access token. Rejects with UNAUTHENTICATED or TOKEN_EXPIRED. */
  async authenticateToken(token: string): Promise<Principal> {
    const now = this.options.clock.now();
    let claims = this.claims.get(token);
    if (!claims || claims.expiresAt <= now) {
      claims = await this.options.accessTokens.verify(token, now);
      this.claims.set(token, claims);
    }
    const { sessionId, userId, username } = claims;
    const checkedAt = this.liveSessions.get(sessionId);
    if (checkedAt === undefined || now - checkedAt >= ACCOUNT_LIMITS.cacheTtlMs) {
      const session = await this.options.store.findSession(sessionId, now);
      if (!session || session.userId !== userId) {
        this.liveSessions.delete(sessionId);
        throw endedSession();
      }
      if (this.ended.has(sessionId)) throw endedSession();
      this.liveSessions.set(sessionId, now);
    }
    return { userId, username, kind: 'session', credential: sessionId };
  }

  /** Who shows this name and flat secret. Rejects with UNAUTHENTICATED. */
  async authenticateSecret(username: string, secret: string): Promise<Principal> {
    const { store, clock } = this.options;
    const refused = new ExpectedError('UNAUTHENTICATED', { detail: 'The username or the secret is wrong.' });
    const secretHash = sha256Hex(secret);
    const now = clock.now();
    const cached = this.liveSecrets.get(secretHash);
    if (cached && now - cached.checkedAt < ACCOUNT_LIMITS.cacheTtlMs) {
      if (cached.principal.username !== username) throw refused;
      return cached.principal;
    }
    const found = await store.findApiSecret(secretHash, now);
    const user = found && (await store.findUserById(found.userId));
    if (!found || !user || user.username !== username || this.ended.has(secretHash)) {
      this.liveSecrets.delete(secretHash);
      throw refused;
    }
    if (now - found.lastUsedAt >= ACCOUNT_LIMITS.secretTouchMs)
      await store.touchApiSecret(secretHash, now, now + ACCOUNT_LIMITS.secretMs);
    const principal: Principal = { userId: user.id, username, kind: 'secret', credential: secretHash };
    this.liveSecrets.set(secretHash, { principal, checkedAt: now });
    return principal;
  }

  async account(principal: Principal): Promise<User> {
    const user = await this.options.store.findUserById(principal.userId);
    if (!user) throw endedSession();
    return user;
  }

  /** A login has ended, here or on another instance: {@link ChangeNotifier.sessionEnded}. */
  forgetSession(credential: string): void {
    this.ended.set(credential, true);
    this.liveSessions.delete(credential);
    this.liveSecrets.delete(credential);
  }

  private announceEnd(credential: string): void {
    this.forgetSession(credential);
    this.options.notifier.sessionEnded(credential);
  }

  private async checkPassword(
    { username, password }: { username: string; password: string },
    origin: Origin,
  ): Promise<User> {
    const { store, passwords, audit } = this.options;
    const user = await this.guard.run(username, origin.address, async () => {
      const candidate = await store.findUserByName(username);
      const right = await passwords.verify(password, candidate?.passwordHash ?? null);
      return right ? candidate : null;
    });
    if (user) return user;
    // The name may be a password that was typed into the wrong field: it is not written down.
    audit.note({
      actorId: null,
      actorName: null,
      action: 'account.login',
      outcome: 'BAD_CREDENTIALS',
      origin,
    });
    throw badCredentials();
  }

  /** Always throws. A token that was rotated long ago is in two hands: the session ends. */
  private async refuseOldToken(
    token: { tokenHash: string; authentic: boolean },
    session: Session,
    now: number,
    origin: Origin,
  ): Promise<never> {
    const isPrevious =
      session.previousTokenHash !== null && sameSecret(token.tokenHash, session.previousTokenHash);
    if (!isPrevious && !token.authentic) throw endedSession();
    if (isPrevious && now - session.rotatedAt <= ACCOUNT_LIMITS.reuseGraceMs) throw usedToken();
    await this.options.store.deleteSession(session.id);
    this.announceEnd(session.id);
    const actor = await this.options.store.findUserById(session.userId);
    await this.record(
      { id: session.userId, username: actor?.username ?? '' },
      'account.refresh',
      'TOKEN_REUSED',
      origin,
    );
    throw endedSession();
  }

  private async tokens(user: User, sessionId: string, refreshToken: string): Promise<Tokens> {
    // Whole seconds, as `exp` is (RFC 7519 2).
    const issuedAt = Math.floor(this.options.clock.now() / 1000) * 1000;
    const expiresAt = issuedAt + ACCOUNT_LIMITS.accessTokenMs;
    const accessToken = await this.options.accessTokens.sign(
      { userId: user.id, username: user.username, sessionId, expiresAt },
      issuedAt,
    );
    return {
      accessToken,
      tokenType: 'Bearer',
      expiresIn: ACCOUNT_LIMITS.accessTokenMs / 1000,
      refreshToken,
      refreshExpiresIn: ACCOUNT_LIMITS.refreshTokenMs / 1000,
      username: user.username,
    };
  }

  private record(
    user: { id: string; username: string },
    action: string,
    outcome: string,
    origin: Origin,
  ): Promise<void> {
    return this.options.audit.record({
      actorId: user.id,
      actorName: user.username,
      action,
      outcome,
      origin,
    });
  }
}

const usedToken = (): ExpectedError =>
  new ExpectedError('UNAUTHENTICATED', { detail: 'The refresh token was used already; use the newer one.' });
