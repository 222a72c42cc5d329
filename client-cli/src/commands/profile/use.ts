import type { Verb } from '../../context.js';
import { ProfileNotFoundError } from '../../profiles/store.js';

export const addProfileUse: Verb = (parent, bind) => {
  parent
    .command('use')
    .description('make a login the current one')
    .argument('<name>', 'name of the profile')
    .action(
      bind<[string]>(async ({ ctx, args: [name] }) => {
        const found = ctx.store.find(name);
        if (found === null)
          throw new ProfileNotFoundError(`There is no profile "${name}".`, {
            hints: ['See: postern profile list'],
          });
        ctx.store.setCurrent(name);
        ctx.out.result({ profile: name }, () =>
          ctx.out.line(`Current: ${name} (${found.profile.username} on ${found.profile.gateway}).`),
        );
      }),
    );
};
