import { z } from 'zod';
import { deviceArgument, type Verb } from '../../context.js';
import { InterruptedError } from '../../errors.js';
import { confirm, isInteractive } from '../../terminal.js';

export const addDeviceRemove: Verb = (parent, bind) => {
  parent
    .command('remove')
    .description('remove a device; its certificates are revoked and its connections closed')
    .argument('<device>', 'name of the device', deviceArgument)
    .option('--yes', 'do not ask (on a terminal)')
    .action(
      bind<[string], { yes?: boolean }>(async ({ ctx, args: [name], options }) => {
        const { client } = ctx.connect();
        if (
          options.yes !== true &&
          isInteractive(ctx.io) &&
          !(await confirm(ctx.io, `Remove ${name} and revoke its certificates?`))
        )
          throw new InterruptedError(`${name} was not removed.`);
        await client.call({
          method: 'DELETE',
          path: ['devices', name],
          answer: z.looseObject({}),
          timeoutMs: ctx.globals.timeout,
          subject: { device: name },
        });
        ctx.out.result({ device: name, removed: true }, () =>
          ctx.out.line(`Removed ${name}; its certificates are revoked.`),
        );
      }),
    );
};
