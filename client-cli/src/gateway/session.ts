import { tokensSchema, type Tokens } from '@postern/protocol';
import { CliError } from '../errors.js';
import type { Io } from '../io.js';
import type { Selected } from '../profiles/select.js';
import type { Profile, ProfileStore } from '../profiles/store.js';
import { GatewayClient, type Authority } from './client.js';
import { GatewayProblemError, shellWord } from './problem.js';
import { BrokenConnectionError, type Transport } from './transport.js';

/** The login of a profile has come to its end: logged out elsewhere, expired, or its refresh token was used by another. */
export class LoginEndedError extends CliError {
  readonly code = 'LOGIN_ENDED';
}

/** An access token is renewed this long before it expires, in milliseconds, so that it does not do so on the way. */
export const RENEW_BEFORE_MS = 30_000;
/** A refresh may take this long, in milliseconds; below the lock's STALE_LOCK_MS, even when it is tried twice. */
export const REFRESH_TIMEOUT_MS = 20_000;

export interface SessionOptions {
  readonly io: Pick<Io, 'now' | 'uninterrupted'>;
  readonly store: ProfileStore;
  readonly selected: Selected;
  readonly transport: Transport;
}

/** What of an answer to login or refresh a profile keeps. */
export function tokenFields(
  tokens: Tokens,
  now: number,
): Pick<Profile, 'accessToken' | 'accessExpiresAt' | 'refreshToken' | 'refreshExpiresAt'> {
  return {
    accessToken: tokens.accessToken,
    accessExpiresAt: now + tokens.expiresIn * 1000,
    refreshToken: tokens.refreshToken,
    refreshExpiresAt: now + tokens.refreshExpiresIn * 1000,
  };
}

/**
 * The tokens of one profile. A refresh token counts once, so a refresh holds the profile's lock, looks first
 * whether another process has done it, and is not interrupted between the gateway's answer and the disk.
 */
export class Session implements Authority {
  private profile: Profile;
  constructor(private readonly options: SessionOptions) {
    this.profile = options.selected.profile;
  }

  async accessToken(): Promise<string> {
    return this.isFresh(this.profile) ? this.profile.accessToken : this.renewed(this.profile.accessToken);
  }

  async renewed(refused: string): Promise<string> {
    const { io, store, selected } = this.options;
    return io.uninterrupted(() =>
      store.locked(selected.name, async (stillOurs) => {
        const stored = store.find(selected.name)?.profile;
        if (stored === undefined) throw this.ended('It was logged out meanwhile.');
        this.profile = stored;
        if (stored.accessToken !== refused && this.isFresh(stored)) return stored.accessToken;
        const now = io.now();
        if (stored.refreshExpiresAt <= now) throw this.ended('It has expired.');
        const tokens = await this.refresh(stored.refreshToken);
        const next = { ...stored, ...tokenFields(tokens, now) };
        // After a long sleep of this machine another may have taken the lock and logged in anew: that counts.
        if (stillOurs() || store.find(selected.name)?.profile.refreshToken === stored.refreshToken)
          store.save({ name: selected.name, profile: next });
        this.profile = next;
        return next.accessToken;
      }),
    );
  }

  /** For logout, which ends this token too. */
  refreshToken(): string {
    return this.profile.refreshToken;
  }

  private isFresh(profile: Profile): boolean {
    return profile.accessExpiresAt - RENEW_BEFORE_MS > this.options.io.now();
  }

  private async refresh(refreshToken: string): Promise<Tokens> {
    const client = new GatewayClient(this.options.transport, null);
    const once = (): Promise<Tokens> =>
      client.call({
        method: 'POST',
        path: ['auth', 'refresh'],
        body: { refreshToken },
        answer: tokensSchema,
        timeoutMs: REFRESH_TIMEOUT_MS,
      });
    try {
      // Without an answer the token is lost if the gateway took it, and good if it did not: trying can only win.
      return await once().catch((error: unknown) => {
        if (error instanceof BrokenConnectionError) return once();
        throw error;
      });
    } catch (error) {
      if (error instanceof GatewayProblemError && [400, 401, 403].includes(error.details.status))
        throw this.ended(error.message, error);
      throw error;
    }
  }

  private ended(why: string, cause?: Error): LoginEndedError {
    const { username, gateway } = this.options.selected.profile;
    return new LoginEndedError(`The login of ${username} on ${gateway} has ended. ${why}`, {
      cause,
      hints: [`Log in again: postern login --gateway ${gateway} --username ${shellWord(username)}`],
    });
  }
}
