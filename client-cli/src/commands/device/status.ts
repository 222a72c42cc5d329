import { z } from 'zod';
import { deviceArgument, type Verb } from '../../context.js';

export const addDeviceStatus: Verb = (parent, bind) => {
  parent
    .command('status')
    .description('ask a device for its status')
    .argument('<device>', 'name of the device', deviceArgument)
    .action(
      bind<[string]>(async ({ ctx, args: [device] }) => {
        const reply = await ctx.connect().client.call({
          method: 'GET',
          path: ['devices', device, 'status'],
          deviceTimeoutMs: ctx.deviceTimeoutMs,
          answer: z.looseObject({ status: z.string() }),
          subject: { device },
        });
        ctx.out.result(reply, () => ctx.out.line(reply.status));
      }),
    );
};
