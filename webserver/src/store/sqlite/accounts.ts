import type { AccountStore } from '../../domain/store.js';
import type { SqliteContext } from './context.js';
import { toApiSecret, toSession, toUser } from './rows.js';

export function accountStore({ durable, relaxed, read, write, writeSoon }: SqliteContext): AccountStore {
  const insertUser = durable.prepare(
    'INSERT INTO users (id, username, password_hash, created_at) VALUES (?, ?, ?, ?) ON CONFLICT (username) DO NOTHING',
  );
  const userByName = durable.prepare('SELECT * FROM users WHERE username = ?');
  const userById = durable.prepare('SELECT * FROM users WHERE id = ?');

  const insertSession = durable.prepare(
    'INSERT INTO sessions (id, user_id, token_hash, previous_token_hash, rotated_at, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );
  const session = durable.prepare('SELECT * FROM sessions WHERE id = ? AND expires_at > ?');
  const rotate = durable.prepare(
    'UPDATE sessions SET previous_token_hash = token_hash, token_hash = ?, rotated_at = ?, expires_at = ? WHERE id = ? AND token_hash = ? AND expires_at > ?',
  );
  const deleteSession = durable.prepare('DELETE FROM sessions WHERE id = ?');

  const insertSecret = durable.prepare(
    'INSERT INTO api_secrets (secret_hash, user_id, created_at, last_used_at, expires_at) VALUES (?, ?, ?, ?, ?)',
  );
  // The new one stays whatever its times say, so `keep - 1` of the others do.
  const dropOldSecrets = durable.prepare(
    `DELETE FROM api_secrets WHERE secret_hash IN (
       SELECT secret_hash FROM api_secrets WHERE user_id = ? AND secret_hash <> ?
       ORDER BY last_used_at DESC, created_at DESC LIMIT -1 OFFSET ?)`,
  );
  const secret = durable.prepare('SELECT * FROM api_secrets WHERE secret_hash = ? AND expires_at > ?');
  const touchSecret = relaxed.prepare(
    'UPDATE api_secrets SET last_used_at = ?, expires_at = ? WHERE secret_hash = ?',
  );
  const deleteSecret = durable.prepare('DELETE FROM api_secrets WHERE secret_hash = ?');

  const countFailure = durable.prepare(
    `INSERT INTO login_failures (username, count, last_at) VALUES (?, 1, ?)
     ON CONFLICT (username) DO UPDATE SET
       count = CASE WHEN last_at < ? THEN 1 ELSE count + 1 END, last_at = max(last_at, excluded.last_at)`,
  );
  const failures = durable.prepare('SELECT count, last_at FROM login_failures WHERE username = ?');
  const clearFailures = durable.prepare('DELETE FROM login_failures WHERE username = ?');

  const findFailures = (username: string) => {
    const row = failures.get(username);
    return row ? { count: row['count'] as number, lastAt: row['last_at'] as number } : null;
  };

  return {
    insertUser: (user) =>
      write(() => insertUser.run(user.id, user.username, user.passwordHash, user.createdAt) === 1),
    findUserByName: (username) =>
      read(() => {
        const row = userByName.get(username);
        return row ? toUser(row) : null;
      }),
    findUserById: (id) =>
      read(() => {
        const row = userById.get(id);
        return row ? toUser(row) : null;
      }),

    insertSession: (value) =>
      write(() => {
        insertSession.run(
          value.id,
          value.userId,
          value.tokenHash,
          value.previousTokenHash,
          value.rotatedAt,
          value.createdAt,
          value.expiresAt,
        );
      }),
    findSession: (id, now) =>
      read(() => {
        const row = session.get(id, now);
        return row ? toSession(row) : null;
      }),
    rotateSession: ({ id, expectedTokenHash, tokenHash, rotatedAt, expiresAt }) =>
      write(() => rotate.run(tokenHash, rotatedAt, expiresAt, id, expectedTokenHash, rotatedAt) === 1),
    deleteSession: (id) => write(() => deleteSession.run(id) === 1),

    insertApiSecret: (value, keep) =>
      write(() => {
        insertSecret.run(value.secretHash, value.userId, value.createdAt, value.lastUsedAt, value.expiresAt);
        dropOldSecrets.run(value.userId, value.secretHash, Math.max(keep - 1, 0));
      }),
    findApiSecret: (secretHash, now) =>
      read(() => {
        const row = secret.get(secretHash, now);
        return row ? toApiSecret(row) : null;
      }),
    touchApiSecret: (secretHash, lastUsedAt, expiresAt) =>
      writeSoon(() => {
        touchSecret.run(lastUsedAt, expiresAt, secretHash);
      }),
    deleteApiSecret: (secretHash) => write(() => deleteSecret.run(secretHash) === 1),

    recordLoginFailure: (username, at, forgetBefore) =>
      write(() => {
        countFailure.run(username, at, forgetBefore);
        return findFailures(username) ?? { count: 1, lastAt: at };
      }),
    findLoginFailures: (username) => read(() => findFailures(username)),
    clearLoginFailures: (username) =>
      write(() => {
        clearFailures.run(username);
      }),
  };
}
