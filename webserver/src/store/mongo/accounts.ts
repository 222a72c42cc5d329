import { LOGIN_FAILURES_KEPT_MS, type AccountStore } from '../../domain/store.js';
import { RELAXED } from './collections.js';
import type { MongoContext } from './context.js';
import { failuresDocument, read, toApiSecret, toSession, toUser } from './documents.js';
import { duplicateIndex } from './failures.js';
import { untilUncontended } from './retry.js';

export function accountStore({ users, sessions, secrets, failures, run }: MongoContext): AccountStore {
  const toFailures = (document: unknown) => {
    const { count, lastAt } = read(failuresDocument, document, 'login_failures');
    return { count, lastAt };
  };

  return {
    insertUser: ({ id, ...user }) =>
      run(async () => {
        try {
          await users.insertOne({ _id: id, ...user });
          return true;
        } catch (error) {
          if (duplicateIndex(error) === 'username') return false;
          throw error;
        }
      }),
    findUserByName: (username) =>
      run(async () => {
        const document = await users.findOne({ username });
        return document && toUser(document);
      }),
    findUserById: (id) =>
      run(async () => {
        const document = await users.findOne({ _id: id });
        return document && toUser(document);
      }),

    insertSession: ({ id, ...session }) =>
      run(async () => {
        await sessions.insertOne({ _id: id, ...session, purgeAt: new Date(session.expiresAt) });
      }),
    findSession: (id, now) =>
      run(async () => {
        const document = await sessions.findOne({ _id: id, expiresAt: { $gt: now } });
        return document && toSession(document);
      }),
    rotateSession: ({ id, expectedTokenHash, tokenHash, rotatedAt, expiresAt }) =>
      run(async () => {
        const { matchedCount } = await sessions.updateOne(
          { _id: id, tokenHash: expectedTokenHash, expiresAt: { $gt: rotatedAt } },
          {
            $set: {
              tokenHash,
              previousTokenHash: expectedTokenHash,
              rotatedAt,
              expiresAt,
              purgeAt: new Date(expiresAt),
            },
          },
        );
        return matchedCount === 1;
      }),
    deleteSession: (id) => run(async () => (await sessions.deleteOne({ _id: id })).deletedCount === 1),

    // Two steps: a gateway that dies between them leaves a secret too many, which the next login drops.
    insertApiSecret: ({ secretHash, ...secret }, keep) =>
      run(async () => {
        await secrets.insertOne({ _id: secretHash, ...secret, purgeAt: new Date(secret.expiresAt) });
        const surplus = await secrets
          .find({ userId: secret.userId, _id: { $ne: secretHash } })
          .sort({ lastUsedAt: -1, createdAt: -1 })
          .skip(Math.max(keep - 1, 0))
          .project<{ _id: string }>({ _id: 1 })
          .toArray();
        if (surplus.length > 0) await secrets.deleteMany({ _id: { $in: surplus.map(({ _id }) => _id) } });
      }),
    findApiSecret: (secretHash, now) =>
      run(async () => {
        const document = await secrets.findOne({ _id: secretHash, expiresAt: { $gt: now } });
        return document && toApiSecret(document);
      }),
    touchApiSecret: (secretHash, lastUsedAt, expiresAt) =>
      run(async () => {
        await secrets.updateOne(
          { _id: secretHash },
          { $set: { lastUsedAt, expiresAt, purgeAt: new Date(expiresAt) } },
          RELAXED,
        );
      }),
    deleteApiSecret: (secretHash) =>
      run(async () => (await secrets.deleteOne({ _id: secretHash })).deletedCount === 1),

    recordLoginFailure: (username, at, forgetBefore) =>
      run(() =>
        untilUncontended(async () => {
          const purgeAt = new Date(at + LOGIN_FAILURES_KEPT_MS);
          const counted = await failures.findOneAndUpdate(
            { _id: username, lastAt: { $gte: forgetBefore } },
            { $inc: { count: 1 }, $max: { lastAt: at }, $set: { purgeAt } },
            { returnDocument: 'before' },
          );
          if (counted) {
            const { count, lastAt } = toFailures(counted);
            return { value: { count: count + 1, lastAt: Math.max(lastAt, at) } };
          }
          try {
            await failures.updateOne(
              { _id: username, lastAt: { $lt: forgetBefore } },
              { $set: { count: 1, lastAt: at, purgeAt } },
              { upsert: true },
            );
            return { value: { count: 1, lastAt: at } };
          } catch (error) {
            if (duplicateIndex(error) !== null) return null;
            throw error;
          }
        }),
      ),
    findLoginFailures: (username) =>
      run(async () => {
        const document = await failures.findOne({ _id: username });
        return document && toFailures(document);
      }),
    clearLoginFailures: (username) =>
      run(async () => {
        await failures.deleteOne({ _id: username });
      }),
  };
}
