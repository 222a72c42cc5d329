import type { Verb } from '../../context.js';

export const addProfileList: Verb = (parent, bind) => {
  parent
    .command('list')
    .description('list the logins; * marks the current one')
    .action(
      bind(async ({ ctx }) => {
        const { profiles, corrupt } = ctx.store.all();
        const current = ctx.store.current();
        const iso = (time: number): string => new Date(time).toISOString();
        for (const error of corrupt) ctx.out.warn(error.message);
        ctx.out.result(
          {
            profiles: profiles.map(({ name, profile }) => ({
              name,
              current: name === current,
              gateway: profile.gateway,
              username: profile.username,
              dataDir: profile.dataDir,
              caPinned: profile.caPem !== null,
              loggedInAt: iso(profile.loggedInAt),
              expiresAt: iso(profile.refreshExpiresAt),
            })),
          },
          () => {
            if (profiles.length === 0) return ctx.out.note('No logins. Log in: postern login');
            ctx.out.table(
              ['', 'NAME', 'GATEWAY', 'USER', 'EXPIRES'],
              profiles.map(({ name, profile }) => [
                { text: name === current ? '*' : '' },
                { text: name },
                { text: profile.gateway },
                { text: profile.username },
                { text: iso(profile.refreshExpiresAt).slice(0, 10) },
              ]),
            );
          },
        );
      }),
    );
};
