import { describe, expect, it } from 'vitest';
import { LOGIN_FAILURES_KEPT_MS } from '../../../src/domain/store.js';
import type { StoreUnderTest } from './harness.js';
import { HOUR, ODD_TEXTS, T0, aSecret, aSession, aUser, atOnce, hex } from './records.js';

export function accountConformance(stores: () => StoreUnderTest): void {
  describe('users', () => {
    it('are found by name and by id, on every instance', async () => {
      const { a, b } = stores();
      const user = aUser();
      expect(await a.insertUser(user)).toBe(true);
      expect(await b.findUserByName(user.username)).toEqual(user);
      expect(await b.findUserById(user.id)).toEqual(user);
      expect(await a.findUserByName(user.username.toUpperCase())).toBeNull();
      expect(await a.findUserByName('')).toBeNull();
      expect(await a.findUserById(aUser().id)).toBeNull();
    });

    it('have names that are taken once, compared exactly', async () => {
      const { a } = stores();
      const user = aUser({ username: `Name-${hex(6)}` });
      expect(await a.insertUser(user)).toBe(true);
      expect(await a.insertUser(aUser({ username: user.username, passwordHash: 'other' }))).toBe(false);
      expect(await a.findUserByName(user.username)).toEqual(user);
      expect(await a.insertUser(aUser({ username: user.username.toLowerCase() }))).toBe(true);
    });

    it('keep odd text as it is', async () => {
      const { a, b } = stores();
      for (const text of ODD_TEXTS) {
        const user = aUser({ username: text, passwordHash: text });
        expect(await a.insertUser(user)).toBe(true);
        expect(await b.findUserByName(text)).toEqual(user);
      }
    });

    it('are not confused by a NUL or a lone surrogate in a name', async () => {
      const { a } = stores();
      const plain = aUser({ username: `nul-${hex(6)}` });
      await a.insertUser(plain);
      expect(await a.findUserByName(`${plain.username}\0`)).toBeNull();
      expect(await a.findUserByName(`${plain.username}\0more`)).toBeNull();
      expect(await a.findUserByName(`${plain.username}\ud800`)).toBeNull();
      expect(await a.insertUser(aUser({ username: `${plain.username}\0` }))).toBe(true);
      expect(await a.findUserByName(plain.username)).toEqual(plain);
    });

    it('of 50 sign-ups of one name at once, one wins', async () => {
      const { a, b } = stores();
      const username = `race-${hex(6)}`;
      const users = Array.from({ length: 50 }, () => aUser({ username }));
      const won = await atOnce(50, (i) => (i % 2 ? a : b).insertUser(users[i]!));
      expect(won.filter(Boolean)).toHaveLength(1);
      expect(await a.findUserByName(username)).toEqual(users[won.indexOf(true)]);
    });

    it('reject a second user of one id as the bug that it is', async () => {
      const { a } = stores();
      const user = aUser();
      await a.insertUser(user);
      const error = await a.insertUser(aUser({ id: user.id })).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(Error);
      expect(error).not.toHaveProperty('code', 'STORE_UNAVAILABLE');
    });
  });

  describe('sessions', () => {
    it('are found until they expire', async () => {
      const { a, b } = stores();
      const session = aSession({ previousTokenHash: hex() });
      await a.insertSession(session);
      expect(await b.findSession(session.id, T0)).toEqual(session);
      expect(await b.findSession(session.id, session.expiresAt - 1)).toEqual(session);
      expect(await b.findSession(session.id, session.expiresAt)).toBeNull();
      expect(await b.findSession(aSession().id, T0)).toBeNull();
    });

    it('rotate from the token that is good now, and from no other', async () => {
      const { a } = stores();
      const session = aSession();
      await a.insertSession(session);
      const next = hex();
      const change = { id: session.id, tokenHash: next, rotatedAt: T0 + 5, expiresAt: T0 + 2 * HOUR };
      expect(await a.rotateSession({ ...change, expectedTokenHash: hex() })).toBe(false);
      expect(
        await a.rotateSession({ ...change, id: aSession().id, expectedTokenHash: session.tokenHash }),
      ).toBe(false);
      expect(await a.rotateSession({ ...change, expectedTokenHash: session.tokenHash })).toBe(true);
      expect(await a.findSession(session.id, T0)).toEqual({
        ...session,
        tokenHash: next,
        previousTokenHash: session.tokenHash,
        rotatedAt: T0 + 5,
        expiresAt: T0 + 2 * HOUR,
      });
      expect(await a.rotateSession({ ...change, expectedTokenHash: session.tokenHash })).toBe(false);
    });

    it('do not rotate once expired', async () => {
      const { a } = stores();
      const session = aSession();
      await a.insertSession(session);
      const change = {
        id: session.id,
        expectedTokenHash: session.tokenHash,
        tokenHash: hex(),
        expiresAt: T0 + 9 * HOUR,
      };
      expect(await a.rotateSession({ ...change, rotatedAt: session.expiresAt })).toBe(false);
      expect(await a.rotateSession({ ...change, rotatedAt: session.expiresAt - 1 })).toBe(true);
    });

    it('of 50 rotations of one token at once, one wins', async () => {
      const { a, b } = stores();
      const session = aSession();
      await a.insertSession(session);
      const tokens = Array.from({ length: 50 }, () => hex());
      const won = await atOnce(50, (i) =>
        (i % 2 ? a : b).rotateSession({
          id: session.id,
          expectedTokenHash: session.tokenHash,
          tokenHash: tokens[i]!,
          rotatedAt: T0 + 1,
          expiresAt: T0 + HOUR,
        }),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
      expect((await a.findSession(session.id, T0))?.tokenHash).toBe(tokens[won.indexOf(true)]);
    });

    it('end once', async () => {
      const { a, b } = stores();
      const session = aSession();
      await a.insertSession(session);
      expect(
        (await atOnce(10, (i) => (i % 2 ? a : b).deleteSession(session.id))).filter(Boolean),
      ).toHaveLength(1);
      expect(await a.findSession(session.id, T0)).toBeNull();
      expect(
        await a.rotateSession({
          id: session.id,
          expectedTokenHash: session.tokenHash,
          tokenHash: hex(),
          rotatedAt: T0,
          expiresAt: T0 + HOUR,
        }),
      ).toBe(false);
    });
  });

  describe('API secrets', () => {
    it('are found until they expire, and a use moves that', async () => {
      const { a, b } = stores();
      const secret = aSecret();
      await a.insertApiSecret(secret, 10);
      expect(await b.findApiSecret(secret.secretHash, secret.expiresAt - 1)).toEqual(secret);
      expect(await b.findApiSecret(secret.secretHash, secret.expiresAt)).toBeNull();
      await b.touchApiSecret(secret.secretHash, T0 + 7, T0 + 3 * HOUR);
      await expect
        .poll(() => a.findApiSecret(secret.secretHash, T0 + 2 * HOUR))
        .toEqual({ ...secret, lastUsedAt: T0 + 7, expiresAt: T0 + 3 * HOUR });
    });

    it('are dropped beyond the number to keep, the least recently used first', async () => {
      const { a } = stores();
      const { userId } = aSecret();
      const secrets = Array.from({ length: 5 }, (_, i) =>
        aSecret({ userId, lastUsedAt: T0 + i, createdAt: T0 + i }),
      );
      const another = aSecret({ lastUsedAt: 1 });
      await a.insertApiSecret(another, 3);
      for (const secret of secrets.slice(0, 3)) await a.insertApiSecret(secret, 3);
      await a.touchApiSecret(secrets[0]!.secretHash, T0 + 100, T0 + HOUR);
      await expect
        .poll(async () => (await a.findApiSecret(secrets[0]!.secretHash, T0))?.lastUsedAt)
        .toBe(T0 + 100);
      for (const secret of secrets.slice(3)) await a.insertApiSecret(secret, 3);
      const kept = await Promise.all(secrets.map((secret) => a.findApiSecret(secret.secretHash, T0)));
      expect(kept.map((secret) => secret !== null)).toEqual([true, false, false, true, true]);
      expect(await a.findApiSecret(another.secretHash, T0)).toEqual(another);
    });

    it('never drop the one that is being added', async () => {
      const { a } = stores();
      const newer = aSecret({ lastUsedAt: T0 + HOUR });
      const late = aSecret({ userId: newer.userId, lastUsedAt: T0 - HOUR });
      await a.insertApiSecret(newer, 1);
      await a.insertApiSecret(late, 1);
      expect(await a.findApiSecret(late.secretHash, T0)).toEqual(late);
      expect(await a.findApiSecret(newer.secretHash, T0)).toBeNull();
    });

    it('of 30 logins at once leave no more than the number to keep', async () => {
      const { a, b } = stores();
      const { userId } = aSecret();
      const secrets = Array.from({ length: 30 }, (_, i) => aSecret({ userId, lastUsedAt: T0 + i }));
      await atOnce(30, (i) => (i % 2 ? a : b).insertApiSecret(secrets[i]!, 10));
      const kept = await Promise.all(secrets.map((secret) => a.findApiSecret(secret.secretHash, T0)));
      const count = kept.filter((secret) => secret !== null).length;
      expect(count).toBeGreaterThan(0);
      expect(count).toBeLessThanOrEqual(10);
    });

    it('end once, and a late use does not bring them back', async () => {
      const { a, b } = stores();
      const secret = aSecret();
      await a.insertApiSecret(secret, 10);
      expect(await a.deleteApiSecret(secret.secretHash)).toBe(true);
      expect(await b.deleteApiSecret(secret.secretHash)).toBe(false);
      await b.touchApiSecret(secret.secretHash, T0 + 7, T0 + 3 * HOUR);
      expect(await a.findApiSecret(secret.secretHash, T0)).toBeNull();
    });
  });

  describe('login failures', () => {
    it('are counted by name and forgotten after a while', async () => {
      const { a, b } = stores();
      const name = `nobody-${hex(6)}`;
      expect(await a.findLoginFailures(name)).toBeNull();
      expect(await a.recordLoginFailure(name, T0, T0 - HOUR)).toEqual({ count: 1, lastAt: T0 });
      expect(await b.recordLoginFailure(name, T0 + 10, T0)).toEqual({ count: 2, lastAt: T0 + 10 });
      // An instance whose clock is behind does not turn time back.
      expect(await b.recordLoginFailure(name, T0 + 5, T0)).toEqual({ count: 3, lastAt: T0 + 10 });
      expect(await a.findLoginFailures(name)).toEqual({ count: 3, lastAt: T0 + 10 });
      expect(await a.recordLoginFailure(name, T0 + HOUR, T0 + 11)).toEqual({ count: 1, lastAt: T0 + HOUR });
      await a.clearLoginFailures(name);
      expect(await b.findLoginFailures(name)).toBeNull();
      await a.clearLoginFailures(name);
    });

    it('of 50 at once are all counted', async () => {
      const { a, b } = stores();
      const name = `guessed-${hex(6)}`;
      const counts = await atOnce(50, (i) => (i % 2 ? a : b).recordLoginFailure(name, T0, T0 - HOUR));
      expect(counts.map(({ count }) => count).sort((x, y) => x - y)).toEqual(
        Array.from({ length: 50 }, (_, i) => i + 1),
      );
    });

    it('are counted for any name that someone may type', async () => {
      const { a } = stores();
      for (const text of [...ODD_TEXTS, '', 'nul\0nul', '\ud800']) {
        const name = `${text}${hex(6)}`;
        expect(await a.recordLoginFailure(name, T0, 0)).toEqual({ count: 1, lastAt: T0 });
        expect(await a.findLoginFailures(name)).toEqual({ count: 1, lastAt: T0 });
      }
    });
  });

  describe('purge of accounts', () => {
    it('deletes what has expired and nothing else', async () => {
      const { a, b } = stores();
      const now = T0 + HOUR;
      const [dead, alive] = [aSession({ expiresAt: now }), aSession({ expiresAt: now + 1 })];
      const [deadSecret, aliveSecret] = [aSecret({ expiresAt: now }), aSecret({ expiresAt: now + 1 })];
      const [old, recent] = [`old-${hex(6)}`, `recent-${hex(6)}`];
      await a.insertSession(dead);
      await a.insertSession(alive);
      await a.insertApiSecret(deadSecret, 10);
      await a.insertApiSecret(aliveSecret, 10);
      await a.recordLoginFailure(old, now - LOGIN_FAILURES_KEPT_MS, 0);
      await a.recordLoginFailure(recent, now - LOGIN_FAILURES_KEPT_MS + 1, 0);
      await b.purge(now);
      // Asked about a time when all of them were alive: only what is gone is not found.
      expect(await a.findSession(dead.id, T0)).toBeNull();
      expect(await a.findSession(alive.id, T0)).toEqual(alive);
      expect(await a.findApiSecret(deadSecret.secretHash, T0)).toBeNull();
      expect(await a.findApiSecret(aliveSecret.secretHash, T0)).toEqual(aliveSecret);
      expect(await a.findLoginFailures(old)).toBeNull();
      expect(await a.findLoginFailures(recent)).not.toBeNull();
    });
  });
}
