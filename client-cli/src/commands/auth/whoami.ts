import { z } from 'zod';
import type { Verb } from '../../context.js';

export const addWhoami: Verb = (parent, bind) => {
  parent
    .command('whoami')
    .description('show the user and the gateway, as the gateway sees them')
    .action(
      bind(async ({ ctx }) => {
        const { selected, client } = ctx.connect();
        const account = await client.call({
          method: 'GET',
          path: ['auth', 'whoami'],
          answer: z.looseObject({ username: z.string() }),
          timeoutMs: ctx.globals.timeout,
        });
        ctx.out.result({ ...account, gateway: selected.url, profile: selected.name }, () =>
          ctx.out.line(`${account.username} on ${selected.url} (profile ${selected.name})`),
        );
      }),
    );
};
