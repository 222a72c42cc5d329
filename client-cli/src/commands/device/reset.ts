import { z } from 'zod';
import { deviceArgument, type Verb } from '../../context.js';

export const addDeviceReset: Verb = (parent, bind) => {
  parent
    .command('reset')
    .description('restart a device')
    .argument('<device>', 'name of the device', deviceArgument)
    .action(
      bind<[string]>(async ({ ctx, args: [device] }) => {
        const reply = await ctx.connect().client.call({
          method: 'POST',
          path: ['devices', device, 'reset'],
          body: {},
          deviceTimeoutMs: ctx.deviceTimeoutMs,
          answer: z.looseObject({ status: z.string() }),
          subject: { device },
        });
        ctx.out.result(reply, () => ctx.out.line(`${device}: ${reply.status}`));
      }),
    );
};
