import { accountSchema, credentialsSchema } from '@postern/protocol';
import type { Verb } from '../../context.js';
import { UsageError } from '../../errors.js';
import { beginLogin } from './begin.js';
import { readCredentials, refusePasswordOption, type CredentialOptions } from './credentials.js';
import { credentialOptions } from './login.js';
import { loginTarget } from './target.js';

export const addSignup: Verb = (parent, bind) => {
  const command = parent.command('signup').description('make an account on a gateway, and log in');
  for (const option of credentialOptions()) command.addOption(option);
  command.option('--no-login', 'make the account only').action(
    bind<[], CredentialOptions & { login: boolean }>(async ({ ctx, options }) => {
      refusePasswordOption(options);
      const target = loginTarget(ctx, options.ca);
      const credentials = await readCredentials(ctx, options, { twice: true });
      const checked = credentialsSchema.safeParse(credentials);
      if (!checked.success) {
        const issue = checked.error.issues[0];
        throw new UsageError(
          `The ${issue?.path[0] === 'username' ? 'user name' : 'password'} ${issue?.message}.`,
        );
      }
      const account = await ctx.anonymous(target.gateway, target.caPem).call({
        method: 'POST',
        path: ['auth', 'signup'],
        body: checked.data,
        answer: accountSchema,
        timeoutMs: ctx.globals.timeout,
      });
      const begun = options.login ? await beginLogin(ctx, target, checked.data) : null;
      ctx.out.result({ account, profile: begun?.name ?? null, gateway: target.gateway }, () => {
        ctx.out.line(`Account ${account.username} is made on ${target.gateway}.`);
        if (begun === null) return;
        ctx.out.line(`Logged in (profile ${begun.name}).`);
        if (target.caSource !== null) ctx.out.note(`Its CA is pinned: ${target.caSource}`);
      });
    }),
  );
};
