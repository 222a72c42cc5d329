import type { Verb } from '../../context.js';
import { ProfileNotFoundError } from '../../profiles/store.js';

export const addProfileRemove: Verb = (parent, bind) => {
  parent
    .command('remove')
    .description(
      'forget a login here (postern logout also ends it on the gateway); removes a damaged one too',
    )
    .argument('<name>', 'name of the profile')
    .action(
      bind<[string]>(async ({ ctx, args: [name] }) => {
        if (!ctx.store.names().includes(name))
          throw new ProfileNotFoundError(`There is no profile "${name}".`, {
            hints: ['See: postern profile list'],
          });
        await ctx.store.locked(name, async () => {
          ctx.store.remove(name);
          if (ctx.store.current() === name) ctx.store.setCurrent(null);
        });
        ctx.out.result({ profile: name, removed: true }, () => ctx.out.line(`Forgotten: ${name}.`));
      }),
    );
};
