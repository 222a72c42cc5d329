import { z } from 'zod';
import type { Verb } from '../../context.js';
import { GatewayProblemError } from '../../gateway/problem.js';
import { LoginEndedError } from '../../gateway/session.js';
import { GatewayUnreachableError, GatewayUntrustedError } from '../../gateway/tls-trouble.js';

export const addLogout: Verb = (parent, bind) => {
  parent
    .command('logout')
    .description('end the login on the gateway and forget it here')
    .option('--local', 'forget it here only, without a word to the gateway')
    .action(
      bind<[], { local?: boolean }>(async ({ ctx, options }) => {
        const { selected, client } = ctx.connect();
        if (options.local !== true)
          try {
            await client.call({
              method: 'POST',
              path: ['auth', 'logout'],
              body: {},
              answer: z.looseObject({}),
              timeoutMs: ctx.globals.timeout,
            });
          } catch (error) {
            if (error instanceof GatewayUnreachableError || error instanceof GatewayUntrustedError)
              ctx.out.note(
                'The login was kept. Without the gateway, it can be forgotten here: postern logout --local',
              );
            // Ended already, there: what is left is to forget it here.
            const ended =
              error instanceof LoginEndedError ||
              (error instanceof GatewayProblemError && error.details.status === 401);
            if (!ended) throw error;
          }
        await ctx.store.locked(selected.name, async () => {
          ctx.store.remove(selected.name);
          if (ctx.store.current() === selected.name) ctx.store.setCurrent(null);
        });
        ctx.out.result({ profile: selected.name, gateway: selected.profile.gateway, loggedOut: true }, () =>
          ctx.out.line(`Logged out: ${selected.profile.username} on ${selected.profile.gateway}.`),
        );
      }),
    );
};
