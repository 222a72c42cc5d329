import { loginSchema, tokensSchema } from '@postern/protocol';
import type { CommandContext } from '../../context.js';
import { tokenFields } from '../../gateway/session.js';
import { caFingerprint } from '../../profiles/environment.js';
import { profileName, type NamedProfile, type Profile } from '../../profiles/store.js';
import type { Target } from './target.js';

/** Logs in and makes the login the current profile. An earlier one of this user on this gateway is replaced. */
export async function beginLogin(
  ctx: CommandContext,
  target: Target,
  credentials: { username: string; password: string },
): Promise<NamedProfile> {
  const { io, store } = ctx;
  const name = nameFor(ctx, target, credentials.username);
  const tokens = await ctx.anonymous(target.gateway, target.caPem).call({
    method: 'POST',
    path: ['auth', 'login'],
    body: loginSchema.parse(credentials),
    answer: tokensSchema,
    timeoutMs: ctx.globals.timeout,
  });
  const now = io.now();
  const profile: Profile = {
    version: 1,
    gateway: target.gateway,
    username: tokens.username,
    caPem: target.caPem,
    dataDir: target.dataDir,
    ...tokenFields(tokens, now),
    loggedInAt: now,
  };
  await io.uninterrupted(() =>
    store.locked(name, async () => {
      store.save({ name, profile });
      store.setCurrent(name);
    }),
  );
  return { name, profile };
}

/** A damaged profile in its place throws here, before the login, and is not written over. */
function nameFor(ctx: CommandContext, target: Target, username: string): string {
  const identity = { gateway: target.gateway, username, dataDir: target.dataDir };
  return profileName(identity, (name) => {
    const found = ctx.store.find(name);
    return found !== null && !isSameLogin(found.profile, identity, target.caPem);
  });
}

/**
 * Two data folders may have had gateways at one address in turn: their logins are kept apart. A gateway that
 * was known without its data folder, by the same CA, is the same one.
 */
function isSameLogin(
  found: Profile,
  identity: { gateway: string; username: string; dataDir: string | null },
  caPem: string | null,
): boolean {
  if (found.gateway !== identity.gateway || found.username !== identity.username) return false;
  return found.dataDir === identity.dataDir || caFingerprint(found.caPem) === caFingerprint(caPem);
}
